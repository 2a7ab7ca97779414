//! Images that are built in memory, one property each: the claims of the crate's interface, and what it refuses.

#![cfg(test)]

mod layout;
mod gnutls;
mod library;
mod named;
mod plans;
mod refusals;
mod rustls;
mod support;

use std::io::Write as _;

use lzma_rust2::{XzOptions, XzWriter};
use symbolizer::{Plans, ProbePlan, Reason};

use support::Elf;

const PUSH: [u8; 2] = [0x55, 0xc3];
const ENDBR64_PUSH: [u8; 6] = [0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0xc3];
const ENDBR64_SUB: [u8; 9] = [0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x83, 0xec, 0x18, 0xc3];
const SUB: [u8; 5] = [0x48, 0x83, 0xec, 0x18, 0xc3];
const OPENSSL: &str = "OpenSSL 3.0.19 27 Jan 2026";

fn planned(elf: &Elf) -> ProbePlan {
    only(symbolizer::plan(&elf.build(), None).unwrap())
}

/// Returns the plan of an image that holds one library.
fn only(mut plans: Plans) -> ProbePlan {
    assert_eq!(plans.plans.len(), 1, "not traced because {:?}", plans.reasons);
    plans.plans.remove(0)
}

fn refused(elf: &Elf) -> Reason {
    refused_bytes(&elf.build())
}

fn refused_bytes(image: &[u8]) -> Reason {
    let mut plans = symbolizer::plan(image, None).unwrap();
    assert_eq!(plans.plans, [], "there is nothing to trace");
    assert_eq!(plans.reasons.len(), 1);
    plans.reasons.remove(0)
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(0)).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}
