//! What the library's own accessors say of its structures.
//!
//! An offset is known as far as the code of the accessor could be followed. Accessors of which there are several, or
//! whose size is not stated, say nothing, and neither do answers that contradict each other.

use super::functions;
use crate::code::accessor;
use crate::elf::image::Image;
use crate::elf::machine::Machine;
use crate::elf::survey::Survey;
use crate::libraries::layout::{BioLayout, Facts};

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
            rbio: self.ask(functions::RBIO, accessor::pointer_of_ssl),
            wbio: self.ask(functions::WBIO, accessor::wbio),
            bio: self.bio(),
        }
    }

    /// The fields of a BIO.
    ///
    /// No accessor returns the number. Every version keeps it between the reason for a retry and the data: `init`,
    /// `shutdown`, `flags`, `retry_reason` and `num` are `int`s, then comes the pointer `ptr` (bio_local.h of OpenSSL
    /// 1.1.0 to 4.0 and of LibreSSL, `struct bio_st` of BoringSSL and AWS-LC). All of them must be found in that order.
    pub(crate) fn bio(self) -> Option<BioLayout> {
        let method = self.ask(functions::BIO_METHOD_TYPE, accessor::first_int_behind)?;
        let data = self.ask(functions::BIO_DATA, accessor::pointer)?;
        let init = self.ask(functions::BIO_INIT, accessor::int)?;
        let shutdown = self.ask(functions::BIO_SHUTDOWN, accessor::int)?;
        let retry_reason = self.ask(functions::BIO_RETRY_REASON, accessor::int);
        let num = data.checked_sub(8)?;
        let in_order = num.checked_sub(16) == Some(init)
            && num.checked_sub(12) == Some(shutdown)
            && retry_reason.is_none_or(|retry_reason| num.checked_sub(4) == Some(retry_reason));
        in_order.then_some(BioLayout { method, num })
    }

    /// What a connection has negotiated.
    pub(crate) fn facts(self) -> Facts {
        let cipher = self.ask(functions::CURRENT_CIPHER, accessor::pointer_behind);
        let session = self.ask(functions::SESSION, accessor::pointer_of_ssl);
        let session = only([session, cipher.map(|[session, _]| session)]);
        let alpn = self.ask(functions::SELECTED_ALPN, accessor::pointer_and_length);
        let name = self.ask(functions::SERVER_NAME, accessor::pointer_or_behind);
        let in_session = |offsets: [u16; 2]| {
            let [first, second] = offsets;
            (Some(first) == session).then_some(second)
        };
        Facts {
            version: self.ask(functions::VERSION, accessor::int_of_ssl),
            early_data: self.ask(functions::EARLY_DATA_STATUS, accessor::int_of_ssl),
            session,
            session_cipher: cipher.and_then(in_session),
            cipher_name: self.ask(functions::CIPHER_NAME, accessor::pointer),
            alpn: alpn.map(|(pointer, _)| pointer),
            alpn_length: alpn.map(|(_, length)| length),
            server_name: name.map(|(own, _)| own),
            session_server_name: name.and_then(|(_, behind)| in_session(behind)),
        }
    }

    fn ask<T>(self, name: &str, read: impl Fn(Machine, &[u8]) -> Option<T>) -> Option<T> {
        let function = self.survey.function(name).filter(|function| function.size != 0)?;
        let size = usize::try_from(function.size).ok()?;
        let code = self.image.bytes_from(function.address)?.get(..size)?;
        read(self.image.machine(), code)
    }
}

/// The answer of those that answer, if it is the same.
fn only(answers: [Option<u16>; 2]) -> Option<u16> {
    match answers {
        [Some(one), Some(other)] => (one == other).then_some(one),
        [one, other] => one.or(other),
    }
}
