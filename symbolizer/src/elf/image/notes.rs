//! The identifier that the link editor leaves in a GNU note.

use object::elf;
use object::read::elf::{NoteIterator, ProgramHeader as _, SectionHeader as _};

use super::Image;
use super::raw::{Header, LE};
use crate::limits;

impl<'data> Image<'data> {
    /// Returns the identifier the link editor left in a GNU note.
    #[must_use]
    pub fn gnu_build_id(&self) -> Option<&'data [u8]> {
        let segments = self.headers.iter();
        let notes = segments.filter_map(|header| header.notes(LE, self.data).ok().flatten());
        notes
            .into_iter()
            .find_map(build_id_among)
            .or_else(|| self.build_id_by_sections())
    }

    /// In a file that holds the symbols of another, the program headers tell of that other.
    fn build_id_by_sections(&self) -> Option<&'data [u8]> {
        let sections = self.sections.iter();
        let mut notes = sections.filter_map(|section| section.notes(LE, self.data).ok().flatten());
        notes.find_map(build_id_among)
    }
}

fn build_id_among(mut notes: NoteIterator<'_, Header>) -> Option<&[u8]> {
    for _ in 0..limits::NOTES {
        let note = notes.next().ok().flatten()?;
        if note.name() == elf::ELF_NOTE_GNU && note.n_type(LE) == elf::NT_GNU_BUILD_ID {
            return Some(note.desc());
        }
    }
    None
}
