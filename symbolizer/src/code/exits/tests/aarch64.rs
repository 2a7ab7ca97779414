//! The same for aarch64, where the kernel emulates a return.

use super::*;
use crate::code::around::{code_of_aarch64, words};

const X0: Found = Found::Register(0, 4);

/// `SSL_read` of Debian's libssl 3.0.
const WRAPPER: &str =
    "d10083ff d00003c3 f9473863 a9017bfd 910043fd f9400064 f90007e4 d2800004 37f802e2 93407c42 910003e3
    97ffff81 7100001f b94003e1 1a80c020 d00003c1 f9473821 f94007e3 f9400022 eb020063 d2800002 54000301 a9417bfd 910083ff
    d2800001 d2800002 d2800003 d2800004 d2800010 d2800011 d65f03c0 97ffa678 d0000262 9115c042 9106a042 5280e981 d0000260
    910ea000 97ffa851 52800280 d2800002 528021e1 97ffa7c9 12800000 17ffffe3 97ffa716";

fn find_in(
    listing: &str,
    around: &Around,
    pointers: &dyn Fn(Pointer) -> Vec<Vaddr>,
    question: &Question,
) -> Result<Vec<Short>, Cause> {
    let words = words(listing);
    let code = code_of_aarch64(&words, question.entry.0);
    let ends = Body::of(code, question.entry, around, pointers, &budget())?.ends(question)?;
    let short = |spot: &Spot| (spot.at.0, spot.result, spot.when, spot.depth);
    Ok(ends.spots.iter().map(short).collect())
}

/// Looks for the ends of all calls of code at 0x1000, whose calls are noted elsewhere.
fn all_in(listing: &str, around: &Around) -> Result<Vec<Short>, Cause> {
    let question = Question {
        noted_at: Vaddr(0),
        ways: Ways::All,
        ..question(0x1000)
    };
    find_in(listing, around, &nowhere, &question)
}

fn all(listing: &str) -> Result<Vec<Short>, Cause> {
    all_in(listing, &Around::default())
}

#[test]
fn all_calls_of_a_wrapper_end_where_it_checks_its_stack() {
    let around = Around {
        last: vec![0x1_f650],
        ..Around::default()
    };
    let question = Question {
        noted_at: Vaddr(0x3_5948),
        ..question(0x3_5944)
    };
    let found = find_in(WRAPPER, &around, &nowhere, &question).unwrap();
    assert_eq!(found, [(0x3_5998, X0, None, 0x20)]);
}

#[test]
fn a_function_without_another_site_ends_at_its_returns() {
    let listing = "a9bf7bfd     ; stp x29, x30, [sp, #-16]!
        34000081            ; cbz w1, 1f
        52800020 a8c17bfd d65f03c0
        52800000 a8c17bfd d65f03c0 ; 1: mov w0, #0; ldp x29, x30, [sp], #16; ret";
    assert_eq!(all(listing).unwrap(), [(0x1010, X0, None, 0), (0x101c, X0, None, 0)]);
}

#[test]
fn a_way_out_of_a_branch_on_the_flags_is_an_end() {
    let listing = "a9bf7bfd 94000400 7100001f
        5400008d            ; b.le 1f
        b900027f 528000e0
        14000001            ; b 1f
        a8c17bfd d65f0bff   ; 1: ldp x29, x30, [sp], #16; retaa";
    assert_eq!(
        all(listing).unwrap(),
        [(0x100c, X0, Some(13), 16), (0x1018, X0, None, 16)]
    );
    let on_register = listing.replace("5400008d", "34000080"); // cbz w0
    assert_eq!(all(&on_register), Err(Cause::Missed(Vaddr(0x1020))));
}

#[test]
fn a_jump_through_a_stub_is_followed() {
    let listing = "14000001         ; b
        90000490 f944ba11 9125c210 d61f0220 ; adrp x16; ldr x17, [x16]; add x16; br x17
        b900003f d65f03c0   ; str wzr, [x1]; ret";
    let around = Around {
        linked: vec![(0x9_1970, 0x1014)],
        ..Around::default()
    };
    assert_eq!(all_in(listing, &around).unwrap(), [(0x1018, X0, None, 0)]);
    assert_eq!(all(listing), Err(Cause::LeavesImage(Vaddr(0x1004))));
}

#[test]
fn a_jump_to_a_pointer_of_an_argument_is_followed() {
    let listing = "f9400401 f9400821 d61f0020 d65f03c0"; // ldr x1, [x0, #8]; ldr x1, [x1, #16]; br x1; ret
    let pointers = |pointer| match pointer {
        Pointer::Field(field) if field.two().is_some_and(|(at, _)| at == [8, 16]) => vec![Vaddr(0x100c)],
        Pointer::Field(_) | Pointer::Behind(_) => Vec::new(),
    };
    let question = Question {
        ways: Ways::All,
        ..question(0x1000)
    };
    let found = find_in(listing, &Around::default(), &pointers, &question);
    assert_eq!(found.unwrap(), [(0x100c, X0, None, 0)]);
    assert_eq!(all(listing), Err(Cause::ComputedJump(Vaddr(0x1008))));
}

#[test]
fn what_is_in_doubt_is_refused() {
    for (listing, cause) in [
        ("d65f0bff", Cause::Missed(Vaddr(0x1000))),                 // retaa
        ("d10043ff d65f03c0", Cause::Unbalanced(Vaddr(0x1004))),    // sub sp, sp, #16; ret
        ("cb2963ff d65f03c0", Cause::StackPointer(Vaddr(0x1004))),  // sub sp, sp, x9; ret
        ("d4000001 d65f03c0", Cause::NotUnderstood(Vaddr(0x1000))), // svc #0; ret
        ("d65f0020", Cause::NotUnderstood(Vaddr(0x1000))),          // ret x1
        ("94000040", Cause::NotUnderstood(Vaddr(0x1004))),          // bl
        ("d4207d00", Cause::NoReturn(Vaddr(0x1000))),               // brk #1000
    ] {
        assert_eq!(all(listing), Err(cause), "{listing}");
    }
}
