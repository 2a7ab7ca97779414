//! The same libraries in an image that names none of their functions: a program that is linked with one statically and
//! stripped.
//!
//! Nothing is traced then, but tlscope names the library. Texts alone are no proof: a scanner has them, too. So
//! each library has a sign that only its own code or data makes: errors that a function returns, names beside their numbers in
//! a table, or places in the source that errors are reported with. Of those that say no word of TLS, code has to load a label
//! of TLS's key derivation as well.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem;

use crate::code::bytes::Code;
use crate::code::loads::{Base, Use, loads};
use crate::elf::address::{Access, FileOffset, Vaddr};
use crate::elf::image::Image;
use crate::libraries::traces::LABELS;
use crate::limits;

/// Holds what an image without names says of a library.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Nameless {
    /// Its version, if one text states it.
    pub(super) version: Option<String>,
}

/// The texts of an image, and what its code does with them.
pub(super) struct Texts<'a, 'data> {
    pub(super) image: &'a Image<'data>,
}

impl<'data> Texts<'_, 'data> {
    /// Finds the texts that hold a mark, whole: up to the zeros around them. As many as the limit.
    #[expect(
        clippy::needless_collect,
        reason = "the texts are handed out after the mark that they are found by is gone"
    )]
    pub(super) fn around(&self, mark: &[u8]) -> impl Iterator<Item = (Vaddr, &'data [u8])> {
        let data = self.image.data();
        let found: Vec<_> = memmem::find_iter(data, mark).take(limits::MARKED_TEXTS).collect();
        let whole = move |at: usize| {
            let first = at.saturating_sub(limits::SOURCE_FILE);
            let before = memchr::memrchr(0, data.get(first..at)?)?;
            let begin = first.checked_add(before)?.checked_add(1)?;
            let rest = data.get(begin..)?;
            let window = rest.get(..limits::SOURCE_FILE).unwrap_or(rest);
            let text = window.get(..memchr::memchr(0, window)?)?;
            let offset = FileOffset(begin.try_into().ok()?);
            Some((self.image.segments().address_of(offset)?, text))
        };
        found.into_iter().filter_map(whole)
    }

    /// Returns where some texts stand, each with its number among them. One may be a part of a longer text.
    pub(super) fn places_of(&self, texts: &[&[u8]]) -> BTreeMap<Vaddr, usize> {
        let mut places = BTreeMap::new();
        for (number, text) in texts.iter().enumerate() {
            for at in memmem::find_iter(self.image.data(), text).take(limits::MARKED_TEXTS) {
                let offset = at.try_into().ok().map(FileOffset);
                let address = offset.and_then(|offset| self.image.segments().address_of(offset));
                places.extend(address.map(|address| (address, number)));
            }
        }
        places
    }

    /// Finds the addresses among some that code loads.
    pub(super) fn loaded(&self, wanted: &BTreeSet<Vaddr>) -> BTreeMap<Vaddr, Use> {
        let image = self.image;
        let lowest = image.segments().iter().map(|segment| segment.address.0).min();
        let base = if lowest == Some(0) { Base::Moved } else { Base::Fixed };
        let mut found = BTreeMap::new();
        let code = image.segments().iter().filter(|segment| segment.access == Access::Code);
        let code = code.filter_map(|segment| {
            Some(Code {
                machine: image.machine(),
                bytes: image.bytes_from(segment.address)?,
                address: segment.address,
            })
        });
        for code in code {
            for (target, how) in loads(code, base, wanted) {
                let known = found.entry(target).or_insert(how);
                *known = how.max(*known);
            }
        }
        found
    }

    /// Returns whether code loads the address of a label that TLS derives keys with.
    pub(super) fn derives_keys(&self) -> bool {
        !self.loaded(&self.places_of(&LABELS).into_keys().collect()).is_empty()
    }

    /// Returns the one version that stands in texts of its own behind one of some beginnings; none if several differ.
    pub(super) fn stated(&self, beginnings: &[&[u8]]) -> Option<String> {
        let texts = beginnings.iter().flat_map(|beginning| {
            let texts = self.around(beginning);
            texts.filter_map(|(_, text)| numbers(text.strip_prefix(*beginning)?))
        });
        let versions: BTreeSet<String> = texts.collect();
        let mut versions = versions.into_iter();
        versions.next().filter(|_| versions.next().is_none())
    }
}

/// Reads numbers with points between them.
pub(super) fn numbers(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let is_number =
        |part: &str| (1..=LONGEST_NUMBER).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = text.split('.');
    ((2..=4).contains(&parts.clone().count()) && parts.clone().all(is_number)).then(|| text.to_owned())
}

const LONGEST_NUMBER: usize = 5;
