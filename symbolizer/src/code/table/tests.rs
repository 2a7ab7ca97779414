use super::*;
use crate::code::around::{Around, bytes, code};
use crate::code::convention::Convention;
use crate::code::graph::End;

/// Returns where the last jump of some code leads, with entries of a table that all lie at this address.
fn targets_of(listing: &str, table: u64, entries: &[i32]) -> Option<Vec<u64>> {
    let bytes = bytes(listing);
    let around = Around {
        table: (table, entries.to_vec()),
        ..Around::default()
    };
    let (graph, forward) = executed(&bytes, &around);
    let is_open = |node: &Node| node.jumps.is_empty() && node.next.is_none() && node.end != Some(End::Return);
    let jump = graph.nodes.iter().position(is_open)?;
    let targets = targets(&graph, &graph.predecessors(), &forward, jump, &around)?;
    Some(targets.iter().map(|target| target.0).collect())
}

fn executed<'data>(bytes: &'data [u8], around: &Around) -> (Graph<'data>, Forward) {
    let graph = Graph::of(code(bytes, 0x1000), Vaddr(0x1000), around).unwrap();
    let convention = Convention::of(graph.code.machine);
    let forward = Forward::of(&graph, convention, &std::cell::Cell::new(limits::EXIT_STEPS)).unwrap();
    (graph, forward)
}

#[test]
fn the_entries_of_a_table_are_read_up_to_the_bound() {
    // cmp r14d,12; ja; mov rbp,rdx; mov eax,r14d; lea rdx; mov rbx,rdi; movslq; mov r12,rsi; mov r13,rcx; add; jmp
    let early_data = "41 83 fe 02 77 1f 48 89 d5 44 89 f0 48 8d 15 ed 0f 00 00 48 89 fb 48 63 04 82
        49 89 f4 49 89 cd 48 01 d0 ff e0 c3 c3";
    assert_eq!(
        targets_of(early_data, 0x2000, &[-0xfdb, -0xfda, -0xfdb, 0]),
        Some(vec![0x1025, 0x1026, 0x1025])
    );
    assert_eq!(
        targets_of(early_data, 0x2000, &[-0xfdb, -0xfda]),
        None,
        "there are three"
    );
}

#[test]
fn other_orders_of_the_same_form_are_recognised() {
    // The address of the table comes first, and the jump has a prefix.
    let hoisted = "48 8d 15 f9 0f 00 00 90 83 fe 00 77 0c 89 f0 48 63 04 82 48 01 d0 3e ff e0 c3 c3";
    assert_eq!(targets_of(hoisted, 0x2000, &[-0xfe7]), Some(vec![0x1019]));
    // A byte is compared, and what it bounds is jumped to.
    let byte = "40 80 ff 00 76 01 c3 40 0f b6 c7 48 8d 15 ee 0f 00 00 48 63 04 82 48 01 c2 ff e2";
    assert_eq!(targets_of(byte, 0x2000, &[-0xffa]), Some(vec![0x1006]));
    // A copy of the index was made before it is compared, as clang does: mov ecx,eax; cmp eax,0; ja; lea; movslq.
    let copied = "89 c1 83 f8 00 77 10 48 8d 15 f2 0f 00 00 48 63 04 8a 48 01 d0 ff e0 c3 c3";
    assert_eq!(targets_of(copied, 0x2000, &[-0xfe8]), Some(vec![0x1018]));
    // The sum is one of addresses.
    let added = "83 fa 00 77 13 89 d2 48 8d 05 f2 0f 00 00 48 63 14 90 48 8d 04 02 ff e0 c3";
    assert_eq!(targets_of(added, 0x2000, &[-0xfe8]), Some(vec![0x1018]));
    // `gnutls_record_send2` compares a field, and then loads it.
    let field = "83 bb 48 05 00 00 00 77 17 8b 83 48 05 00 00 48 8d 15 ea 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3 c3";
    assert_eq!(targets_of(field, 0x2000, &[-0xfe0]), Some(vec![0x1020]));
}

#[test]
fn a_table_of_addresses_is_read_in_code_that_does_not_move() {
    // cmp esi,1; ja; mov eax,esi; jmp [0x2000+rax*8]
    let listing = "83 fe 01 77 09 89 f0 ff 24 c5 00 20 00 00 c3 c3";
    assert_eq!(
        targets_of(listing, 0x2000, &[0x100e, 0, 0x100f, 0]),
        Some(vec![0x100e, 0x100f])
    );
    let unbounded = "83 fe 01 74 09 89 f0 ff 24 c5 00 20 00 00 c3 c3";
    assert_eq!(targets_of(unbounded, 0x2000, &[0x100e, 0, 0x100f, 0]), None);
    let based = "83 fe 01 77 0a 89 f0 ff a4 c7 00 20 00 00 c3 c3"; // jmp [rdi+rax*8+0x2000]
    assert_eq!(targets_of(based, 0x2000, &[0x100e, 0, 0x100f, 0]), None);
}

#[test]
fn an_index_that_nothing_bounds_is_refused() {
    let entries = [0; 8];
    let refused = [
        (
            "another condition",
            "83 fe 03 74 12 89 f0 48 8d 15 f2 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
        ),
        (
            "another register",
            "83 ff 03 77 12 89 f0 48 8d 15 f2 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
        ),
        (
            "changed since",
            "83 fe 03 77 14 ff c6 89 f0 48 8d 15 f0 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
        ),
        (
            "a call between",
            "83 fb 03 77 17 e8 f6 0f 00 00 89 d8 48 8d 15 ed 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
        ),
        (
            "a store between",
            "83 7f 08 03 77 15 89 16 8b 47 08 48 8d 15 ee 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
        ),
        (
            "another way here",
            "85 d2 74 05 83 fe 03 77 12 89 f0 48 8d 15 ee 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
        ),
        (
            "a part compared",
            "40 80 ff 03 77 12 89 f8 48 8d 15 f1 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
        ),
        ("no table", "83 fe 03 77 0b 89 f0 48 63 04 82 48 01 d0 ff e0 c3"),
        ("nothing", "ff e0"),
    ];
    for (why, listing) in refused {
        assert_eq!(targets_of(listing, 0x2000, &entries), None, "{why}");
    }
    let bounded = "83 fe 03 77 12 89 f0 48 8d 15 f2 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3";
    assert!(targets_of(bounded, 0x2000, &entries).is_some());
}

#[test]
fn the_entries_may_fill_their_limit_and_no_more() {
    let last = |last: u64| {
        let number = u32::try_from(last)
            .unwrap()
            .to_le_bytes()
            .map(|byte| format!("{byte:02x}"));
        let listing = format!(
            "81 fe {} 77 12 89 f0 48 8d 15 ef 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
            number.join(" ")
        );
        targets_of(&listing, 0x2000, &vec![0; 1024]).map(|targets| targets.len())
    };
    assert_eq!(last(limits::TABLE_ENTRIES - 1), Some(512));
    assert_eq!(last(limits::TABLE_ENTRIES), None);
}

#[test]
fn the_bound_may_be_as_far_as_the_limit_and_no_further() {
    let far = |moves: usize| {
        let between = "89 fb ".repeat(moves);
        let length = 0x13 + 2 * moves;
        let listing = format!(
            "83 fe 03 0f 87 {:02x} 00 00 00 {between} 89 f0 48 8d 15 {:02x} 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
            length - 1,
            0xee - 2 * moves
        );
        targets_of(&listing, 0x2000, &[0; 8])
    };
    // Six instructions are the form's own, and the jump is not counted.
    assert!(far(limits::TABLE_DISTANCE - 6).is_some());
    assert!(far(limits::TABLE_DISTANCE - 5).is_none());
}
