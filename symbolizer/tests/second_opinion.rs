//! Two ELF readers, one answer.
//!
//! This crate reads with `object`. On every ELF image installed on the machine, it has to agree with `goblin` on every
//! loadable segment and on the name and address of every function. A fault that both readers share is the only one
//! left.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use goblin::elf::program_header::{PF_X, PT_LOAD};
use goblin::elf::sym::STT_FUNC;
use goblin::elf::{Elf, Sym, Symtab};
use goblin::strtab::Strtab;
use symbolizer::{Access, Image, Presence, SymbolKind, Table, limits};

const ROOTS: [&str; 3] = ["/usr/bin", "/usr/sbin", "/usr/lib"];
/// Any installation has more images than this; fewer means that the walk is broken.
const FEWEST: usize = 100;
/// A prime: the walk visits every image, and if time runs out it has visited a sample of all folders.
const STRIDE: usize = 7919;
/// Debug builds on slow machines stop here.
const PATIENCE: Duration = Duration::from_secs(40);

type Functions<'data> = BTreeSet<(&'data [u8], u64, u64)>;

#[test]
fn object_and_goblin_agree_on_every_installed_image() {
    let paths = images();
    let deadline = Instant::now() + PATIENCE;
    let (mut compared, mut functions) = (0, 0);
    for index in (0..paths.len()).map(|step| step * STRIDE % paths.len()) {
        if Instant::now() > deadline {
            break;
        }
        if let Some(count) = compare(&paths[index]) {
            compared += 1;
            functions += count;
        }
    }
    println!(
        "compared {functions} functions of {compared} images, of {} installed",
        paths.len()
    );
    assert!(compared >= FEWEST, "only {compared} images were compared");
}

/// Compares one image and returns the number of its functions; None if it is not for us.
fn compare(path: &Path) -> Option<usize> {
    let data = fs::read(path).ok()?;
    let ours = Image::parse(&data)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .ok()?;
    let theirs = Elf::parse(&data).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(
        our_segments(&ours),
        their_segments(&theirs),
        "segments of {}",
        path.display()
    );
    let tables = [
        (Table::Dynsym, &theirs.dynsyms, &theirs.dynstrtab),
        (Table::Symtab, &theirs.syms, &theirs.strtab),
    ];
    let count = |(table, symbols, strings)| {
        let ours = our_functions(&ours, table);
        let theirs = their_functions(symbols, strings);
        let difference: Vec<_> = ours.symmetric_difference(&theirs).take(3).collect();
        assert!(
            difference.is_empty(),
            "{table:?} of {}: {difference:x?}",
            path.display()
        );
        ours.len()
    };
    Some(tables.into_iter().map(count).sum())
}

fn our_segments(image: &Image<'_>) -> Vec<(u64, u64, u64, bool)> {
    let segment = |s: &symbolizer::Segment| (s.address.0, s.offset.0, s.file_size, s.access == Access::Code);
    image.segments().iter().map(segment).collect()
}

fn their_segments(elf: &Elf<'_>) -> Vec<(u64, u64, u64, bool)> {
    let loaded = elf.program_headers.iter().filter(|header| header.p_type == PT_LOAD);
    loaded
        .map(|header| {
            (
                header.p_vaddr,
                header.p_offset,
                header.p_filesz,
                header.p_flags & PF_X != 0,
            )
        })
        .collect()
}

fn our_functions<'data>(image: &Image<'data>, table: Table) -> Functions<'data> {
    let symbols = image.symbols(table).expect("the table is sound");
    let defined = symbols.filter(|s| s.kind == SymbolKind::Function && s.presence == Presence::Defined);
    defined
        .map(|s| {
            (
                s.name_within(limits::SYMBOL_NAME).expect("it has a name"),
                s.address.0,
                s.size,
            )
        })
        .collect()
}

fn their_functions<'data>(symbols: &Symtab<'data>, strings: &Strtab<'data>) -> Functions<'data> {
    let defined = |symbol: &Sym| symbol.st_type() == STT_FUNC && symbol.st_shndx != 0;
    let name = |symbol: &Sym| strings.get_at(symbol.st_name).unwrap_or_default().as_bytes();
    symbols
        .iter()
        .filter(defined)
        .map(|symbol| (name(&symbol), symbol.st_value, symbol.st_size))
        .collect()
}

/// Finds the images in a fixed order, each once.
fn images() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ROOTS.iter().map(PathBuf::from).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && is_elf(&entry.path()) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok()) && magic == *b"\x7fELF"
}
