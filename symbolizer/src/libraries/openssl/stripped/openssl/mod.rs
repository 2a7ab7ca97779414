//! OpenSSL in an image that names none of its functions.
//!
//! Functions are found by the names in the errors that they report, each is proven by what its code does with its arguments,
//! and is the only one or is refused. What is found is handed on under its name: a plan is then made as of a library with names.

mod fields;
mod others;
mod reported;
mod tables;
mod transfer;

use crate::elf::address::Vaddr;
use crate::elf::image::Image;
use crate::elf::machine::Machine;
use crate::elf::survey::{Finding, Survey, SymbolSource};
use crate::libraries::openssl::derived::Derived;
use crate::libraries::openssl::functions::{
    PEEK, READ, READ_EX, READ_INTERNAL, WRITE, WRITE_EX, WRITE_EX2, WRITE_INTERNAL,
};
use crate::libraries::openssl::tap::linkage::Linkage;
use crate::reason::StrippedRefusal;

use super::finding;
use super::reports::{self, Reports};
use fields::Bios;
use reported::Reported;
use transfer::{Names, Transfer};

/// What is found of a library.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// What the image's symbol tables name, and the functions that were found.
    pub(crate) survey: Survey,
    /// The way to the descriptor, as far as their code says it.
    pub(crate) derived: Derived,
}

/// Finds the functions in an image; nothing if there is no such library.
pub(crate) fn find(image: &Image<'_>, survey: &Survey) -> Result<Option<Recovered>, StrippedRefusal> {
    if image.machine() != Machine::X86_64 {
        return Ok(None);
    }
    let linkage = &Linkage::new(image, survey);
    let reports = Reports::find(image, reports::OPENSSL);
    let reported = reported::find(linkage, &reports);
    let direction = |plain, internal| transfer::find(linkage, &reported, Names { plain, internal });
    let (Some(reads), Some(writes)) = (direction(READ, READ_INTERNAL)?, direction(WRITE, WRITE_INTERNAL)?) else {
        return Ok(None);
    };
    let ([method, read], [other, write]) = (reads.slot, writes.slot);
    let reports_to = |address| {
        reported
            .iter()
            .find(|one| one.address == address)
            .map(|one| one.reporter)
    };
    if method != other || reports_to(reads.plain) != reports_to(writes.plain) {
        return Err(StrippedRefusal::SeveralCopies(WRITE));
    }
    let mut found = required(linkage, &reported, (&reads, &writes))?;
    found.extend(optional(&reported, (&reads, &writes), method));
    found.extend(early(linkage, &reports, (&reads, &writes)));
    // Only how many arguments they take matters of these, which is the same of all.
    let allocating = others::allocating(linkage, &reported);
    found.extend(allocating.into_iter().map(|address| ("CRYPTO_free", address)));
    let tables = tables::find(image, [read, write]);
    found.extend(tables.functions);
    let named = |name: &str| found.iter().find(|(own, _)| *own == name).map(|(_, address)| *address);
    let bios = Bios::find(linkage, named, &reported);
    found.extend(setters(bios));
    let frames = image.frames();
    let findings = found.into_iter().map(|(name, address)| Finding {
        size: frames
            .around(address)
            .filter(|(begin, _)| *begin == address)
            .map_or(0, |(begin, end)| end.0.saturating_sub(begin.0)),
        ..finding(address, name, SymbolSource::ErrorsAndFile)
    });
    Ok(Some(Recovered {
        survey: survey.with(findings),
        derived: bios.derived(linkage, tables.socket),
    }))
}

/// Lists the functions that give a connection BIOs.
fn setters(bios: Bios) -> impl Iterator<Item = Named> {
    let Bios { rbio, wbio, both } = bios;
    let setters = [("SSL_set0_rbio", rbio), ("SSL_set0_wbio", wbio)];
    let setters = setters.map(|(name, setter)| (name, setter.map(|setter| setter.address)));
    let all = setters.into_iter().chain([("SSL_set_bio", both)]);
    all.filter_map(|(name, address)| Some((name, address?)))
}

type Named = (&'static str, Vaddr);

/// Lists the functions without which bytes would be missed, or be given to the wrong connection.
fn required(
    linkage: &Linkage<'_, '_>,
    reported: &[Reported],
    (reads, writes): (&Transfer, &Transfer),
) -> Result<Vec<Named>, StrippedRefusal> {
    let missing = StrippedRefusal::FunctionMissing;
    let peek = others::only(reported, PEEK, |_| true).ok_or(missing(PEEK))?;
    Ok(vec![
        (READ, reads.plain),
        (WRITE, writes.plain),
        (PEEK, peek.address),
        (READ_EX, reads.counted.ok_or(missing(READ_EX))?),
        (WRITE_EX, writes.counted.ok_or(missing(WRITE_EX))?),
        (
            "SSL_free",
            others::frees(linkage, reported).ok_or(StrippedRefusal::EndUnknown)?,
        ),
    ])
}

fn optional(reported: &[Reported], (reads, writes): (&Transfer, &Transfer), method: u16) -> Vec<Named> {
    let descriptor = |name| (name, others::sets_descriptor(reported, name));
    let found = [
        (READ_INTERNAL, reads.internal),
        (WRITE_INTERNAL, writes.internal),
        (WRITE_EX2, writes.flagged),
        descriptor("SSL_set_fd"),
        descriptor("SSL_set_rfd"),
        descriptor("SSL_set_wfd"),
        ("SSL_clear", others::clear(reported, method)),
        ("SSL_do_handshake", others::handshake(reported, method)),
        ("SSL_sendfile", others::sends_file(reported)),
    ];
    let found = found.into_iter().filter_map(|(name, address)| Some((name, address?)));
    found.collect()
}

/// Lists the functions that move early data.
fn early(
    linkage: &Linkage<'_, '_>,
    reports: &Reports<'_>,
    (reads, writes): (&Transfer, &Transfer),
) -> impl Iterator<Item = Named> {
    let find = |name, transfer: &Transfer| {
        let moving = [transfer.counted, transfer.flagged, transfer.internal];
        let moving: Vec<_> = moving.into_iter().flatten().collect();
        let naming = reported::naming(linkage, reports, name);
        Some((name, others::early(linkage.image, naming, &moving)?))
    };
    let found = [find("SSL_read_early_data", reads), find("SSL_write_early_data", writes)];
    found.into_iter().flatten()
}
