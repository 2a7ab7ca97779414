//! Taps and lifts that do not serve connections: reported once for a file if the hook is wrong, else once for a process.

use std::{sync::Arc, time::SystemTime};

use super::{
    Correlator, LibraryName, Process,
    function_records::{FunctionRecords, RecordCounts},
};
use crate::{
    batch::SiteEntry,
    event::{Origin, Refusal},
    limits::MAX_PATH_BYTES,
};

/// A tap or a lift that does not serve a process, or is wrong for a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HooksRefused {
    /// When a connection refused it.
    pub time: SystemTime,
    /// The process of that connection.
    pub process: Process,
    /// The TLS library.
    pub library: LibraryName,
    /// Path of its file, as the process sees it; empty if it is too long.
    pub path: Arc<str>,
    /// Which hook, and why.
    pub refusal: Refusal,
}

/// Which refusals were reported: a bit for each direction and cause.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reported(u16);

impl Reported {
    /// Adds a refusal; returns whether it is new.
    pub(super) const fn insert(&mut self, refusal: Refusal) -> bool {
        let bit = 1 << (2 * refusal.cause as u16 + refusal.direction as u16);
        let is_new = self.0 & bit == 0;
        self.0 |= bit;
        is_new
    }
}

/// A probed function: its library, its file as an index in the list of files, and the place of its count of records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) library: LibraryName,
    file: usize,
    records: usize,
}

/// A file with probed functions.
#[derive(Debug)]
struct File {
    path: Arc<str>,
    /// Wrong hooks that have a line.
    lines: Reported,
    /// Refusals that have a note.
    notes: Reported,
}

/// The probed functions, by the index that records refer to.
#[derive(Debug, Default)]
pub(super) struct Sites {
    all: Vec<Site>,
    files: Vec<File>,
    records: RecordCounts,
}

impl Sites {
    pub(super) const fn count(&self) -> usize {
        self.all.len()
    }

    /// Adds sites in the order of their indexes. Those of one file follow each other.
    pub(super) fn add(&mut self, sites: &[SiteEntry]) {
        let mut last = None;
        for site in sites {
            if last != Some(&site.path) {
                last = Some(&site.path);
                let path = if site.path.len() <= MAX_PATH_BYTES {
                    &site.path
                } else {
                    ""
                };
                self.files.push(File {
                    path: path.into(),
                    lines: Reported::default(),
                    notes: Reported::default(),
                });
            }
            let library = LibraryName::new(&site.library);
            self.all.push(Site {
                library,
                file: self.files.len().saturating_sub(1),
                records: self.records.place(library, &site.function),
            });
        }
    }

    /// Returns the library of a site; [`LibraryName::UNKNOWN`] if there is no such site.
    pub(super) fn library(&self, site: u32) -> LibraryName {
        self.find(site).map_or(LibraryName::UNKNOWN, |site| site.library)
    }

    /// Counts a record of data that a site brought. One of a site that there is none of, as on a forged tape, is not counted.
    #[inline]
    pub(super) fn count_record(&mut self, site: u32) {
        if let Some(site) = self.find(site) {
            self.records.add(site.records);
        }
    }

    pub(super) fn records(&self) -> &[FunctionRecords] {
        self.records.all()
    }

    fn find(&self, site: u32) -> Option<Site> {
        self.all.get(usize::try_from(site).ok()?).copied()
    }
}

impl Correlator {
    /// Notes that a tap or a lift does not serve a connection.
    pub(super) fn push_refusal(&mut self, origin: &Origin, refusal: Refusal) {
        let Some(site) = self.sites.find(origin.site) else {
            return;
        };
        let pid = origin.key.tgid;
        self.make_room_for_process(pid);
        let is_new_of_process = self.processes.add_refusal(pid, refusal);
        let process = Process {
            pid,
            name: self.processes.name_of(pid).to_owned(),
        };
        let Some(file) = self.sites.files.get_mut(site.file) else {
            return;
        };
        if file.notes.insert(refusal) {
            self.notes.push(format!(
                "the {} of {} does not serve {} ({pid}), whose calls are probed if they can be: {}",
                refusal.kind(),
                file.path,
                process.name,
                refusal.cause
            ));
        }
        let is_new = if refusal.cause.concerns_file() {
            file.lines.insert(refusal)
        } else {
            is_new_of_process
        };
        if is_new {
            self.refusals.push(HooksRefused {
                time: self.clock.time(origin.ts_ns),
                process,
                library: site.library,
                path: Arc::clone(&file.path),
                refusal,
            });
        }
    }

    /// Removes and returns the refusals that are to be reported.
    pub fn take_refusals(&mut self) -> Vec<HooksRefused> {
        std::mem::take(&mut self.refusals)
    }
}
