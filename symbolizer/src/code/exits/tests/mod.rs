mod aarch64;
mod chance;

use super::*;
use crate::code::around::{Around, bytes, code};

const INT: Outcome = Outcome {
    width: 4,
    success: Success::Positive,
};

/// A spot in short: where, the result, the condition, and how deep.
type Short = (u64, Found, Option<u8>, u16);

const RAX: Found = Found::Register(0, 4);

fn question(entry: u64) -> Question {
    Question {
        entry: Vaddr(entry),
        size: 0,
        noted_at: Vaddr(entry),
        outcome: INT,
        ways: Ways::Successful,
        is_typed: false,
        fails_early: false,
    }
}

const fn budget() -> Cell<usize> {
    Cell::new(limits::EXIT_STEPS)
}

const fn nowhere(_: Pointer) -> Vec<Vaddr> {
    Vec::new()
}

fn find(listing: &str, base: u64, around: &Around, question: &Question) -> Result<(Ways, Vec<Short>), Cause> {
    let bytes = bytes(listing);
    let ends = Body::of(code(&bytes, base), question.entry, around, &nowhere, &budget())?.ends(question)?;
    let short = |spot: &Spot| (spot.at.0, spot.result, spot.when, spot.depth);
    Ok((ends.ways, ends.spots.iter().map(short).collect()))
}

/// Looks for the ends of all calls of code at 0x1000, which is entered at its first byte.
fn all(listing: &str) -> Result<Vec<Short>, Cause> {
    let question = Question {
        ways: Ways::All,
        ..question(0x1000)
    };
    find(listing, 0x1000, &Around::default(), &question).map(|(_, spots)| spots)
}

/// Returns the addresses of all ends.
fn places(listing: &str) -> Vec<u64> {
    all(listing).unwrap().into_iter().map(|(at, ..)| at).collect()
}

/// `SSL_read` of Debian's libssl 3.0.
const WRAPPER: &str = "48 83 ec 18 64 48 8b 04 25 28 00 00 00 48 89 44 24 08 31 c0 85 d2 78 2f 48 89 e1 48 63 d2
    e8 3d fe ff ff 85 c0 7e 03 8b 04 24 48 8b 54 24 08 64 48 2b 14 25 28 00 00 00 75 44 48 83 c4 18 31 d2 31 c9 31 f6
    31 ff c3 e8 44 9f fe ff 48 8d 15 05 d5 04 00 be 4c 07 00 00 48 8d 3d 62 cc 04 00 e8 2c a6 fe ff 31 c0 31 d2 be 0f
    01 00 00 bf 14 00 00 00 e8 49 a4 fe ff b8 ff ff ff ff eb ac e8 3d b1 fe ff";

/// `ssl3_read_internal` of the same.
const INTERNAL: &str = "41 56 4d 89 c6 41 55 41 89 cd 41 54 49 89 d4 55 48 89 f5 53 48 89 fb 48 83 ec 10
    e8 10 5a ff ff c7 00 00 00 00 00 8b bb ac 01 00 00 85 ff 0f 85 ac 00 00 00 48 8b 43 08 48 83 ec 08 48 89 e9 be 17
    00 00 00 45 89 e9 4d 89 e0 31 d2 48 89 df c7 83 b8 01 00 00 01 00 00 00 41 56 ff 50 68 59 5e 83 f8 ff 74 2b c7 83
    b8 01 00 00 00 00 00 00 48 83 c4 10 5b 5d 41 5c 41 5d 41 5e 31 d2 31 c9 31 f6 31 ff 45 31 c0 45 31 c9 c3 66 0f 1f
    44 00 00 83 bb b8 01 00 00 02 75 cc be 01 00 00 00 48 89 df e8 7a d5 03 00 48 83 ec 08 48 8b 43 08 31 d2 41 56 45
    89 e9 4d 89 e0 48 89 e9 be 17 00 00 00 48 89 df ff 50 68 31 f6 48 89 df 89 44 24 1c e8 4c d5 03 00 58 5a 8b 44 24
    0c eb 93 0f 1f 40 00 31 f6 48 89 df e8 26 fe ff ff e9 45 ff ff ff";

/// `_gnutls_recv_int` of Debian's libgnutls 3.7.
const RECEIVE: &str = "41 57 41 89 f7 41 56 4d 89 c6 41 55 49 89 d5 41 54 49 89 cc 55 44 89 cd 53 48 89 fb 48 83 ec 08
    83 fe 15 74 17 83 fe 18 74 12 48 85 c9 0f 84 49 01 00 00 48 85 d2 0f 84 40 01 00 00 89 ee 48 89 df e8 0a fc ff ff
    85 c0 0f 8e 84 00 00 00 41 8d 47 ea 83 f8 01 76 59 41 83 ff 14 74 53 89 e9 ba ff ff ff ff 44 89 fe 48 89 df e8 41
    d7 ff ff 89 c5 3d b8 fe ff ff 0f 84 99 00 00 00 85 c0 0f 89 91 00 00 00 48 8b 05 f5 a2 1d 00 83 38 02 0f 8f bc 00
    00 00 48 83 c4 08 48 63 c5 5b 5d 41 5c 41 5d 41 5e 41 5f c3 66 2e 0f 1f 84 00 00 00 00 00 8b 93 38 01 00 00 85 d2
    7e 2e 4d 89 f0 44 89 e1 4c 89 ea 44 89 fe 48 89 df e8 c2 cb ff ff 85 c0 74 16 48 98 48 83 c4 08 5b 5d 41 5c 41 5d
    41 5e 41 5f c3 0f 1f 44 00 00 89 e9 ba ff ff ff ff 44 89 fe 48 89 df e8 b6 d6 ff ff 89 c5 85 c0 79 0b 3d b8 fe ff
    ff 0f 85 79 ff ff ff 8b 83 38 01 00 00 85 c0 7f 1b 48 83 c4 08 31 c0 5b 5d 41 5c 41 5d 41 5e 41 5f c3 66 2e 0f 1f
    84 00 00 00 00 00 4d 89 f0 44 89 e1 4c 89 ea 44 89 fe 48 89 df e8 4c cb ff ff eb 8c 66 2e 0f 1f 84 00 00 00 00 00
    41 b8 fb 06 00 00 48 8d 0d 93 de 12 00 31 c0 bf 03 00 00 00 48 8d 15 49 d7 12 00 48 8d 35 f0 d5 12 00 e8 79 97 ff
    ff e9 18 ff ff ff 48 8b 05 fd a1 1d 00 83 38 02 7f 0c 48 c7 c0 ce ff ff ff e9 40 ff ff ff 41 b8 ec 06 00 00 48 8d
    0d 4f de 12 00 31 c0 bf 03 00 00 00 48 8d 15 05 d7 12 00 48 8d 35 ac d5 12 00 e8 35 97 ff ff eb cb";

#[test]
fn all_calls_of_a_wrapper_end_where_it_checks_its_stack() {
    let around = Around {
        last: vec![0x205f0],
        ..Around::default()
    };
    let found = find(WRAPPER, 0x35430, &around, &question(0x35430)).unwrap();
    assert_eq!(found, (Ways::All, vec![(0x35468, RAX, None, 0x18)]));
}

#[test]
fn a_call_that_tries_twice_ends_where_it_does_not_try_again() {
    let found = find(INTERNAL, 0x296b0, &Around::default(), &question(0x296b0)).unwrap();
    let expected = [
        (0x29713, RAX, Some(5), 0x38),
        (0x29747, RAX, Some(5), 0x38),
        (0x2978a, RAX, None, 0x38),
    ];
    assert_eq!(found, (Ways::All, expected.to_vec()));
}

#[test]
fn what_is_extended_by_its_sign_is_the_result_before() {
    let question = Question {
        outcome: Outcome { width: 8, ..INT },
        ways: Ways::All,
        ..question(0x3e8b0)
    };
    let (_, found) = find(RECEIVE, 0x3e8b0, &Around::default(), &question).unwrap();
    let rbp = Found::Register(5, 4);
    let expected = [
        (0x3e8f8, RAX, Some(14), 0x38),
        (0x3e93e, rbp, Some(14), 0x38),
        (0x3e980, RAX, Some(5), 0x38),
        (0x3e9d5, Found::Register(0, 8), None, 0),
        (0x3e9f4, RAX, None, 0x38),
        (0x3ea27, rbp, None, 0x38),
        (0x3ea3f, Found::Register(0, 8), None, 0x38),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_function_without_another_site_ends_at_its_return() {
    // `SSL_read_ex` of Debian's libssl 3.0.
    let listing = "48 83 ec 08 e8 c7 fd ff ff 31 d2 85 c0 0f 48 c2 48 83 c4 08 31 d2 31 c9 31 f6 31 ff c3";
    assert_eq!(all(listing).unwrap(), [(0x101c, RAX, None, 0)]);
}

#[test]
fn each_way_of_a_jump_may_be_an_end_with_a_number_of_its_own() {
    let listing = "53 85 f6
        74 07           ; je
        b8 01 00 00 00 5b c3
        31 c0 5b c3";
    let (failed, done) = (Found::Number(0), Found::Number(1));
    let expected = [(0x1003, failed, Some(4), 8), (0x1003, done, Some(5), 8)];
    assert_eq!(all(listing).unwrap(), expected);
    // Those that fail need not be seen.
    let found = find(listing, 0x1000, &Around::default(), &question(0x1000)).unwrap();
    assert_eq!(found, (Ways::Successful, expected[1..].to_vec()));
}

#[test]
fn a_call_cannot_end_where_it_is_noted() {
    let listing = "53 85 f6 74 07 b8 01 00 00 00 5b c3 31 c0 5b c3";
    let question = Question {
        noted_at: Vaddr(0x1003),
        ..question(0x1000)
    };
    let (_, found) = find(listing, 0x1000, &Around::default(), &question).unwrap();
    let places: Vec<_> = found.iter().map(|(at, ..)| *at).collect();
    assert_eq!(places, [0x100b, 0x100f]);
}

#[test]
fn a_call_ends_after_what_it_stores_for_its_caller() {
    let listing = "53 48 89 f3 e8 f7 0f 00 00 85 c0
        7e 07                   ; jle
        48 c7 03 05 00 00 00    ; mov [rbx],5
        5b c3";
    assert_eq!(places(listing), [0x1015], "the jump has one end only that is done");
    let listing = "53 48 89 f3 e8 f7 0f 00 00 85 c0
        7e 0e                   ; jle
        48 c7 03 05 00 00 00 b8 01 00 00 00
        eb 02                   ; jmp
        31 c0 5b c3";
    let expected = [(0x100b, Found::Number(0), Some(14), 8), (0x1019, RAX, None, 8)];
    assert_eq!(all(listing).unwrap(), expected);
}

#[test]
fn what_a_function_stores_in_its_object_and_on_its_stack_comes_late_enough() {
    let structure = "53 48 89 fb e8 f7 0f 00 00 85 c0
        7e 18                               ; jle
        c7 43 28 05 00 00 00                ; mov [rbx+0x28],5
        48 8b 93 a8 00 00 00 c7 82 10 01 00 00 00 00 00 00 5b c3";
    assert_eq!(places(structure), [0x100b]);
    let stack = "48 83 ec 18 e8 f7 0f 00 00 85 c0
        78 05                               ; js
        48 89 7c 24 08 48 83 c4 18 c3";
    assert_eq!(places(stack), [0x100b]);
}

#[test]
fn a_call_does_not_end_before_another_function_is_called() {
    let listing = "53 e8 fa 0f 00 00 89 c3 85 db
        78 05                   ; js
        e8 ff 0f 00 00          ; call
        89 d8 5b c3";
    assert_eq!(places(listing), [0x1014]);
}

#[test]
fn a_call_that_is_known_to_fail_may_end_before_that_is_reported() {
    let listing = "53 85 f6
        78 07                   ; js
        e8 f6 0f 00 00
        eb 08                   ; jmp
        e8 ff 0f 00 00 83 c8 ff 5b c3";
    assert_eq!(places(listing), [0x1015]);
    let question = Question {
        fails_early: true,
        ways: Ways::All,
        ..question(0x1000)
    };
    let (_, found) = find(listing, 0x1000, &Around::default(), &question).unwrap();
    let expected = [(0x1003, Found::Number(-1), Some(8), 8), (0x100a, RAX, None, 8)];
    assert_eq!(found, expected);
}

#[test]
fn no_end_is_passed_twice() {
    let around_the_call = "53 bb 05 00 00 00 e8 f5 0f 00 00 85 c0
        74 f7                   ; je back to the call
        5b c3";
    assert_eq!(all(around_the_call).unwrap(), [(0x100d, RAX, Some(5), 8)]);
    let behind_the_call = "53 e8 fa 0f 00 00 89 c3 ff c9
        75 fc                   ; jne back to the decrement
        89 d8 5b c3";
    assert_eq!(
        all(behind_the_call).unwrap(),
        [(0x100a, Found::Register(3, 4), Some(4), 8)]
    );
}

#[test]
fn the_depth_is_known_in_frames_of_both_kinds() {
    let framed = "55 48 89 e5 53 48 83 ec 28 e8 f2 0f 00 00 85 c0
        78 01                   ; js
        90                      ; nop
        48 8d 65 f8 5b 5d c3";
    assert_eq!(all(framed).unwrap(), [(0x1010, RAX, None, 0x38)]);
    let left = "55 48 89 e5 48 83 ec 28 e8 f3 0f 00 00
        eb 00                   ; jmp
        c9 c3";
    assert_eq!(all(left).unwrap(), [(0x100d, RAX, None, 0x30)]);
}

#[test]
fn no_call_is_noted_whose_object_is_null() {
    let listing = "48 85 ff
        74 0a                   ; je
        53 e8 f5 0f 00 00
        eb 00                   ; jmp
        5b c3 31 c0 c3";
    assert_eq!(all(listing).unwrap(), [(0x100b, RAX, None, 8)]);
}

#[test]
fn an_object_of_another_kind_has_calls_of_its_own() {
    let listing = "53 8b 17 85 d2
        75 06                   ; jne
        e8 f4 0f 00 00
        90 5b c3                ; nop
        31 c0 5b c3";
    let listing = &listing.replace("75 06", "75 08");
    let found = |is_typed| {
        let question = Question {
            ways: Ways::All,
            is_typed,
            ..question(0x1000)
        };
        find(listing, 0x1000, &Around::default(), &question).unwrap().1
    };
    let called = (0x100c, RAX, None, 8);
    assert_eq!(found(false), [(0x1005, Found::Number(0), Some(5), 8), called]);
    assert_eq!(found(true), [called]);
}

/// A function that ends by jumping to where its object's table says, and two functions that may be there.
const BY_POINTER: &str = "48 83 ec 08 48 8b 47 08 48 8b 40 38 48 83 c4 08
    ff e0                       ; jmp rax
    cc cc cc cc cc cc cc cc cc cc cc cc cc cc
    53 e8 da 0f 00 00 85 c0 78 01 90 5b c3
    cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc
    31 c0 c3";

#[test]
fn a_call_ends_in_the_function_that_a_pointer_leads_to() {
    let bytes = bytes(BY_POINTER);
    let table = |targets: &'static [u64]| {
        move |pointer| match pointer {
            Pointer::Field(field) if field.two() == Some(([8, 0x38], 8)) => {
                targets.iter().copied().map(Vaddr).collect()
            }
            Pointer::Field(_) | Pointer::Behind(_) => Vec::new(),
        }
    };
    let body = |targets| {
        Body::of(
            code(&bytes, 0x1000),
            Vaddr(0x1000),
            &Around::default(),
            &table(targets),
            &budget(),
        )
    };
    let question = Question {
        ways: Ways::All,
        ..question(0x1000)
    };
    let ends = |targets| body(targets).unwrap().ends(&question);
    assert_eq!(ends(&[]), Err(Cause::ComputedJump(Vaddr(0x1010))));
    let found = ends(&[0x1020]).unwrap().spots;
    let [spot] = found[..] else { panic!("{found:?}") };
    assert_eq!((spot.at, spot.depth, spot.result), (Vaddr(0x1028), 8, RAX));
    // A function that always fails stands where there is none.
    assert_eq!(ends(&[0x1020, 0x1040]).unwrap().spots, found);
    let called = body(&[0x1020]).unwrap().calls_by_pointer::<2>();
    assert_eq!(called.len(), 1);
    assert_eq!(called[0].1, [0, 1].map(|index| Value::Field(Field::argument(index))));
}

#[test]
fn a_pointer_of_a_structure_that_is_not_known_leads_on_with_the_object() {
    let targets = |listing: &str| {
        let bytes = bytes(listing);
        let asked = std::cell::RefCell::new(Vec::new());
        let pointers = |pointer| {
            asked.borrow_mut().push(pointer);
            Vec::new()
        };
        Body::of(
            code(&bytes, 0x1000),
            Vaddr(0x1000),
            &Around::default(),
            &pointers,
            &budget(),
        )
        .unwrap();
        asked.into_inner()
    };
    // call; mov rax,[rax+0x70]; mov rdi,rbx; pop rbx; jmp rax
    let kept = "53 48 89 fb e8 f7 0f 00 00 48 8b 40 70 48 89 df 5b ff e0";
    assert_eq!(targets(kept), [Pointer::Behind(0x70)]);
    let another = "53 48 89 fb e8 f7 0f 00 00 48 8b 40 70 48 89 c7 5b ff e0"; // mov rdi,rax
    assert_eq!(targets(another), []);
    let direct = "53 48 89 fb e8 f7 0f 00 00 48 89 df 5b ff 60 68"; // jmp [rax+0x68]
    assert_eq!(targets(direct), [Pointer::Behind(0x68)]);
    let changed = "53 48 89 fb e8 f7 0f 00 00 48 8b 40 70 48 01 d8 48 89 df 5b ff e0"; // add rax,rbx
    assert_eq!(targets(changed), []);
}

#[test]
fn where_others_come_by_no_call_may_be_left_to_be_replaced() {
    // Both ways lead to the function behind; the failed one ends there with a constant.
    let listing = "53 5b
        e9 39 00 00 00          ; jmp 0x1040
        cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc
        cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc cc
        53 85 f6 74 07 b8 01 00 00 00 5b c3 31 c0 5b c3";
    let found = |size| {
        let question = Question {
            size,
            ..question(0x1000)
        };
        find(listing, 0x1000, &Around::default(), &question).unwrap()
    };
    assert_eq!((found(0).0, found(0).1.len()), (Ways::All, 2));
    assert_eq!((found(7).0, found(7).1.len()), (Ways::All, 2));
    assert_eq!((found(0x50).0, found(0x50).1.len()), (Ways::Successful, 1), "its own");
}

#[test]
fn the_ends_may_fill_their_limit_and_no_more() {
    // call; test eax,eax; jne; ret
    let ends = |count: usize| {
        let calls: String = (0..count - 1).map(|_| "e8 f0 0f 00 00 85 c0 75 01 c3 ").collect();
        all(&format!("{calls} e8 f0 0f 00 00 c3")).map(|spots| spots.len())
    };
    assert_eq!(ends(limits::EXIT_SITES), Ok(limits::EXIT_SITES));
    assert_eq!(ends(limits::EXIT_SITES + 1), Err(Cause::TooManyEnds(Vaddr(0x1000))));
}

#[test]
fn the_budget_may_be_spent_and_no_more() {
    let bytes = bytes("53 90 5b c3");
    let refused = |steps| {
        let body = Body::of(
            code(&bytes, 0x1000),
            Vaddr(0x1000),
            &Around::default(),
            &nowhere,
            &Cell::new(steps),
        );
        body.err()
    };
    assert_eq!(refused(4), None);
    assert_eq!(refused(3), Some(Cause::TooLarge(Vaddr(0x1000))));
}

#[test]
fn what_is_in_doubt_is_refused() {
    let refused = |listing: &str| all(listing).unwrap_err();
    let at = |distance: u64| Vaddr(0x1000 + distance);
    let causes = [
        ("53 ff e0", Cause::ComputedJump(at(1))),
        ("ff 25 00 01 00 00", Cause::LeavesImage(at(0))),
        ("48 83 e4 f0 90 c3", Cause::StackPointer(at(4))),
        ("48 29 c4 90 c3", Cause::StackPointer(at(3))),
        ("85 ff 74 01 53 90 c3", Cause::StackPointer(at(5))),
        ("53 c3", Cause::Unbalanced(at(1))),
        ("0f 05 c3", Cause::NotUnderstood(at(0))),
        ("c2 08 00", Cause::NotUnderstood(at(0))),
        ("06 c3", Cause::NotUnderstood(at(0))),
        ("e8 00 01 00 00", Cause::NotUnderstood(at(5))),
        ("eb fe", Cause::NoReturn(at(0))),
        ("0f 0b", Cause::NoReturn(at(0))),
        ("85 ff 74 01 b8 90 90 90 90 c3", Cause::Overlapping(at(5))),
    ];
    for (listing, cause) in causes {
        assert_eq!(refused(listing), cause, "{listing}");
    }
}
