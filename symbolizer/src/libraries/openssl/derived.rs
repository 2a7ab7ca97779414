//! What the library's own accessors say of its structures.
//!
//! In: an [`Image`] and the names found in it. Out: the offsets of its `SSL` in [`Derived`] and [`Facts`], and those of
//! its BIO in [`BioLayout`], as far as the code of the accessors could be followed. Refused: accessors of which there
//! are several, or whose size is not stated, and answers that contradict each other.

use crate::code::accessor;
use crate::elf::image::{Image, Machine};
use crate::elf::survey::{Accessor, Survey, Wanted};

/// Gives the byte offsets that lead from a `BIO*` to a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BioLayout {
    /// To the pointer to its method, whose first word is the type.
    pub method: u16,
    /// To its number, the descriptor of a socket BIO.
    pub num: u16,
}

/// Gives the byte offsets to what a TLS connection has negotiated, each if the library's accessors say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// From an `SSL` to the protocol version, an `int`.
    pub version: Option<u16>,
    /// From an `SSL` to what became of early data, an `int`.
    pub early_data: Option<u16>,
    /// From an `SSL` to the pointer to its session.
    pub session: Option<u16>,
    /// From a session to the pointer to its cipher.
    pub session_cipher: Option<u16>,
    /// From a cipher to the pointer to its name.
    pub cipher_name: Option<u16>,
    /// From an `SSL` to the pointer to the application protocol, which no zero byte ends.
    pub alpn: Option<u16>,
    /// From an `SSL` to the length of that protocol, 32 bits of it.
    pub alpn_length: Option<u16>,
    /// From an `SSL` to the pointer to the server name.
    pub server_name: Option<u16>,
    /// From a session to the pointer to the server name, for sessions that were resumed without one of their own.
    pub session_server_name: Option<u16>,
}

/// Holds what leads from an `SSL` to its BIOs and on, where the accessors say it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Derived {
    pub(crate) rbio: Option<u16>,
    pub(crate) wbio: Option<u16>,
    pub(crate) bio: Option<BioLayout>,
}

/// Asks the accessors of one image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accessors<'image> {
    image: &'image Image<'image>,
    survey: &'image Survey,
}

impl<'image> Accessors<'image> {
    pub(crate) const fn new(image: &'image Image<'image>, survey: &'image Survey) -> Self {
        Self { image, survey }
    }

    /// The way to the descriptor, but for what another image holds.
    pub(crate) fn derived(self) -> Derived {
        Derived {
            rbio: self.ask(Accessor::Rbio, accessor::pointer_of_ssl),
            wbio: self.ask(Accessor::Wbio, accessor::wbio),
            bio: self.bio(),
        }
    }

    /// The fields of a BIO.
    ///
    /// No accessor returns the number. Every version keeps it between the reason for a retry and the data: `init`,
    /// `shutdown`, `flags`, `retry_reason` and `num` are `int`s, then comes the pointer `ptr` (bio_local.h of OpenSSL
    /// 1.1.0 to 4.0 and of LibreSSL, `struct bio_st` of BoringSSL and AWS-LC). All of them must be found in that order.
    pub(crate) fn bio(self) -> Option<BioLayout> {
        let method = self.ask(Accessor::BioMethodType, accessor::first_int_behind)?;
        let data = self.ask(Accessor::BioData, accessor::pointer)?;
        let init = self.ask(Accessor::BioInit, accessor::int)?;
        let shutdown = self.ask(Accessor::BioShutdown, accessor::int)?;
        let retry_reason = self.ask(Accessor::BioRetryReason, accessor::int);
        let num = data.checked_sub(8)?;
        let in_order = num.checked_sub(16) == Some(init)
            && num.checked_sub(12) == Some(shutdown)
            && retry_reason.is_none_or(|retry_reason| num.checked_sub(4) == Some(retry_reason));
        in_order.then_some(BioLayout { method, num })
    }

    /// What a connection has negotiated.
    pub(crate) fn facts(self) -> Facts {
        let cipher = self.ask(Accessor::CurrentCipher, accessor::pointer_behind);
        let session = self.ask(Accessor::Session, accessor::pointer_of_ssl);
        let session = only([session, cipher.map(|[session, _]| session)]);
        let alpn = self.ask(Accessor::SelectedAlpn, accessor::pointer_and_length);
        let name = self.ask(Accessor::ServerName, accessor::pointer_or_behind);
        let in_session = |offsets: [u16; 2]| {
            let [first, second] = offsets;
            (Some(first) == session).then_some(second)
        };
        Facts {
            version: self.ask(Accessor::Version, accessor::int_of_ssl),
            early_data: self.ask(Accessor::EarlyDataStatus, accessor::int_of_ssl),
            session,
            session_cipher: cipher.and_then(in_session),
            cipher_name: self.ask(Accessor::CipherName, accessor::pointer),
            alpn: alpn.map(|(pointer, _)| pointer),
            alpn_length: alpn.map(|(_, length)| length),
            server_name: name.map(|(own, _)| own),
            session_server_name: name.and_then(|(_, behind)| in_session(behind)),
        }
    }

    fn ask<T>(self, accessor: Accessor, read: impl Fn(Machine, &[u8]) -> Option<T>) -> Option<T> {
        match self.survey.functions(Wanted::Accessor(accessor)).as_slice() {
            [only] if only.size != 0 => {
                let size = usize::try_from(only.size).ok()?;
                read(self.image.machine(), self.image.bytes_from(only.address)?.get(..size)?)
            }
            _ => None,
        }
    }
}

/// The answer of those that answer, if it is the same.
fn only(answers: [Option<u16>; 2]) -> Option<u16> {
    match answers {
        [Some(one), Some(other)] => (one == other).then_some(one),
        [one, other] => one.or(other),
    }
}
