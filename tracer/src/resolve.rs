//! From mapped files to probe plans, each file analysed once.
//!
//! In: [`Target`]s. Out: for each target, which of its files carry a TLS library and how to probe it, or why none does.
//! Refuses nothing by itself: it reads files and asks `symbolizer`.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use symbolizer::{LibraryVersion, ProbePlan, Reason};

use crate::target::{FileIdentity, MappedObject, Target};

/// What a file gave.
#[derive(Debug)]
pub enum Resolution {
    /// It carries a TLS library.
    Plan(Arc<ProbePlan>),
    /// It does not, or none that can be probed.
    Reason(Reason),
    /// It could not be analysed.
    Failed(String),
}

impl Resolution {
    /// Tells whether it says anything of a TLS library; of most files it only says that there is none.
    pub const fn is_telling(&self) -> bool {
        match self {
            Self::Plan(_) | Self::Failed(_) => true,
            Self::Reason(reason) => Self::concerns_tls(reason),
        }
    }

    const fn concerns_tls(reason: &Reason) -> bool {
        !matches!(reason, Reason::NoTls | Reason::ImportsTls | Reason::NotLoadable)
    }
}

/// A file of a target, analysed.
#[derive(Debug)]
pub struct Resolved {
    /// Its path as the process sees it.
    pub path: PathBuf,
    /// Its identity.
    pub identity: FileIdentity,
    /// What it gave.
    pub resolution: Arc<Resolution>,
}

/// Analyses files and remembers the answers.
#[derive(Debug, Default)]
pub struct Resolver {
    known: HashMap<FileIdentity, Arc<Resolution>>,
    versions: HashMap<FileIdentity, Option<LibraryVersion>>,
}

impl Resolver {
    /// Analyses all files of a target.
    pub fn resolve(&mut self, target: &Target) -> Vec<Resolved> {
        let crypto = target.objects.iter().find_map(|object| self.crypto_version(object));
        let resolve = |object: &MappedObject| Resolved {
            path: object.path.clone(),
            identity: object.identity,
            resolution: self.resolve_object(object, crypto.as_ref()),
        };
        target.objects.iter().map(resolve).collect()
    }

    fn resolve_object(&mut self, object: &MappedObject, crypto: Option<&LibraryVersion>) -> Arc<Resolution> {
        let analyse = || {
            Arc::new(match object.read() {
                Ok(image) => analyse(&image, crypto),
                Err(error) => Resolution::Failed(error.to_string()),
            })
        };
        Arc::clone(self.known.entry(object.identity).or_insert_with(analyse))
    }

    /// The version that a libcrypto states; libssl does not state its own.
    fn crypto_version(&mut self, object: &MappedObject) -> Option<LibraryVersion> {
        if !object
            .path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"libcrypto"))
        {
            return None;
        }
        let read = || symbolizer::library_version(&object.read().ok()?).ok().flatten();
        self.versions.entry(object.identity).or_insert_with(read).clone()
    }
}

/// Analyses the bytes of one file.
pub fn analyse(image: &[u8], crypto: Option<&LibraryVersion>) -> Resolution {
    match symbolizer::plan(image, crypto) {
        Ok(Ok(plan)) => Resolution::Plan(Arc::new(plan)),
        Ok(Err(reason)) => Resolution::Reason(reason),
        Err(error) => Resolution::Failed(error.to_string()),
    }
}

/// Tells whether no file says anything of a TLS library.
pub fn has_none(files: &[Resolved]) -> bool {
    files.iter().all(|one| !one.resolution.is_telling())
}

/// The most telling reason of all files: a library that cannot be probed says more than one that is not TLS.
pub fn why_not(files: &[Resolved]) -> String {
    let telling = files.iter().find_map(|one| match one.resolution.as_ref() {
        Resolution::Reason(reason) if Resolution::concerns_tls(reason) => {
            Some(format!("{}: {reason}", one.path.display()))
        }
        Resolution::Failed(error) => Some(format!("{}: {error}", one.path.display())),
        Resolution::Reason(_) | Resolution::Plan(_) => None,
    });
    telling.unwrap_or_else(|| "it has no TLS library that tlscope knows".to_owned())
}
