//! Analyses the files that a process maps, and caches the results.
//!
//! The layout of a connection depends on libcrypto as well as on libssl, so a libssl is analysed once for each set of
//! crypto libraries that it is mapped with.

use std::{
    collections::HashMap,
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};

use symbolizer::{Crypto, Hook, LayoutUnknown, Plans, ProbePlan, Reason, Role};

use crate::{
    limits::MAX_ANALYSED_FILES,
    target::{DebugFiles, Error, FileIdentity, FileVersion, MappedObject, PartImage, Target},
};

/// The result of analysing a file.
#[derive(Debug)]
pub enum Resolution {
    /// Plans for TLS libraries in the file, at least one; and why others in it have none.
    Plans(Plans),
    /// Why the file has no plan: a reason for each TLS library in it, or the one that there is none.
    Reasons(Vec<Reason>),
    /// Why the file could not be analysed.
    Failed(String),
}

impl Resolution {
    /// Returns whether the file holds a TLS library, or may hold one because it could not be analysed.
    pub fn concerns_tls(&self) -> bool {
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

    /// Returns why TLS libraries in the file are not traced. Empty for a file without one.
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

/// An analysed file of a target.
#[derive(Debug)]
pub struct Resolved {
    /// Path of the file in the process's mount namespace.
    pub path: PathBuf,
    /// Device and inode.
    pub identity: FileIdentity,
    /// The result of the analysis.
    pub resolution: Arc<Resolution>,
    /// How the file uses BIOs.
    pub bios: Arc<Bios>,
}

/// How a file uses BIOs.
#[derive(Debug, Default)]
pub struct Bios {
    /// Whether it may give an SSL object a BIO that is not a socket's.
    pub sets: bool,
    /// The hook of `BIO_write`, if the file is a crypto library.
    pub write: Option<Hook>,
}

impl Resolved {
    /// A file that this process may not open.
    fn denied(path: &Path) -> Self {
        let why = "it may not be opened: permission denied, which CAP_DAC_READ_SEARCH or CAP_SYS_ADMIN overrides";
        Self {
            path: path.to_owned(),
            identity: FileIdentity { device: 0, inode: 0 },
            resolution: Arc::new(Resolution::Failed(why.to_owned())),
            bios: Arc::default(),
        }
    }

    /// Returns whether the file has a TLS library whose crypto library is not known: some of its hooks cannot be proven then.
    pub fn lacks_crypto(&self) -> bool {
        let mut layouts = self.resolution.plans().iter().map(|plan| &plan.layout);
        layouts.any(|layout| matches!(layout, Err(LayoutUnknown::VersionUnknown)))
    }

    /// Returns whether a connection of the process may have a BIO of the program's own: then the calls of the library are
    /// needed to learn by its ciphertext which socket it uses. That is so if the file imports functions that set BIOs, or if
    /// a library is linked into it with its crypto library: then it may call them without importing them.
    pub fn may_set_bios(&self) -> bool {
        let has_crypto = |plan: &ProbePlan| plan.hooks.iter().any(|hook| hook.role == Role::Ciphertext);
        self.bios.sets || self.resolution.plans().iter().any(has_crypto)
    }

    /// Returns whether what the process sends shows which sockets its connections use: their ciphertext, or the sends
    /// within calls of the library.
    pub fn needs_sends(&self) -> bool {
        let is_sent_within =
            |plan: &ProbePlan| plan.sending.within_calls || plan.net_conn.is_some_and(|below| below.call.is_some());
        self.may_set_bios() || self.resolution.plans().iter().any(is_sent_within)
    }
}

/// Analyses files, and caches the results by version of the file.
#[derive(Debug, Default)]
pub struct Resolver {
    debug_files: DebugFiles,
    cache: HashMap<FileVersion, Vec<Cached>>,
    bios: HashMap<FileVersion, Arc<Bios>>,
    cryptos: HashMap<FileVersion, Option<Arc<Crypto>>>,
}

/// A cached result, and the crypto libraries that the target mapped: the plan depends on which of them the file needs.
#[derive(Debug)]
struct Cached {
    cryptos: Vec<FileVersion>,
    resolution: Arc<Resolution>,
}

/// The crypto libraries of a target.
#[derive(Debug, Default)]
struct Cryptos {
    versions: Vec<FileVersion>,
    described: Vec<Arc<Crypto>>,
}

impl Resolver {
    /// Creates a resolver that looks for the symbols of stripped images in these places.
    pub fn with(debug_files: DebugFiles) -> Self {
        Self {
            debug_files,
            ..Self::default()
        }
    }

    /// Analyses all files of a target.
    pub fn resolve(&mut self, target: &Target) -> Vec<Resolved> {
        if self.cache.len() > MAX_ANALYSED_FILES {
            *self = Self::with(self.debug_files);
        }
        let cryptos = self.cryptos_of(target);
        let resolve = |object: &MappedObject| Resolved {
            path: object.path.clone(),
            identity: object.identity,
            resolution: self.resolve_object(object, target.pid, &cryptos),
            bios: Arc::clone(self.bios.entry(object.version).or_default()),
        };
        let resolved = target.objects.iter().map(resolve);
        resolved
            .chain(target.denied.iter().map(|path| Resolved::denied(path)))
            .collect()
    }

    fn resolve_object(&mut self, object: &MappedObject, pid: u32, cryptos: &Cryptos) -> Arc<Resolution> {
        let cached = self.cache.entry(object.version).or_default();
        // A file without a TLS library has none with any crypto library.
        let is_valid = |cached: &&Cached| cached.cryptos == cryptos.versions || !cached.resolution.concerns_tls();
        if let Some(cached) = cached.iter().find(is_valid) {
            return Arc::clone(&cached.resolution);
        }
        let analysed = object.read().and_then(|mut image| {
            self.bios.insert(object.version, Arc::new(bios(&image.bytes, object)));
            let link = symbolizer::debug_link(&image.bytes).ok().flatten();
            let debug_file = link.and_then(|link| self.debug_files.find(&link, &object.path, pid));
            analyse_with(object, &mut image, &cryptos.described, debug_file.as_deref())
        });
        let resolution = Arc::new(analysed.unwrap_or_else(|error| Resolution::Failed(error.to_string())));
        cached.push(Cached {
            cryptos: cryptos.versions.clone(),
            resolution: Arc::clone(&resolution),
        });
        resolution
    }

    fn cryptos_of(&mut self, target: &Target) -> Cryptos {
        let mut cryptos = Cryptos::default();
        for object in &target.objects {
            if let Some(crypto) = self.crypto_of(object) {
                cryptos.versions.push(object.version);
                cryptos.described.push(crypto);
            }
        }
        cryptos
    }

    /// Describes a libcrypto: libssl does not state its own version, and BIOs are libcrypto's.
    fn crypto_of(&mut self, object: &MappedObject) -> Option<Arc<Crypto>> {
        if !is_crypto(object) {
            return None;
        }
        let read = || {
            symbolizer::crypto(&object.read().ok()?.bytes)
                .ok()
                .flatten()
                .map(Arc::new)
        };
        self.cryptos.entry(object.version).or_insert_with(read).clone()
    }
}

fn is_crypto(object: &MappedObject) -> bool {
    let name = object.path.file_name().map(OsStr::as_encoded_bytes);
    name.is_some_and(|name| name.starts_with(b"libcrypto"))
}

/// Returns how a file uses BIOs; not at all if it cannot be parsed, which its resolution reports.
fn bios(image: &[u8], object: &MappedObject) -> Bios {
    let write = || symbolizer::bio_write(image).unwrap_or_default();
    Bios {
        sets: symbolizer::sets_bio(image).unwrap_or(false),
        write: if is_crypto(object) { write() } else { None },
    }
}

/// Analyses a file with the one of these crypto libraries that it needs, and reads what else of the file that takes.
fn analyse_with(
    object: &MappedObject,
    image: &mut PartImage,
    cryptos: &[Arc<Crypto>],
    debug_file: Option<&[u8]>,
) -> Result<Resolution, Error> {
    let candidates: Vec<&Crypto> = cryptos.iter().map(AsRef::as_ref).collect();
    let needed = symbolizer::needed_crypto(&image.bytes, &candidates).ok().flatten();
    let crypto = needed.and_then(|index| candidates.get(index).copied());
    loop {
        let resolution = analyse(image, crypto, debug_file);
        // Each time something is read that was not, and that has a bound.
        if !object.read_wanted(image)? {
            return Ok(resolution);
        }
    }
}

/// Analyses an image, which may need a crypto library, and the file with its symbols.
fn analyse(image: &PartImage, crypto: Option<&Crypto>, debug_file: Option<&[u8]>) -> Resolution {
    match symbolizer::plan_partly(&image.bytes, &image.unread, crypto, debug_file) {
        Ok(plans) if !plans.plans.is_empty() => Resolution::Plans(plans),
        Ok(plans) => Resolution::Reasons(plans.reasons),
        Err(error) => Resolution::Failed(error.to_string()),
    }
}

/// Returns whether none of these files holds a TLS library.
pub fn has_none(files: &[Resolved]) -> bool {
    files.iter().all(|one| !one.resolution.concerns_tls())
}

/// Returns a sentence for each TLS library in these files that is not traced, with the reason.
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

/// Returns why no TLS library in these files is traced.
pub fn why_not(files: &[Resolved]) -> String {
    let each: Vec<_> = files.iter().filter_map(refusal_of).collect();
    if each.is_empty() {
        "it has no TLS library that tlscope knows".to_owned()
    } else {
        each.join("; ")
    }
}

fn refusal_of(file: &Resolved) -> Option<String> {
    let refusals = match file.resolution.as_ref() {
        Resolution::Plans(_) => return None,
        Resolution::Reasons(_) | Resolution::Failed(_) => file.resolution.refusals(),
    };
    (!refusals.is_empty()).then(|| format!("{}: {}", file.path.display(), refusals.join("; ")))
}

#[cfg(test)]
mod tests {
    use symbolizer::{OtherLibrary, Unread};

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
        let reasons = vec![Reason::OneDirection, Reason::LibraryUnsupported(OtherLibrary::Java)];
        let files = [resolved(Resolution::Reasons(reasons.clone()))];
        assert!(!has_none(&files));
        assert_eq!(
            untraced(&files),
            [
                "/usr/bin/gateway is not traced: it has TLS functions for one direction only",
                "/usr/bin/gateway is not traced: Java's own TLS (JSSE) is not supported yet",
            ]
        );
        assert_eq!(
            why_not(&files),
            "/usr/bin/gateway: it has TLS functions for one direction only; Java's own TLS (JSSE) is not supported yet"
        );
        let traced = Resolution::Plans(Plans {
            reasons,
            ..Plans::default()
        });
        assert_eq!(
            untraced(&[resolved(traced)])[1],
            "/usr/bin/gateway is traced but for a library in it: Java's own TLS (JSSE) is not supported yet"
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

    /// Returns the debug texts of the plans of a file, as they are resolved and of all its bytes.
    fn plans_of_parts_and_whole(path: &str) -> [String; 2] {
        let target = Target::of_file(path.as_ref()).unwrap();
        let resolved = Resolver::default().resolve(&target);
        let parts = &resolved[0].resolution;
        let whole = symbolizer::plan(&std::fs::read(path).unwrap(), None).unwrap();
        [format!("{parts:?}"), format!("{:?}", Resolution::Plans(whole))]
    }

    #[test]
    #[ignore = "needs /usr/bin/node with a static OpenSSL: scripts/test runs it"]
    fn the_plan_of_node_is_that_of_its_complete_file() {
        let [parts, whole] = plans_of_parts_and_whole("/usr/bin/node");
        assert_eq!(parts, whole);
        assert!(whole.contains("kind: Tap"), "its tables of methods were read");
    }

    #[test]
    fn a_library_lacks_its_crypto_library_until_that_is_mapped() {
        let folder = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let read = |library| std::fs::read(format!("{folder}/{library}")).unwrap();
        let crypto = symbolizer::crypto(&read("libcrypto.so.3")).unwrap().unwrap();
        let lacks_crypto = |library, crypto| {
            let image = PartImage {
                bytes: read(library),
                unread: Unread::default(),
            };
            resolved(analyse(&image, crypto, None)).lacks_crypto()
        };
        assert!(lacks_crypto("libssl.so.3", None));
        assert!(!lacks_crypto("libssl.so.3", Some(&crypto)));
        assert!(!lacks_crypto("libgnutls.so.30", None));
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
        assert!(!both(&openssl).may_set_bios());
        let write = symbolizer::bio_write(&read("libcrypto.so.3")).unwrap();
        openssl[0].hooks.extend(write);
        assert!(both(&openssl).may_set_bios() && both(&openssl).needs_sends());
    }
}
