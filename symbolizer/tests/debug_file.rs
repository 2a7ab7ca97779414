//! Symbols that lie in a file of their own, as `objcopy` of binutils makes one.

#![cfg(test)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use symbolizer::{DebugLink, Plans, Reason, SymbolSource, Unread};

use support::{Built, compiled};

const ID: [u8; 4] = [0xab, 0xcd, 0xef, 0x01];

/// A program with a TLS library in it: as it was linked, stripped, and the file that holds its symbols.
struct Split {
    whole: Vec<u8>,
    stripped: Vec<u8>,
    debug_file: Vec<u8>,
}

impl Split {
    fn of(name: &str, flags: &[&str]) -> Self {
        let flags = [&["-O2", "-g", "-DMAIN"], flags].concat();
        let (built, whole) = compiled("tls.c", name, &flags);
        let (stripped, debug_file) = (beside(&built, "stripped"), beside(&built, "debug"));
        objcopy(&["--only-keep-debug"], &built.0, &debug_file.0);
        objcopy(
            &[
                "--strip-all",
                &format!("--add-gnu-debuglink={}", debug_file.0.display()),
            ],
            &built.0,
            &stripped.0,
        );
        Self {
            whole,
            stripped: fs::read(&stripped.0).unwrap(),
            debug_file: fs::read(&debug_file.0).unwrap(),
        }
    }

    fn link(&self) -> DebugLink {
        symbolizer::debug_link(&self.stripped).unwrap().expect("it is stripped")
    }
}

fn beside(built: &Built, end: &str) -> Built {
    let mut path = built.0.clone();
    path.set_extension(end);
    Built(path)
}

fn objcopy(options: &[&str], from: &Path, to: &Path) {
    let status = Command::new("objcopy").args(options).args([from, to]).status();
    assert!(status.expect("binutils is installed").success());
}

fn plans(image: &[u8], debug_file: Option<&[u8]>) -> Plans {
    symbolizer::plan_partly(image, &Unread::default(), None, debug_file).unwrap()
}

#[test]
fn a_stripped_program_is_planned_like_the_whole_one() {
    let split = Split::of("like-whole", &["-Wl,--build-id=0xabcdef01"]);
    assert!(matches!(plans(&split.stripped, None).reasons[..], [Reason::NoSymbols]));
    let mut completed = plans(&split.stripped, Some(&split.debug_file)).plans;
    assert!(
        completed[0]
            .hooks
            .iter()
            .any(|hook| hook.found == SymbolSource::DebugFile)
    );
    let mut expected = plans(&split.whole, None).plans;
    for hook in completed[0].hooks.iter_mut().chain(&mut expected[0].hooks) {
        assert_ne!(hook.found, SymbolSource::GnuDebugdata);
        hook.found = SymbolSource::Symtab;
    }
    assert_eq!(format!("{completed:?}"), format!("{expected:?}"));
}

#[test]
fn the_file_is_known_by_its_identifier_or_by_its_name_and_checksum() {
    let split = Split::of("known", &["-Wl,--build-id=0xabcdef01"]);
    let link = split.link();
    assert_eq!(link.build_id.as_deref(), Some(&ID[..]));
    assert_eq!(link.id_in_hex().as_deref(), Some("abcdef01"));
    let (name, checksum) = link.file.clone().unwrap();
    assert_eq!(
        name,
        format!("symbolizer-{}-known.debug", std::process::id()).as_bytes()
    );
    assert_ne!(checksum, 0);
    assert!(link.has_same_id(&split.debug_file));
    let other = Split::of("other", &["-Wl,--build-id=0xabcdef02"]);
    assert!(!link.has_same_id(&other.debug_file));
    let without = Split::of("without", &["-Wl,--build-id=none"]);
    assert_eq!(without.link().build_id, None);
    assert!(!without.link().has_same_id(&without.debug_file));
    assert!(!link.has_same_id(b""));
}

#[test]
fn an_image_that_shows_its_functions_needs_no_other_file() {
    let link = |image: &[u8]| symbolizer::debug_link(image).unwrap();
    assert_eq!(link(&Split::of("shows", &[]).whole), None);
    // A library exports them, and strip leaves that.
    let (_built, library) = compiled("tls.c", "library.so", &["-O2", "-shared", "-fPIC", "-s"]);
    assert_eq!(link(&library), None);
    assert!(symbolizer::debug_link(b"#!/bin/sh").is_err());
}

#[test]
fn no_cut_or_foreign_file_does_harm() {
    let split = Split::of("harm", &[]);
    let own = plans(&split.stripped, None);
    for end in (0..split.debug_file.len()).step_by(7) {
        // Symbols are used whole or not at all.
        let cut = symbolizer::plan_partly(
            &split.stripped,
            &Unread::default(),
            None,
            Some(&split.debug_file[..end]),
        );
        assert_eq!(format!("{:?}", cut.unwrap()), format!("{own:?}"), "cut at {end}");
    }
    for foreign in [&b"no image"[..], &split.stripped] {
        assert_eq!(
            format!("{:?}", plans(&split.stripped, Some(foreign))),
            format!("{own:?}")
        );
    }
    // Its own symbols count before those of another file.
    let whole = plans(&split.whole, Some(&split.debug_file));
    assert!(
        whole.plans[0]
            .hooks
            .iter()
            .all(|hook| hook.found != SymbolSource::DebugFile)
    );
}
