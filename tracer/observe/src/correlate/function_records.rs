//! How many records of data the hooks of each function have brought, so that a user sees which of them are hit.

use std::sync::Arc;

use super::LibraryName;
use crate::limits::{MAX_FUNCTION_NAME_BYTES, MAX_FUNCTIONS};

/// The records of data that the hooks of a function have brought since the start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FunctionRecords {
    /// The TLS library.
    pub library: LibraryName,
    /// The name of the function.
    pub function: Arc<str>,
    /// Records of bytes, brought or passed by.
    pub records: u64,
}

/// The counts of all functions. Files that have the same function share its count.
#[derive(Debug, Default)]
pub(super) struct RecordCounts(Vec<FunctionRecords>);

impl RecordCounts {
    /// Returns the place of the count of a function; that of all others if there are too many.
    pub(super) fn place(&mut self, library: LibraryName, function: &str) -> usize {
        let function = shown(function);
        let (library, function) = match self.find(library, &function) {
            Some(place) => return place,
            None if self.0.len() < MAX_FUNCTIONS => (library, &*function),
            None => (LibraryName::OTHER, "other"),
        };
        self.find(library, function)
            .unwrap_or_else(|| self.push(library, function))
    }

    /// Counts a record.
    #[inline]
    pub(super) fn add(&mut self, place: usize) {
        if let Some(function) = self.0.get_mut(place) {
            function.records += 1;
        }
    }

    /// Returns the counts, in the order in which the functions were met.
    pub(super) fn all(&self) -> &[FunctionRecords] {
        &self.0
    }

    fn find(&self, library: LibraryName, function: &str) -> Option<usize> {
        let is_it = |known: &FunctionRecords| known.library == library && *known.function == *function;
        self.0.iter().position(is_it)
    }

    fn push(&mut self, library: LibraryName, function: &str) -> usize {
        self.0.push(FunctionRecords {
            library,
            function: function.into(),
            records: 0,
        });
        self.0.len() - 1
    }
}

/// Returns the name of a function as it is shown. Those of libraries are short and printable; only a forged tape has others.
fn shown(function: &str) -> String {
    let characters = function.chars().take(MAX_FUNCTION_NAME_BYTES);
    let shown = |character: char| {
        if character.is_ascii_graphic() || character == ' ' {
            character
        } else {
            '?'
        }
    };
    characters.map(shown).collect()
}
