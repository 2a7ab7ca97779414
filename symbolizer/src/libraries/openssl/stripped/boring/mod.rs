//! BoringSSL, and AWS-LC, in an image that names none of its functions: Envoy, gRPC, and most of what is shipped as one file.
//!
//! A few functions stand out by the errors that they may report, and by whom they call. Each that matters is found so, is the
//! only one or is refused, and its code has to prove the rest as if it had a name: the copy in `SSL_read`, the entry of
//! `tls_seal_record`, the function that ends a connection, and `BIO_write`. The names of files that errors are reported with
//! are a second sign where the image has them.

mod ending;
mod sending;

use std::collections::BTreeSet;

use crate::cause::Cause;
use crate::code::effects::Effects;
use crate::elf::address::Vaddr;
use crate::elf::identity::BuildId;
use crate::elf::image::Image;
use crate::elf::machine::Machine;
use crate::elf::survey::{Survey, SymbolSource};
use crate::hook::{Hook, HookKind, Proof, Role};
use crate::libraries::family::Family;
use crate::libraries::found::Found;
use crate::libraries::function::Function;
use crate::libraries::hooks::hook;
use crate::libraries::layout::{Facts, LayoutUnknown, Sending};
use crate::libraries::library::{Evidence, Library};
use crate::libraries::openssl::functions::{BIO_WRITE, FUNCTIONS, READ};
use crate::libraries::openssl::tap::boring::{Reading, effects, reading_at, sealing, seals};
use crate::libraries::openssl::tap::is_connection;
use crate::libraries::openssl::tap::linkage::Linkage;
use crate::libraries::openssl::{functions, identify};
use crate::libraries::version;
use crate::plan::ProbePlan;
use crate::reason::{Reason, StrippedRefusal};

use super::reports::{self, Reports};
use super::signs::{Signs, signs};
use super::{finding, target};
use ending::Ending;

// The reasons of errors, by which functions are found (`include/openssl/ssl.h`).

/// A read outside of a connection's handshake, and before its kind is set: what reads records for `SSL_read`.
const FILLS: [u32; 2] = [215, 226];
/// A read of a connection of QUIC (`ERR_R_SHOULD_NOT_HAVE_BEEN_CALLED`).
const READS: u32 = 66;
/// What seals a record has no room for it, or is to write where it reads.
const SEALS: [u32; 2] = [121, 189];
/// What hands records to be sealed is called again with other bytes, or with too many.
const HANDS_OVER: [u32; 2] = [118, 68];
/// What hands over a program's data for `SSL_write` is given a bad length, or has written too much early data.
const HANDS_DATA: [u32; 2] = [111, 194];

/// A connection has no BIO to flush to.
const FLUSHES: [u32; 1] = [119];

/// The files that the functions are in.
const READS_IN: &[u8] = b"ssl/ssl_lib.c";
const SEALS_IN: &[u8] = b"ssl/tls_record.c";

/// Looks for a library without names.
pub(crate) fn find(image: &Image<'_>, survey: &Survey) -> Found {
    if image.machine() != Machine::X86_64 {
        return Found::Nothing;
    }
    let reports = Reports::find(image, reports::BORINGSSL);
    let fills: Vec<_> = reports.with(&FILLS).collect();
    let seals: Vec<_> = reports.with(&SEALS).collect();
    if fills.is_empty() || seals.is_empty() {
        return Found::Nothing;
    }
    let linkage = &Linkage::new(image, survey);
    let finder = Finder {
        linkage,
        survey,
        reports,
        fills,
        seals,
    };
    match finder.plan() {
        Ok(Some(plan)) => Found::Plan(Box::new(plan)),
        Ok(None) => Found::Nothing,
        Err(why) => Found::Refused(Reason::Stripped {
            family: identify::by_texts(image.data()),
            why,
        }),
    }
}

struct Finder<'a, 'data> {
    linkage: &'a Linkage<'a, 'data>,
    survey: &'a Survey,
    reports: Reports<'data>,
    /// The functions that may read records for `SSL_read`.
    fills: Vec<Vaddr>,
    /// The functions that may be `tls_seal_record`.
    seals: Vec<Vaddr>,
}

/// A function that hands records to be sealed, and what it does.
struct Sender {
    address: Vaddr,
    effects: Effects,
}

/// The function that seals records, and those that hand them over.
type Sealing = (Hook, Vec<Sender>);

/// What was found of a function, and by what.
struct Signed<T> {
    what: T,
    signs: Signs,
}

impl Finder<'_, '_> {
    /// Makes the plan; none if nothing looks like the library at a second look.
    fn plan(&self) -> Result<Option<ProbePlan>, StrippedRefusal> {
        let Some(Signed {
            what: reading,
            signs: reads,
        }) = self.reading()?
        else {
            return Ok(None);
        };
        let Some(sealed) = self.sealing()? else {
            return Ok(None);
        };
        if reads.reporter != sealed.signs.reporter {
            // They report their errors to different libraries.
            return Err(StrippedRefusal::WriteNotProven(Cause::SeveralCopies));
        }
        let (seal, senders) = sealed.what;
        let Reading { mut hooks, state } = reading;
        for hook in &mut hooks {
            hook.found = reads.source;
            hook.proof = Proof::DataFlow;
        }
        let ending = self.ending(&senders, state).ok_or(StrippedRefusal::EndUnknown)?;
        let seal_address = seal.address;
        hooks.push(seal);
        for (like, address) in [("SSL_free", ending.frees), ("SSL_clear", ending.begins)] {
            let name = if address == ending.frees { "tls_free" } else { "tls_new" };
            let hook = self.hook_like(like, name, address, reads.source);
            hooks.push(hook.ok_or(StrippedRefusal::EndUnknown)?);
        }
        let flushing: Vec<_> = self.reports.with(&FLUSHES).collect();
        let sending = sending::find(self.linkage, &senders, seal_address, &flushing);
        let handed = sending
            .handed
            .and_then(|address| self.hook_like(BIO_WRITE, BIO_WRITE, address, reads.source));
        hooks.extend(handed);
        Ok(Some(self.planned(hooks, sending.sending)))
    }

    fn planned(&self, hooks: Vec<Hook>, sending: Sending) -> ProbePlan {
        let image = self.linkage.image;
        let stated = identify::believable(version::find(image.data()), image.data());
        let aws_lc = stated.into_iter().find(|version| version.family == Family::AwsLc);
        ProbePlan {
            library: Library {
                family: aws_lc
                    .as_ref()
                    .map(|version| version.family)
                    .or_else(|| identify::by_texts(image.data()))
                    .unwrap_or(Family::BoringSsl),
                evidence: Evidence::Errors,
                version: aws_lc,
                at_least: None,
            },
            build_id: BuildId::of(image),
            machine: image.machine(),
            absent: absent(&hooks),
            hooks,
            refused: Vec::new(),
            layout: Err(LayoutUnknown::Stripped),
            socket_name: None,
            net_conn: None,
            sending,
            facts: Facts::default(),
        }
    }

    /// Finds the copy in `SSL_read`, which gets its records by a function of [`FILLS`].
    fn reading(&self) -> Result<Option<Signed<Reading>>, StrippedRefusal> {
        let mut found = Vec::new();
        let mut refused = None;
        for address in self.reports.with(&[READS]) {
            let Some(signs) = self.reads(address) else {
                continue;
            };
            match reading_at(self.linkage, self.survey, address) {
                Ok(what) => found.push(Signed { what, signs }),
                Err(cause) => refused = refused.or(Some(cause)),
            }
        }
        match (found.pop(), found.is_empty(), refused) {
            (Some(only), true, _) => Ok(Some(only)),
            (Some(_), false, _) => Err(StrippedRefusal::SeveralCopies(READ)),
            (None, _, Some(cause)) => Err(StrippedRefusal::ReadNotProven(cause)),
            (None, _, None) => Ok(None),
        }
    }

    /// Returns the signs of a function that calls one of [`FILLS`] with its own connection.
    fn reads(&self, address: Vaddr) -> Option<Signs> {
        if self.fills.contains(&address) || !self.reports.may_call(address, &self.fills) {
            return None;
        }
        let effects = effects(self.linkage, address).ok()?;
        let mut filled = effects.calls.iter().filter(|call| is_connection(call.arguments[0]));
        filled.find(|call| target(call).is_some_and(|to| self.fills.contains(&to)))?;
        signs(self.linkage, &effects, READS_IN)
    }

    /// Finds the function that seals records, and those that hand them over.
    fn sealing(&self) -> Result<Option<Signed<Sealing>>, StrippedRefusal> {
        let senders = self.reports.with(&HANDS_OVER).filter_map(|address| {
            let effects = effects(self.linkage, address).ok()?;
            Some(Sender { address, effects })
        });
        let senders: Vec<_> = senders.collect();
        let is_called = |seal: Vaddr| {
            let mut calls = senders.iter().flat_map(|sender| &sender.effects.calls);
            calls.any(|call| seals(call, seal))
        };
        let mut called = self.seals.iter().copied().filter(|seal| is_called(*seal));
        let (address, second) = (called.next(), called.next());
        let Some(address) = address else {
            return Ok(None);
        };
        if second.is_some() {
            return Err(StrippedRefusal::SeveralCopies("tls_seal_record"));
        }
        let refused = StrippedRefusal::WriteNotProven;
        let own = effects(self.linkage, address).map_err(refused)?;
        let Some(signs) = signs(self.linkage, &own, SEALS_IN) else {
            return Ok(None);
        };
        let finding = finding(address, "tls_seal_record", signs.source);
        let hook = sealing(self.linkage, &finding, Proof::Callers).map_err(refused)?;
        let hands = |sender: &Sender| sender.effects.calls.iter().any(|call| seals(call, address));
        let senders = senders.into_iter().filter(hands).collect();
        Ok(Some(Signed {
            what: (hook, senders),
            signs,
        }))
    }

    /// Finds where connections begin and end, by the table of methods that has the function which hands over data.
    fn ending(&self, senders: &[Sender], state: u16) -> Option<Ending> {
        let is_sender = |address: Vaddr| senders.iter().any(|sender| sender.address == address);
        let hands = |address: &Vaddr| {
            let calls = || {
                effects(self.linkage, *address)
                    .map(|effects| effects.calls)
                    .unwrap_or_default()
            };
            is_sender(*address)
                || calls()
                    .iter()
                    .any(|call| is_connection(call.arguments[0]) && target(call).is_some_and(is_sender))
        };
        let handing: BTreeSet<_> = self.reports.with(&HANDS_DATA).filter(hands).collect();
        let writes = self
            .reports
            .with(&FILLS)
            .filter_map(|address| effects(self.linkage, address).ok());
        let slots: BTreeSet<_> = writes.flat_map(|effects| ending::slots(&effects)).collect();
        ending::find(self.linkage, &handing, &slots, state)
    }

    /// Makes the hook of a function that is found by its code and does what one of the library's interface does.
    fn hook_like(&self, like: &str, name: &'static str, address: Vaddr, source: SymbolSource) -> Option<Hook> {
        let (_, function) = functions::function(like)?;
        let entry = Function {
            kind: HookKind::Entry,
            ..*function
        };
        let found = finding(address, name, source);
        let hook = hook(self.linkage.image, &entry, &found, Proof::Callers)?;
        Some(Hook {
            name: name.to_owned(),
            ..hook
        })
    }
}

/// Lists the functions of the library's interface that are not found so.
fn absent(hooks: &[Hook]) -> Vec<&'static str> {
    let is_found = |function: &&Function| {
        let stands_for = |hook: &Hook| {
            hook.role == function.role
                && matches!(
                    function.role,
                    Role::Read | Role::Write | Role::End | Role::Clear | Role::Ciphertext
                )
        };
        hooks.iter().any(stands_for)
    };
    let absent = FUNCTIONS.iter().filter(|function| !is_found(function));
    absent.map(|function| function.name).collect()
}
