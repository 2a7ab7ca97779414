//! A decoded header block: pseudo-header fields apart from the other fields (RFC 9113 section 8.3).
//!
//! A malformed block is not dropped, because gateways may still act on it. Left out, and counted as unknown, are names and
//! values that RFC 9113 section 8.2.1 calls malformed, pseudo-header fields that are undefined, repeated or invalid, and what
//! is behind an HPACK error. A pseudo-header field behind other fields counts, as it does for some gateways.

use std::borrow::Cow;

use super::frame::Block;
use super::hpack;
use crate::grammar::{has_control, is_tchar};
use crate::{Counters, Fields, Limits, Malformed, RequestHead, ResponseHead, Unredacted, head};

/// The fields of a header block.
#[derive(Debug, Default)]
pub(super) struct Section {
    method: Option<Cow<'static, str>>,
    scheme: Option<Cow<'static, str>>,
    authority: Option<Unredacted>,
    path: Option<Unredacted>,
    protocol: Option<Box<str>>,
    status: Option<u16>,
    never_indexed: head::NeverIndexed,
    fields: Fields,
    unknown: u32,
    /// Whether a field is unknown that may be a pseudo-header field.
    begins_unknown: bool,
    malformed: Option<Malformed>,
}

/// The kind of a section, as far as its fields show it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// The head of a request.
    Request,
    /// The head of a response.
    Response,
    /// Trailers: the first field is known, and is not a pseudo-header field.
    Trailers,
    /// Any of these.
    Unknown,
}

/// Decodes header blocks.
#[derive(Debug, Default)]
pub(super) struct SectionReader {
    /// A buffer in which fields are gathered, so that each section is allocated once with its final size.
    scratch: Fields,
}

impl SectionReader {
    /// Decodes a block. If it is not whole, or has an HPACK error, the section has the decoded fields, and one unknown field
    /// for the rest.
    pub(super) fn read(
        &mut self,
        block: &Block<'_>,
        table: &mut hpack::Decoder,
        limits: &Limits,
        counters: &mut Counters,
    ) -> Section {
        self.scratch.clear();
        let mut builder = Builder {
            section: Section::default(),
            fields: &mut self.scratch,
            in_fields: false,
        };
        let bounds = hpack::Bounds {
            max_fields: limits.max_fields,
            max_bytes: limits.max_head_bytes,
        };
        let decoded = table.decode(block.bytes, &bounds, |field| builder.add(field));
        let missing = match decoded {
            Ok(decoded) => decoded.over_limit,
            // A block that was cut off within a field looks malformed.
            Err(_) if !block.whole => 0,
            Err(_) => {
                builder.note_malformed(Malformed::HeaderBlock);
                1
            }
        };
        if !block.whole {
            table.forget();
        }
        builder.add_unknown(missing.saturating_add(u32::from(!block.whole)));
        counters.heads_cut += u64::from(decoded.is_ok() && missing > 0 && block.whole);
        let Builder { section, fields, .. } = builder;
        counters.malformed_heads += u64::from(section.malformed.is_some());
        Section {
            fields: fields.clone(),
            ..section
        }
    }

    /// Returns the memory in use, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.scratch.held_bytes()
    }
}

impl Section {
    /// Returns what this is.
    pub(super) fn kind(&self) -> Kind {
        let is_of_request = self.has_request_fields() || self.scheme.is_some();
        if self.status.is_some() {
            Kind::Response
        } else if is_of_request || self.authority.is_some() || self.protocol.is_some() {
            Kind::Request
        } else if self.begins_unknown {
            Kind::Unknown
        } else {
            Kind::Trailers
        }
    }

    /// Returns whether it has pseudo-header fields of a request.
    pub(super) fn has_request_fields(&self) -> bool {
        self.method.is_some() || self.path.is_some()
    }

    /// Returns it as the head of a request. If nothing in it is of a request, it may be anything that HPACK happens to decode,
    /// even content: then its fields are only counted.
    pub(super) fn into_request(mut self, counters: &mut Counters) -> RequestHead {
        if !self.has_request_fields() && (self.status.is_some() || !self.begins_unknown) {
            self.leave_fields_out(counters);
        }
        let Self {
            method,
            scheme,
            authority,
            path,
            protocol,
            status,
            mut never_indexed,
            fields,
            unknown,
            begins_unknown: _,
            malformed,
        } = self;
        let needs_path = method.as_deref() != Some("CONNECT");
        let lacks = method.is_none() || (needs_path && (scheme.is_none() || path.is_none()));
        let wrong = (lacks && unknown == 0) || status.is_some();
        counters.malformed_heads += u64::from(wrong && malformed.is_none());
        let malformed = malformed.or(wrong.then_some(Malformed::PseudoHeader));
        if authority.is_none() {
            // RFC 9113 section 8.3.1: without :authority, the authority is in Host.
            never_indexed.authority = fields.get("host").is_some_and(|host| host.never_indexed);
        }
        RequestHead {
            method,
            scheme,
            target_authority: authority,
            path,
            protocol_upgrade: protocol,
            never_indexed,
            fields,
            unknown,
            malformed,
        }
    }

    /// Returns it as the head of a response. If nothing in it is of a response, its fields are only counted, as for a request.
    pub(super) fn into_response(mut self, counters: &mut Counters) -> ResponseHead {
        if self.status.is_none() && (self.has_request_fields() || !self.begins_unknown) {
            self.leave_fields_out(counters);
        }
        let wrong = self.has_request_fields() || (self.status.is_none() && self.unknown == 0);
        counters.malformed_heads += u64::from(wrong && self.malformed.is_none());
        ResponseHead {
            status: self.status,
            fields: self.fields,
            unknown: self.unknown,
            malformed: self.malformed.or(wrong.then_some(Malformed::PseudoHeader)),
        }
    }

    fn leave_fields_out(&mut self, counters: &mut Counters) {
        self.unknown = self.unknown.saturating_add(self.count());
        self.fields = Fields::default();
        counters.malformed_heads += u64::from(self.malformed.is_none());
        self.malformed = self.malformed.or(Some(Malformed::PseudoHeader));
    }

    /// Returns how many fields it has.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.fields.len()).unwrap_or(u32::MAX)
    }

    /// Returns it as trailers.
    pub(super) fn into_trailers(self) -> Fields {
        self.fields
    }

    /// Returns the memory in use, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        let text = [&self.authority, &self.path]
            .into_iter()
            .flatten()
            .map(Unredacted::len)
            .sum::<usize>();
        size_of::<Self>() + text + self.fields.held_bytes()
    }
}

/// Sorts the fields into a section as they are decoded.
struct Builder<'a> {
    section: Section,
    fields: &'a mut Fields,
    /// Whether a field that is not a pseudo-header field has been decoded.
    in_fields: bool,
}

impl Builder<'_> {
    fn add(&mut self, field: hpack::Header<'_>) {
        let hpack::Header {
            name,
            value,
            never_indexed,
        } = field;
        if name.is_none() || value.is_none() {
            self.section.unknown = self.section.unknown.saturating_add(1);
            self.section.begins_unknown |= !self.in_fields && name.is_none();
        }
        match (name, value) {
            (Some([b':', name @ ..]), Some(value)) => self.add_pseudo(name, value, never_indexed),
            (Some([b':', ..]), None) => {}
            (name, value) => self.add_field(name, value, never_indexed),
        }
    }

    fn add_field(&mut self, name: Option<&[u8]>, value: Option<&[u8]>, never_indexed: bool) {
        self.in_fields |= name.is_some();
        if name.is_none_or(is_field_name) && value.is_none_or(is_field_value) {
            self.fields.push_checked(name, value, never_indexed);
        } else {
            self.note_malformed(Malformed::Field);
            self.section.unknown = self.section.unknown.saturating_add(1);
        }
    }

    /// Notes what is malformed; the first note counts.
    fn note_malformed(&mut self, malformed: Malformed) {
        self.section.malformed.get_or_insert(malformed);
    }

    fn add_pseudo(&mut self, name: &[u8], value: &[u8], never_indexed: bool) {
        let section = &mut self.section;
        let is_valid = match name {
            b"method" => {
                let common = head::common_method(value).map(Cow::Borrowed);
                set(&mut section.method, common.or_else(|| token(value).map(head::method)))
            }
            b"scheme" => {
                let common = head::common_scheme(value).map(Cow::Borrowed);
                set(&mut section.scheme, common.or_else(|| token(value).map(head::scheme)))
            }
            b"protocol" => set(&mut section.protocol, token(value).map(Into::into)),
            b"status" => set(&mut section.status, status(value)),
            b"authority" => {
                section.never_indexed.authority |= never_indexed;
                set(
                    &mut section.authority,
                    is_field_value(value).then(|| Unredacted::new(value)),
                )
            }
            b"path" => {
                section.never_indexed.path |= never_indexed;
                set(&mut section.path, is_field_value(value).then(|| Unredacted::new(value)))
            }
            _ => false,
        };
        if !is_valid {
            section.unknown = section.unknown.saturating_add(1);
        }
        if self.in_fields || !is_valid {
            self.note_malformed(Malformed::PseudoHeader);
        }
    }

    /// Adds a number of unknown fields, represented by one.
    fn add_unknown(&mut self, count: u32) {
        if count > 0 {
            self.section.unknown = self.section.unknown.saturating_add(count);
            self.section.begins_unknown |= !self.in_fields;
            self.fields.push_checked(None, None, false);
        }
    }
}

/// Sets a value that must be valid and come once, and returns whether both are so.
fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let is_valid = place.is_none() && value.is_some();
    if is_valid {
        *place = value;
    }
    is_valid
}

/// Returns a status code: three digits, the first one not zero.
fn status(value: &[u8]) -> Option<u16> {
    let &[hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = value else {
        return None;
    };
    let digit = |byte: u8| u16::from(byte - b'0');
    Some(100 * digit(hundreds) + 10 * digit(tens) + digit(ones))
}

/// Returns whether `name` is a valid field name: a token without upper-case letters (RFC 9113 section 8.2.1).
pub(super) fn is_field_name(name: &[u8]) -> bool {
    let is_valid = |byte: &u8| NAME_BYTES.get(usize::from(*byte)).copied().unwrap_or_default();
    !name.is_empty() && name.iter().all(is_valid)
}

/// The bytes that a field name may have.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = is_tchar(byte) && !byte.is_ascii_uppercase();
        byte += 1;
    }
    table
};

/// Returns whether `value` has no line break or NUL (RFC 9113 section 8.2.1). White space around it is accepted, as it is by
/// most gateways.
fn is_field_value(value: &[u8]) -> bool {
    // Most values are short, and have no control characters at all.
    !has_control(value) || memchr::memchr3(0, b'\r', b'\n', value).is_none()
}

fn token(value: &[u8]) -> Option<&str> {
    let is_token = !value.is_empty() && value.iter().all(|byte| is_tchar(*byte));
    str::from_utf8(value).ok().filter(|_| is_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_three_digits_from_100_on() {
        for code in 0..2000_u16 {
            let expected = Some(code).filter(|code| (100..=999).contains(code));
            assert_eq!(status(format!("{code:03}").as_bytes()), expected);
        }
        for text in ["", "20", "+20", "2 0", "20a", "0200", "\u{661}0"] {
            assert_eq!(status(text.as_bytes()), None, "{text}");
        }
    }
}
