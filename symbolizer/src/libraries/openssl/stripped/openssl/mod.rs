//! OpenSSL in an image that names none of its functions.
//!
//! Functions are found by the names in the errors that they report, each is proven by what its code does with its arguments,
//! and is the only one or is refused. What is found is handed on under its name: a plan is then made as of a library with names.

mod others;
mod reported;
mod tables;
mod transfer;

use crate::elf::address::Vaddr;
use crate::elf::image::Image;
use crate::elf::machine::Machine;
use crate::elf::survey::{Finding, Survey, SymbolSource};
use crate::libraries::openssl::functions::{
    PEEK, READ, READ_EX, READ_INTERNAL, WRITE, WRITE_EX, WRITE_EX2, WRITE_INTERNAL,
};
use crate::libraries::openssl::tap::linkage::Linkage;
use crate::reason::StrippedRefusal;

use super::finding;
use super::reports::{self, Reports};
use reported::Reported;
use transfer::{Names, Transfer};

/// Finds the functions in an image, and adds them to what its symbol tables name; nothing if there is no such library.
pub(crate) fn find(image: &Image<'_>, survey: &Survey) -> Result<Option<Survey>, StrippedRefusal> {
    if image.machine() != Machine::X86_64 {
        return Ok(None);
    }
    let linkage = &Linkage::new(image, survey);
    let reported = reported::find(linkage, &Reports::find(image, reports::OPENSSL));
    let direction = |plain, internal| transfer::find(linkage, &reported, Names { plain, internal });
    let (Some(reads), Some(writes)) = (direction(READ, READ_INTERNAL)?, direction(WRITE, WRITE_INTERNAL)?) else {
        return Ok(None);
    };
    let ([method, read], [other, write]) = (reads.slot, writes.slot);
    let reporter = |address| reported.iter().find(|one| one.address == address).map(|one| one.reporter);
    if method != other || reporter(reads.plain) != reporter(writes.plain) {
        return Err(StrippedRefusal::SeveralCopies(WRITE));
    }
    let mut found = required(linkage, &reported, (&reads, &writes))?;
    found.extend(optional(&reported, (&reads, &writes), method));
    found.extend(tables::find(image, [read, write]));
    let frames = image.frames();
    let findings = found.into_iter().map(|(name, address)| Finding {
        size: frames
            .around(address)
            .filter(|(begin, _)| *begin == address)
            .map_or(0, |(begin, end)| end.0.saturating_sub(begin.0)),
        ..finding(address, name, SymbolSource::ErrorsAndFile)
    });
    Ok(Some(survey.with(findings)))
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
        ("SSL_free", others::frees(linkage, reported).ok_or(StrippedRefusal::EndUnknown)?),
    ])
}

fn optional(reported: &[Reported], (reads, writes): (&Transfer, &Transfer), method: u16) -> Vec<Named> {
    let reading: Vec<_> = [reads.counted, reads.internal].into_iter().flatten().collect();
    let writing: Vec<_> = [writes.counted, writes.flagged, writes.internal].into_iter().flatten().collect();
    let early = |name, moving: &[Vaddr]| (name, others::early(reported, name, moving));
    let descriptor = |name| (name, others::sets_descriptor(reported, name));
    let found = [
        (READ_INTERNAL, reads.internal),
        (WRITE_INTERNAL, writes.internal),
        (WRITE_EX2, writes.flagged),
        descriptor("SSL_set_fd"),
        descriptor("SSL_set_rfd"),
        descriptor("SSL_set_wfd"),
        ("SSL_clear", others::clear(reported, method)),
        ("SSL_do_handshake", others::handshake(reported)),
        ("SSL_sendfile", others::sends_file(reported)),
        early("SSL_read_early_data", &reading),
        early("SSL_write_early_data", &writing),
    ];
    let found = found.into_iter().filter_map(|(name, address)| Some((name, address?)));
    found.collect()
}
