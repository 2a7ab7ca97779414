//! Which errors of libssl the functions of an image report.
//!
//! A function of libssl that fails says so to the library's queue of errors: with the number of the library, with a reason, and
//! with the name of its file (`OPENSSL_PUT_ERROR` of BoringSSL, `ERR_raise` of OpenSSL; `include/openssl/err.h`). These numbers
//! are part of the interface, and a compiler has to leave them in the code as they are. So the functions that load the number of
//! the library are looked for first, and what they load beside it. What a function does is then read by the interpreter; here
//! nothing is proven.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem;

use crate::elf::address::{Access, Vaddr};
use crate::elf::image::{Frames, Image};
use crate::limits;

/// The number of libssl among the libraries of BoringSSL that report errors (`ERR_LIB_SSL` in `include/openssl/err.h`).
pub(super) const BORINGSSL: u8 = 16;
/// The same of OpenSSL.
pub(super) const OPENSSL: u8 = 20;

/// What an instruction begins with that loads a number of 32 bits into the register of the first argument, of the second and
/// of the third.
const LOADS_FIRST: u8 = 0xbf;
const LOADS_SECOND: u8 = 0xbe;
const LOADS_THIRD: u8 = 0xba;
/// What an instruction begins with that loads the address of a place into the register of the third argument.
const LOADS_ADDRESS: [u8; 3] = [0x48, 0x8d, 0x15];
/// What an instruction begins with that calls a fixed place.
const CALLS: u8 = 0xe8;
/// What an instruction begins with that jumps to a fixed place.
const JUMPS: u8 = 0xe9;
/// Reasons of libssl that are no alerts of the peer's lie below.
const REASONS: u32 = 0x300;

/// Holds the functions that report errors of libssl, and the reasons that they may give.
#[derive(Debug, Default)]
pub(super) struct Reports<'data>(BTreeMap<Vaddr, Reporting<'data>>);

/// A function that may report errors.
#[derive(Debug)]
struct Reporting<'data> {
    code: &'data [u8],
    reasons: BTreeSet<u32>,
}

impl<'data> Reports<'data> {
    /// Finds those of the libssl of a number in an image; none if it does not say where its functions begin, or if they are too
    /// many.
    pub(super) fn find(image: &Image<'data>, library: u8) -> Self {
        let loads_library = [LOADS_FIRST, library, 0, 0, 0];
        let frames = image.frames();
        let mut reports = BTreeMap::new();
        let segments = image.segments().iter();
        for segment in segments.filter(|segment| segment.access == Access::Code) {
            let Some(all) = image.bytes_from(segment.address) else {
                continue;
            };
            for at in memmem::find_iter(all, &loads_library) {
                let Some((begin, code)) = function_at(&frames, segment.address, all, at) else {
                    continue;
                };
                if reports.len() == limits::REPORTING_FUNCTIONS {
                    return Self::default();
                }
                reports.entry(begin).or_insert_with(|| Reporting {
                    code,
                    reasons: numbers(code, LOADS_THIRD),
                });
            }
        }
        Self(reports)
    }

    /// Lists the functions that may report all of some reasons.
    pub(super) fn with<'a>(&'a self, some: &'a [u32]) -> impl Iterator<Item = Vaddr> + 'a {
        let fits = move |reporting: &Reporting<'_>| some.iter().all(|reason| reporting.reasons.contains(reason));
        let found = self.0.iter().filter(move |(_, reporting)| fits(reporting));
        found.map(|(begin, _)| *begin)
    }

    /// Lists the functions, each with the addresses that it may load into the register of the third argument.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (Vaddr, BTreeSet<Vaddr>)> {
        let all = self.0.iter();
        all.map(|(begin, reporting)| (*begin, addresses(reporting.code, *begin)))
    }

    /// Lists the functions, each with the small numbers that it may load into the register of the second argument.
    pub(super) fn seconds(&self) -> impl Iterator<Item = (Vaddr, BTreeSet<u32>)> {
        let all = self.0.iter();
        all.map(|(begin, reporting)| (*begin, numbers(reporting.code, LOADS_SECOND)))
    }

    /// Returns whether a function may call one of some others. It need not: what looks like a call may be none.
    pub(super) fn may_call(&self, function: Vaddr, others: &[Vaddr]) -> bool {
        let code = self.0.get(&function).map_or(&[][..], |reporting| reporting.code);
        memchr::memchr_iter(CALLS, code).any(|at| {
            let target = target(code, function, at);
            target.is_some_and(|target| others.contains(&target))
        })
    }
}

/// Returns where a call leads, or a jump that has the same form.
fn target(code: &[u8], begin: Vaddr, at: usize) -> Option<Vaddr> {
    relative(code, begin, at.checked_add(1)?)
}

/// Returns the address that the last four bytes of an instruction give as a distance from what follows it.
fn relative(code: &[u8], begin: Vaddr, behind: usize) -> Option<Vaddr> {
    let distance = i32::from_le_bytes(*code.get(behind..)?.first_chunk()?);
    let next = begin.checked_add(u64::try_from(behind.checked_add(size_of::<i32>())?).ok()?)?;
    Some(Vaddr(next.0.wrapping_add_signed(distance.into())))
}

/// Finds the functions that may call one of some others, or jump to it, among those that lie around an address.
pub(super) fn callers_around(image: &Image<'_>, address: Vaddr, others: &[Vaddr]) -> BTreeSet<Vaddr> {
    let window = || {
        let segment = image.segments().containing(address)?;
        let begin = segment.address.0.max(address.0.saturating_sub(limits::CALLERS_WINDOW));
        let length = usize::try_from(address.0.saturating_sub(begin).checked_add(limits::CALLERS_WINDOW)?).ok()?;
        let code = image.bytes_from(Vaddr(begin))?;
        Some((Vaddr(begin), code.get(..length).unwrap_or(code)))
    };
    let Some((begin, code)) = window() else {
        return BTreeSet::new();
    };
    let frames = image.frames();
    let calls = memchr::memchr2_iter(CALLS, JUMPS, code).filter(|at| {
        let target = target(code, begin, *at);
        target.is_some_and(|target| others.contains(&target))
    });
    let around = |at: usize| frames.around(begin.checked_add(u64::try_from(at).ok()?)?);
    calls.filter_map(around).map(|(function, _)| function).collect()
}

/// Finds the function that a place of a segment lies in: where it begins, and its code.
fn function_at<'data>(
    frames: &Frames<'_>,
    segment: Vaddr,
    all: &'data [u8],
    at: usize,
) -> Option<(Vaddr, &'data [u8])> {
    let (begin, end) = frames.around(segment.checked_add(u64::try_from(at).ok()?)?)?;
    Some((begin, cut(all, segment, begin, end)?))
}

/// Cuts a function out of the code of its segment; none if it is too large to be one of libssl.
fn cut(code: &[u8], segment: Vaddr, begin: Vaddr, end: Vaddr) -> Option<&[u8]> {
    let from = usize::try_from(begin.0.checked_sub(segment.0)?).ok()?;
    let length = usize::try_from(end.0.checked_sub(begin.0)?).ok()?;
    let all = code.get(from..)?;
    let function = all.get(..length).unwrap_or(all);
    (function.len() <= limits::REPORTING_FUNCTION).then_some(function)
}

/// Lists the small numbers that a function may load by instructions that begin with a byte.
fn numbers(code: &[u8], loads: u8) -> BTreeSet<u32> {
    let loaded = memchr::memchr_iter(loads, code).filter_map(|at| number_behind(code, at.checked_add(1)?));
    loaded.filter(|number| *number < REASONS).collect()
}

fn number_behind(code: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*code.get(at..)?.first_chunk()?))
}

/// Lists the addresses that a function may load into the register of the third argument.
fn addresses(code: &[u8], begin: Vaddr) -> BTreeSet<Vaddr> {
    let absolute = memchr::memchr_iter(LOADS_THIRD, code).filter_map(|at| number_behind(code, at.checked_add(1)?));
    let absolute = absolute.filter(|number| *number >= REASONS);
    let relative = memmem::find_iter(code, &LOADS_ADDRESS).filter_map(|at| {
        let behind = at.checked_add(LOADS_ADDRESS.len())?;
        relative(code, begin, behind)
    });
    absolute.map(|number| Vaddr(number.into())).chain(relative).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_found_that_a_function_may_load() {
        // mov edi,16; xor esi,esi; mov edx,226; call; mov edx,0x12345; mov edx,215 cut short
        let code = [
            0xbf, 16, 0, 0, 0, 0x31, 0xf6, 0xba, 226, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xba, 0x45, 0x23, 1, 0, 0xba, 215, 0,
            0,
        ];
        assert_eq!(numbers(&code, LOADS_THIRD), BTreeSet::from([226]));
    }

    #[test]
    fn the_addresses_are_found_that_a_function_may_load() {
        // lea rdx,[rip+0x10]; mov edx,0x456789; mov edx,271; lea rdx,[rip+..] cut short
        let code = [
            0x48, 0x8d, 0x15, 0x10, 0, 0, 0, 0xba, 0x89, 0x67, 0x45, 0, 0xba, 15, 1, 0, 0, 0x48, 0x8d, 0x15, 1,
        ];
        let found = addresses(&code, Vaddr(0x1000));
        assert_eq!(found, BTreeSet::from([Vaddr(0x1017), Vaddr(0x45_6789)]));
    }

    fn reporting(code: &[u8]) -> Reporting<'_> {
        let reasons = numbers(code, LOADS_THIRD);
        Reporting { code, reasons }
    }

    #[test]
    fn a_function_is_asked_for_by_what_it_reports_and_whom_it_calls() {
        // mov edx,215; call +0x100; mov edx,226
        let both = [0xba, 215, 0, 0, 0, 0xe8, 0, 1, 0, 0, 0xba, 226, 0, 0, 0];
        let reports = Reports(BTreeMap::from([
            (Vaddr(0x1000), reporting(&both)),
            (Vaddr(0x2000), reporting(&both[..5])),
        ]));
        let found = |some: &[u32]| reports.with(some).map(|at| at.0).collect::<Vec<_>>();
        assert_eq!(found(&[215, 226]), [0x1000]);
        assert_eq!(found(&[215]), [0x1000, 0x2000]);
        assert_eq!(found(&[66]), Vec::<u64>::new());
        assert!(reports.may_call(Vaddr(0x1000), &[Vaddr(1), Vaddr(0x110a)]));
        assert!(!reports.may_call(Vaddr(0x1000), &[Vaddr(0x110b)]));
        assert!(!reports.may_call(Vaddr(0x2000), &[Vaddr(0x110a)]) && !reports.may_call(Vaddr(1), &[Vaddr(0x110a)]));
    }

    #[test]
    fn a_function_may_fill_its_limit_and_no_more() {
        let code = vec![0; limits::REPORTING_FUNCTION + 10];
        let cut = |end: usize| cut(&code, Vaddr(0x1000), Vaddr(0x1001), Vaddr(0x1001 + end as u64));
        assert_eq!(
            cut(limits::REPORTING_FUNCTION).map(<[u8]>::len),
            Some(limits::REPORTING_FUNCTION)
        );
        assert_eq!(cut(limits::REPORTING_FUNCTION + 1), None);
    }
}
