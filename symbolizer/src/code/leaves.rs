//! Where the calls of a function of Go end: at its returns, each found by decoding the function whole.
//!
//! The runtime reads the return addresses of Go when it moves a stack, so nothing may take their place. A function leaves by
//! its returns, or by a panic, for which it has none.

use std::cell::Cell;

use super::approach::Approach;
use super::bytes::Code;
use super::convention::Convention;
use super::exits::{Found, Spot, Ways};
use super::forward::Forward;
use super::graph::{End, Graph, Surroundings};
use super::instruction::{Instruction, is_plain_return};
use super::operation::Destination;
use super::site::Tier;
use crate::cause::Cause;
use crate::elf::address::Vaddr;
use crate::elf::machine::Machine;
use crate::limits;

/// Which calls pass a return: all but those that a panic ends.
pub(crate) const WAYS: Ways = Ways::All;

/// A function of Go, and what is asked of its ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving<'a> {
    /// The function's own code, from its entry on.
    pub(crate) code: Code<'a>,
    pub(crate) convention: Convention,
    /// Where it goes on after a panic, if it does.
    pub(crate) recovery: Option<Vaddr>,
    /// Where its calls are noted.
    pub(crate) noted_at: Vaddr,
    /// The calls that get the address of its buffer, behind which the buffer is filled; `None` if there may be others.
    pub(crate) handing: Option<&'a [Vaddr]>,
}

/// Finds where the calls of a function end, in the order of the addresses: at its returns, or, if that is cheaper, at the jumps
/// that lead there.
pub(crate) fn ends_of(leaving: &Leaving<'_>, around: &impl Surroundings) -> Result<Vec<Spot>, Cause> {
    let Leaving {
        code,
        recovery,
        noted_at,
        ..
    } = *leaving;
    let entry = code.address;
    let mut graph = Graph::of(code, entry, around)?;
    if let Some(recovery) = recovery {
        graph.add_root(recovery, around)?;
    }
    let returns = returns(&graph)?;
    // Else a call could be noted twice, with other values in the registers.
    let noted = graph.node_at(noted_at).ok_or(Cause::NotUnderstood(noted_at))?;
    let before = graph.predecessors();
    if before.get(noted).map_or(0, Vec::len) != usize::from(noted_at != entry) {
        return Err(Cause::PassedTwice(noted_at));
    }
    let mut spots = match code.machine {
        Machine::X86_64 => cheaper(leaving, &graph, &before, noted, &returns).unwrap_or_default(),
        // The kernel emulates its returns.
        Machine::Aarch64 => Vec::new(),
    };
    if spots.is_empty() || spots.len() > limits::EXIT_SITES {
        let at_return = |index: &usize| {
            let at = graph.nodes.get(*index).map_or(entry, |node| node.at);
            at_return(&graph, *index, leaving.convention).ok_or(Cause::SignedReturn(at))
        };
        spots = returns.iter().map(at_return).collect::<Result<_, _>>()?;
    }
    if spots.len() > limits::EXIT_SITES {
        return Err(Cause::TooManyEnds(entry));
    }
    spots.sort_by_key(|spot| (spot.at, spot.when));
    Ok(spots)
}

/// Lists the returns of a function; a jump that leads elsewhere refuses it.
fn returns(graph: &Graph<'_>) -> Result<Vec<usize>, Cause> {
    let mut returns = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        match node.end {
            Some(End::Return) => returns.push(index),
            Some(End::Jump(Destination::Unknown)) => return Err(Cause::ComputedJump(node.at)),
            Some(End::Jump(Destination::Code(_) | Destination::Slot(_))) => return Err(Cause::LeavesImage(node.at)),
            Some(End::Stop) | None => {}
        }
    }
    if returns.is_empty() {
        return Err(Cause::NoReturn(graph.entry()));
    }
    Ok(returns)
}

/// Replaces those returns for which jumps stand; `None` if too little is known of the function.
fn cheaper(
    leaving: &Leaving<'_>,
    graph: &Graph<'_>,
    before: &[Vec<usize>],
    noted: usize,
    returns: &[usize],
) -> Option<Vec<Spot>> {
    let convention = leaving.convention;
    let approach = Approach {
        graph,
        before,
        forward: &Forward::of(graph, convention, &Cell::new(limits::EXIT_STEPS)).ok()?,
        convention,
        noted,
        handing: leaving.handing?,
    };
    let spots = |index: &usize| {
        let jumps = approach.jumps_to(*index);
        jumps.or_else(|| Some(vec![at_return(graph, *index, convention)?]))
    };
    let spots: Option<Vec<_>> = returns.iter().map(spots).collect();
    Some(spots?.concat())
}

/// Describes the end at a return: the stack pointer is where the function was entered. `None` if it cannot be probed.
fn at_return(graph: &Graph<'_>, index: usize, convention: Convention) -> Option<Spot> {
    let at = graph.nodes.get(index)?.at;
    let tier = match graph.code.machine {
        Machine::X86_64 => Tier::Stepped,
        Machine::Aarch64 => is_plain_return(graph.code.from(at)?).then_some(Tier::Emulated)?,
    };
    Some(Spot {
        at,
        tier,
        instruction: Instruction::Return,
        depth: 0,
        result: Found::Register(convention.first_result(), WORD),
        when: None,
        is_rare: false,
    })
}

/// How many bytes a word has.
const WORD: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::around::{Around, bytes, code, code_of_aarch64, words};

    const ENTRY: u64 = 0x1000;

    fn ends(listing: &str, recovery: Option<u64>, noted_at: u64, handing: Option<&[u64]>) -> Result<Vec<Spot>, Cause> {
        let bytes = bytes(listing);
        let around = Around {
            last: vec![0x5000],
            ..Around::default()
        };
        let handing: Option<Vec<_>> = handing.map(|all| all.iter().map(|at| Vaddr(ENTRY + at)).collect());
        let leaving = Leaving {
            code: code(&bytes, ENTRY),
            convention: Convention::of_go(Machine::X86_64),
            recovery: recovery.map(|at| Vaddr(ENTRY + at)),
            noted_at: Vaddr(ENTRY + noted_at),
            handing: handing.as_deref(),
        };
        ends_of(&leaving, &around)
    }

    fn returns(listing: &str, recovery: Option<u64>, noted_at: u64) -> Result<Vec<u64>, Cause> {
        let found = ends(listing, recovery, noted_at, None)?;
        Ok(found.into_iter().map(|spot| spot.at.0 - ENTRY).collect())
    }

    /// push %rbp; sub $0x60,%rsp; test %rax,%rax; je to the end; test %rbx,%rbx; jne to the end; xor %ecx,%ecx; jmp to the end.
    const JUMPS: &str = "55 48 83 ec 60 48 85 c0 74 09 48 85 db 75 04 31 c9 eb 00 ";
    /// mov %rcx,0x20(%rsp); movb $0,0x1f(%rsp); mov 0x58(%rsp),%rdx; mov (%rdx),%rax; call *%rax; mov 0x20(%rsp),%rax;
    /// add $0x60,%rsp; pop %rbp; ret. The call is at 37.
    const DEFERRED: &str =
        "48 89 4c 24 20 c6 44 24 1f 00 48 8b 54 24 58 48 8b 02 ff d0 48 8b 44 24 20 48 83 c4 60 5d c3";

    #[test]
    fn jumps_stand_for_a_return_behind_a_deferred_call() {
        let whole = format!("{JUMPS}{DEFERRED}");
        let found = ends(&whole, None, 0, Some(&[])).unwrap();
        let found: Vec<_> = found
            .into_iter()
            .map(|spot| (spot.at.0 - ENTRY, spot.tier, spot.depth, spot.result, spot.when))
            .collect();
        let in_rcx = Found::Register(1, 8);
        assert_eq!(
            found,
            [
                (8, Tier::Emulated, 0x68, in_rcx, Some(4)),
                (13, Tier::Emulated, 0x68, in_rcx, Some(5)),
                (17, Tier::Emulated, 0x68, in_rcx, None),
            ]
        );
    }

    #[test]
    fn a_return_stands_for_itself_where_more_may_happen_before_it() {
        let is_return = |listing: &str, handing: Option<&[u64]>| {
            let found = ends(listing, None, 0, handing).unwrap();
            let [
                Spot {
                    tier,
                    depth: 0,
                    when: None,
                    ..
                },
            ] = found[..]
            else {
                return false;
            };
            tier == Tier::Stepped
        };
        let whole = format!("{JUMPS}{DEFERRED}");
        assert!(is_return(&whole, None), "the buffer may be anywhere");
        assert!(is_return(&whole, Some(&[37])), "the deferred call gets the buffer");
        // lea 0x20(%rsp),%rdx for the load of the deferred call.
        let reachable = whole.replace("48 8b 54 24 58", "48 8d 54 24 20");
        assert!(is_return(&reachable, Some(&[])), "the result may be changed");
        // inc %rcx in front of the store.
        let counted = format!("{JUMPS}48 ff c1 {DEFERRED}");
        assert!(is_return(&counted, Some(&[])), "the result is made later");
        // movq $0,0x20(%rsp)
        let constant = whole.replace("48 89 4c 24 20", "48 c7 44 24 20 00 00 00 00");
        assert!(is_return(&constant, Some(&[])), "the result is always zero");
        // The call leads to one place.
        let called = whole.replace("ff d0", "e8 00 30 00 00");
        assert!(is_return(&called, Some(&[])), "the function does more");
    }

    /// cmp 0x10(%r14),%rsp; jbe to the end; push %rbp
    const CHECK: &str = "49 3b 66 10 76 0d 55 ";
    /// call a function that makes room; jmp to the entry
    const GROW: &str = " e8 00 10 00 00 eb e6";

    #[test]
    fn every_return_that_can_be_reached_is_found_and_no_other_byte() {
        // test %rax,%rax; je +2; pop %rbp; ret; mov $0xc3,%al; pop %rbp; ret
        let body = "48 85 c0 74 02 5d c3 b0 c3 5d c3 cc";
        let found = returns(&format!("{CHECK}{body}{GROW}"), None, 6).unwrap();
        assert_eq!(found, [13, 17]);
    }

    #[test]
    fn a_return_behind_a_recovered_panic_is_found_too() {
        let body = "5d c3 e8 00 00 00 00 5d c3 cc cc cc";
        let whole = format!("{CHECK}{body}{GROW}");
        assert_eq!(returns(&whole, None, 6).unwrap(), [8]);
        assert_eq!(returns(&whole, Some(9), 6).unwrap(), [8, 15]);
        // In the middle of an instruction.
        assert!(matches!(returns(&whole, Some(5), 6), Err(Cause::Overlapping(_))));
    }

    #[test]
    fn any_doubt_refuses_the_function() {
        // jmp *%rax
        assert_eq!(returns("55 ff e0", None, 0), Err(Cause::ComputedJump(Vaddr(ENTRY + 1))));
        // jmp to another function
        assert!(matches!(
            returns("55 e9 00 10 00 00", None, 0),
            Err(Cause::NotUnderstood(_))
        ));
        // an instruction that does not exist
        assert!(matches!(returns("55 06 c3", None, 0), Err(Cause::NotUnderstood(_))));
        // falls off its end
        assert!(matches!(returns("55 90", None, 0), Err(Cause::NotUnderstood(_))));
        // jmp to itself
        assert_eq!(returns("55 eb fe", None, 0), Err(Cause::NoReturn(Vaddr(ENTRY))));
        // push %rbp; jmp to that
        assert_eq!(returns("55 74 fd c3", None, 0), Err(Cause::PassedTwice(Vaddr(ENTRY))));
        assert!(matches!(returns("55 c3", None, 7), Err(Cause::NotUnderstood(_))));
    }

    #[test]
    fn a_function_may_have_as_many_returns_as_the_limit() {
        let many = |count: usize| format!("55 {}c3", "74 01 c3 ".repeat(count - 1));
        assert_eq!(
            returns(&many(limits::EXIT_SITES), None, 0).unwrap().len(),
            limits::EXIT_SITES
        );
        assert_eq!(
            returns(&many(limits::EXIT_SITES + 1), None, 0),
            Err(Cause::TooManyEnds(Vaddr(ENTRY)))
        );
    }

    /// Looks for the ends of a function of aarch64 with a body of seven instructions.
    fn ends_on_aarch64(body: &str) -> Result<Vec<Spot>, Cause> {
        // ldr x16, [x28, #16]; cmp sp, x16; b.ls to the end; str x30, [sp, #-64]!
        let bytes = words(&format!("f9400b90 eb3063ff 54000129 f81c0ffe {body} 97fff000 17fffff4"));
        let leaving = Leaving {
            code: code_of_aarch64(&bytes, ENTRY),
            convention: Convention::of_go(Machine::Aarch64),
            recovery: None,
            noted_at: Vaddr(ENTRY + 8),
            handing: Some(&[]),
        };
        ends_of(&leaving, &Around::default())
    }

    #[test]
    fn every_return_of_aarch64_is_an_end_that_the_kernel_emulates() {
        // cbz x0, +16; bl; ldr x30, [sp], #64; ret; mov x0, xzr; ldr x30, [sp], #64; ret
        let body = "b4000080 94000400 f84407fe d65f03c0 aa1f03e0 f84407fe d65f03c0";
        let found = ends_on_aarch64(body).unwrap();
        let in_x0 = Found::Register(0, 8);
        let found: Vec<_> = found
            .into_iter()
            .map(|spot| (spot.at.0 - ENTRY, spot.tier, spot.depth, spot.result, spot.when))
            .collect();
        assert_eq!(
            found,
            [
                (28, Tier::Emulated, 0, in_x0, None),
                (40, Tier::Emulated, 0, in_x0, None)
            ]
        );
        // One of them checks the signature of its address: the kernel refuses a probe there.
        let signed = body.replacen("d65f03c0", "d65f0bff", 1);
        assert_eq!(ends_on_aarch64(&signed), Err(Cause::SignedReturn(Vaddr(ENTRY + 28))));
        // br x3
        let computed = body.replacen("d65f03c0", "d61f0060", 1);
        assert_eq!(ends_on_aarch64(&computed), Err(Cause::ComputedJump(Vaddr(ENTRY + 28))));
        // An instruction that is not known.
        let unknown = body.replacen("aa1f03e0", "d4000001", 1);
        assert_eq!(ends_on_aarch64(&unknown), Err(Cause::NotUnderstood(Vaddr(ENTRY + 32))));
        // A jump to the instruction where the call was noted.
        let again = body.replacen("94000400", "17fffffd", 1);
        assert_eq!(ends_on_aarch64(&again), Err(Cause::PassedTwice(Vaddr(ENTRY + 8))));
    }

    #[test]
    fn what_follows_a_call_that_never_returns_is_no_part_of_the_function() {
        // je +5; call; int3-free bytes; pop; ret
        let ends = "55 74 06 e8 f8 3f 00 00 06 5d c3";
        assert_eq!(returns(ends, None, 0).unwrap(), [10]);
    }
}
