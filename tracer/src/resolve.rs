//! From mapped files to probe plans, each file analysed once for each crypto library it is used with.
//!
//! In: [`Target`]s. Out: for each target, which of its files carry a TLS library and how to probe it, or why none does.
//! Refuses nothing by itself: it reads files and asks `symbolizer`.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use symbolizer::{Crypto, ProbePlan, Reason};

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
    known: HashMap<FileIdentity, Vec<Known>>,
    cryptos: HashMap<FileIdentity, Option<Arc<Crypto>>>,
}

/// An answer, and the crypto libraries it was chosen from: a plan depends on the one that the file is linked with.
#[derive(Debug)]
struct Known {
    beside: Vec<FileIdentity>,
    resolution: Arc<Resolution>,
}

/// The crypto libraries of one target.
#[derive(Debug, Default)]
struct Beside {
    identities: Vec<FileIdentity>,
    cryptos: Vec<Arc<Crypto>>,
}

impl Resolver {
    /// Analyses all files of a target.
    pub fn resolve(&mut self, target: &Target) -> Vec<Resolved> {
        let beside = self.cryptos_of(target);
        let resolve = |object: &MappedObject| Resolved {
            path: object.path.clone(),
            identity: object.identity,
            resolution: self.resolve_object(object, &beside),
        };
        target.objects.iter().map(resolve).collect()
    }

    fn resolve_object(&mut self, object: &MappedObject, beside: &Beside) -> Arc<Resolution> {
        let known = self.known.entry(object.identity).or_default();
        // What says that there is nothing to trace says so whatever lies beside it.
        let holds = |known: &&Known| known.beside == beside.identities || !known.resolution.is_telling();
        if let Some(known) = known.iter().find(holds) {
            return Arc::clone(&known.resolution);
        }
        let resolution = Arc::new(match object.read() {
            Ok(image) => analyse_beside(&image, &beside.cryptos),
            Err(error) => Resolution::Failed(error.to_string()),
        });
        known.push(Known {
            beside: beside.identities.clone(),
            resolution: Arc::clone(&resolution),
        });
        resolution
    }

    fn cryptos_of(&mut self, target: &Target) -> Beside {
        let mut beside = Beside::default();
        for object in &target.objects {
            if let Some(crypto) = self.crypto_of(object) {
                beside.identities.push(object.identity);
                beside.cryptos.push(crypto);
            }
        }
        beside
    }

    /// What a libcrypto says: libssl does not state its own version, and has no BIOs of its own.
    fn crypto_of(&mut self, object: &MappedObject) -> Option<Arc<Crypto>> {
        let name = object.path.file_name()?.as_encoded_bytes();
        if !name.starts_with(b"libcrypto") {
            return None;
        }
        let read = || symbolizer::crypto(&object.read().ok()?).ok().flatten().map(Arc::new);
        self.cryptos.entry(object.identity).or_insert_with(read).clone()
    }
}

fn analyse_beside(image: &[u8], cryptos: &[Arc<Crypto>]) -> Resolution {
    let candidates: Vec<&Crypto> = cryptos.iter().map(AsRef::as_ref).collect();
    let needed = symbolizer::needed_crypto(image, &candidates).ok().flatten();
    analyse(image, needed.and_then(|index| candidates.get(index).copied()))
}

/// Analyses the bytes of one file.
pub fn analyse(image: &[u8], crypto: Option<&Crypto>) -> Resolution {
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
