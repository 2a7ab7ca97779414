//! From mapped files to probe plans, each file analysed once for each crypto library it is used with.
//!
//! In: [`Target`]s. Out: for each target, which of its files carry a TLS library and how to probe it, or why none does.
//! Refuses nothing by itself: it reads files and asks `symbolizer`.

use std::{collections::HashMap, ffi::OsStr, path::PathBuf, sync::Arc};

use symbolizer::{Crypto, Hook, Plans, ProbePlan, Reason, Role};

use crate::{
    limits::MAX_ANALYSED_FILES,
    target::{FileIdentity, FileVersion, MappedObject, Target},
};

/// What a file gave.
#[derive(Debug)]
pub enum Resolution {
    /// Plans for TLS libraries in the file, at least one; and why others in it have none.
    Plans(Plans),
    /// Why the file has no plan: a reason for each TLS library in it, or the one that there is none.
    Reasons(Vec<Reason>),
    /// It could not be analysed.
    Failed(String),
}

impl Resolution {
    /// Tells whether it says anything of a TLS library; of most files it only says that there is none.
    pub fn is_telling(&self) -> bool {
        match self {
            Self::Plans(_) | Self::Failed(_) => true,
            Self::Reasons(reasons) => reasons.iter().any(concerns_tls),
        }
    }

    /// Returns the plans of the file, one for each TLS library that is traced.
    pub fn plans(&self) -> &[ProbePlan] {
        match self {
            Self::Plans(plans) => &plans.plans,
            Self::Reasons(_) | Self::Failed(_) => &[],
        }
    }

    /// Returns why TLS libraries in the file are not traced; empty for a file without one.
    fn refusals(&self) -> Vec<String> {
        match self {
            Self::Plans(Plans { reasons, .. }) | Self::Reasons(reasons) => {
                let reasons = reasons.iter().filter(|reason| concerns_tls(reason));
                reasons.map(ToString::to_string).collect()
            }
            Self::Failed(error) => vec![error.clone()],
        }
    }
}

const fn concerns_tls(reason: &Reason) -> bool {
    !matches!(reason, Reason::NoTls | Reason::ImportsTls | Reason::NotLoadable)
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
    /// What it has to do with BIOs.
    pub bios: Arc<Bios>,
}

/// What a file has to do with BIOs.
#[derive(Debug, Default)]
pub struct Bios {
    /// It may give an SSL object a BIO that is not a socket's.
    pub sets: bool,
    /// It is a crypto library, and writes to BIOs here.
    pub write: Option<Hook>,
}

impl Resolved {
    /// Tells whether the process of this file needs its ciphertext looked at to learn which sockets it uses: it sets BIOs,
    /// or it holds the TLS library itself and does not have to ask for them by name.
    pub fn needs_ciphertext(&self) -> bool {
        let holds_all = |plan: &ProbePlan| plan.hooks.iter().any(|hook| hook.role == Role::Ciphertext);
        self.bios.sets || self.resolution.plans().iter().any(holds_all)
    }
}

/// Analyses files and remembers the answers.
#[derive(Debug, Default)]
pub struct Resolver {
    known: HashMap<FileVersion, Vec<Known>>,
    bios: HashMap<FileVersion, Arc<Bios>>,
    cryptos: HashMap<FileVersion, Option<Arc<Crypto>>>,
}

/// An answer, and the crypto libraries it was chosen from: a plan depends on the one that the file is linked with.
#[derive(Debug)]
struct Known {
    beside: Vec<FileVersion>,
    resolution: Arc<Resolution>,
}

/// The crypto libraries of one target.
#[derive(Debug, Default)]
struct Beside {
    versions: Vec<FileVersion>,
    cryptos: Vec<Arc<Crypto>>,
}

impl Resolver {
    /// Analyses all files of a target.
    pub fn resolve(&mut self, target: &Target) -> Vec<Resolved> {
        if self.known.len() > MAX_ANALYSED_FILES {
            *self = Self::default();
        }
        let beside = self.cryptos_of(target);
        let resolve = |object: &MappedObject| Resolved {
            path: object.path.clone(),
            identity: object.identity,
            resolution: self.resolve_object(object, &beside),
            bios: Arc::clone(self.bios.entry(object.version).or_default()),
        };
        target.objects.iter().map(resolve).collect()
    }

    fn resolve_object(&mut self, object: &MappedObject, beside: &Beside) -> Arc<Resolution> {
        let known = self.known.entry(object.version).or_default();
        // What says that there is nothing to trace says so whatever lies beside it.
        let holds = |known: &&Known| known.beside == beside.versions || !known.resolution.is_telling();
        if let Some(known) = known.iter().find(holds) {
            return Arc::clone(&known.resolution);
        }
        let resolution = Arc::new(match object.read() {
            Ok(image) => {
                self.bios.insert(object.version, Arc::new(bios(&image, object)));
                analyse_beside(&image, &beside.cryptos)
            }
            Err(error) => Resolution::Failed(error.to_string()),
        });
        known.push(Known {
            beside: beside.versions.clone(),
            resolution: Arc::clone(&resolution),
        });
        resolution
    }

    fn cryptos_of(&mut self, target: &Target) -> Beside {
        let mut beside = Beside::default();
        for object in &target.objects {
            if let Some(crypto) = self.crypto_of(object) {
                beside.versions.push(object.version);
                beside.cryptos.push(crypto);
            }
        }
        beside
    }

    /// What a libcrypto says: libssl does not state its own version, and has no BIOs of its own.
    fn crypto_of(&mut self, object: &MappedObject) -> Option<Arc<Crypto>> {
        if !is_crypto(object) {
            return None;
        }
        let read = || symbolizer::crypto(&object.read().ok()?).ok().flatten().map(Arc::new);
        self.cryptos.entry(object.version).or_insert_with(read).clone()
    }
}

fn is_crypto(object: &MappedObject) -> bool {
    let name = object.path.file_name().map(OsStr::as_encoded_bytes);
    name.is_some_and(|name| name.starts_with(b"libcrypto"))
}

/// What cannot be read sets no BIOs and writes to none; the analysis says why it cannot.
fn bios(image: &[u8], object: &MappedObject) -> Bios {
    let write = || symbolizer::bio_write(image).unwrap_or_default();
    Bios {
        sets: symbolizer::sets_bio(image).unwrap_or(false),
        write: if is_crypto(object) { write() } else { None },
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
        Ok(plans) if !plans.plans.is_empty() => Resolution::Plans(plans),
        Ok(plans) => Resolution::Reasons(plans.reasons),
        Err(error) => Resolution::Failed(error.to_string()),
    }
}

/// Tells whether no file says anything of a TLS library.
pub fn has_none(files: &[Resolved]) -> bool {
    files.iter().all(|one| !one.resolution.is_telling())
}

/// Says of every TLS library among these files that is not traced why it is not.
pub fn untraced(files: &[Resolved]) -> Vec<String> {
    files.iter().flat_map(untraced_in).collect()
}

fn untraced_in(file: &Resolved) -> Vec<String> {
    let path = file.path.display();
    let what = match file.resolution.as_ref() {
        Resolution::Plans(_) => "is traced but for a library in it",
        Resolution::Reasons(_) | Resolution::Failed(_) => "is not traced",
    };
    let refusals = file.resolution.refusals().into_iter();
    refusals.map(|reason| format!("{path} {what}: {reason}")).collect()
}

/// Why nothing among these files is traced: for each library that is there, or that there is none.
pub fn why_not(files: &[Resolved]) -> String {
    let each: Vec<_> = files.iter().filter_map(refused_in).collect();
    if each.is_empty() {
        "it has no TLS library that tlscope knows".to_owned()
    } else {
        each.join("; ")
    }
}

fn refused_in(file: &Resolved) -> Option<String> {
    let refusals = match file.resolution.as_ref() {
        Resolution::Plans(_) => return None,
        Resolution::Reasons(_) | Resolution::Failed(_) => file.resolution.refusals(),
    };
    (!refusals.is_empty()).then(|| format!("{}: {}", file.path.display(), refusals.join("; ")))
}

#[cfg(test)]
mod tests {
    use symbolizer::OtherLibrary;

    use super::*;

    fn resolved(resolution: Resolution) -> Resolved {
        Resolved {
            path: "/usr/bin/gateway".into(),
            identity: FileIdentity { device: 1, inode: 2 },
            resolution: Arc::new(resolution),
            bios: Arc::default(),
        }
    }

    #[test]
    fn each_library_of_a_file_is_refused_with_its_own_reason() {
        let reasons = vec![Reason::OneDirection, Reason::LibraryUnsupported(OtherLibrary::Rustls)];
        let files = [resolved(Resolution::Reasons(reasons.clone()))];
        assert!(!has_none(&files));
        assert_eq!(
            untraced(&files),
            [
                "/usr/bin/gateway is not traced: it has TLS functions for one direction only",
                "/usr/bin/gateway is not traced: rustls is not supported yet",
            ]
        );
        assert_eq!(
            why_not(&files),
            "/usr/bin/gateway: it has TLS functions for one direction only; rustls is not supported yet"
        );
        let traced = Resolution::Plans(Plans {
            reasons,
            ..Plans::default()
        });
        assert_eq!(
            untraced(&[resolved(traced)])[1],
            "/usr/bin/gateway is traced but for a library in it: rustls is not supported yet"
        );
    }

    #[test]
    fn a_file_without_a_tls_library_is_refused_with_no_reason_of_its_own() {
        for reason in [Reason::NoTls, Reason::ImportsTls, Reason::NotLoadable] {
            let files = [resolved(Resolution::Reasons(vec![reason]))];
            assert!(has_none(&files));
            assert!(untraced(&files).is_empty());
            assert_eq!(why_not(&files), "it has no TLS library that tlscope knows");
        }
    }

    #[test]
    fn any_plan_of_a_file_may_need_ciphertext() {
        let folder = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let read = |library| std::fs::read(format!("{folder}/{library}")).unwrap();
        let plans = |image: &[u8]| symbolizer::plan(image, None).unwrap().plans;
        let gnutls = plans(&read("libgnutls.so.30"));
        let mut openssl = plans(&read("libssl.so.3"));
        let both = |openssl: &[ProbePlan]| {
            let plans = [gnutls.as_slice(), openssl].concat();
            resolved(Resolution::Plans(Plans {
                plans,
                ..Plans::default()
            }))
        };
        assert_eq!(both(&openssl).resolution.plans().len(), 2);
        assert!(!both(&openssl).needs_ciphertext());
        let write = symbolizer::bio_write(&read("libcrypto.so.3")).unwrap();
        openssl[0].hooks.extend(write);
        assert!(both(&openssl).needs_ciphertext());
    }
}
