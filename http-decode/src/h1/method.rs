//! Which methods are shown, so that content is never shown as a method.
//!
//! Any token is a valid method, so a body that no field announces runs into the method behind it: `secretGET`. A known
//! method cannot come about in this way. An unknown one is shown only at the start of the connection, or if it begins a call
//! where a head must begin, is a word, and does not end like a known method. Otherwise the request is shown without it.

use std::borrow::Cow;

use crate::{Malformed, RequestHead};

/// Where a request line begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HeadStart {
    /// At the first byte of the connection.
    Connection,
    /// Where a head must begin, at the first byte of a call of this many bytes.
    Call(usize),
    /// Elsewhere.
    Elsewhere,
}

/// Removes the method from a head if it may be content.
pub(super) fn hide_unclear(head: &mut RequestHead, start: HeadStart) {
    // The common methods are borrowed, and known.
    let Some(Cow::Owned(method)) = &head.method else { return };
    if !is_shown(method, start) {
        head.method = None;
        head.malformed.get_or_insert(Malformed::Method);
        head.unknown = head.unknown.saturating_add(1);
    }
}

/// Returns whether `method` is registered or in common use.
pub(crate) fn is_known(method: &str) -> bool {
    known(method).is_some()
}

/// Returns a method that is registered or in common use.
pub(crate) fn known(method: &str) -> Option<&'static str> {
    let mut all = REGISTERED.iter().chain(IN_USE);
    all.find(|known| **known == method).copied()
}

/// Returns whether `method` cannot be content.
pub(super) fn is_shown(method: &str, start: HeadStart) -> bool {
    if is_known(method) {
        return true;
    }
    match start {
        _ if method.len() > MAX_METHOD => false,
        HeadStart::Connection => true,
        HeadStart::Call(length) => length > method.len() && is_wordlike(method) && !ends_like_known(method),
        HeadStart::Elsewhere => false,
    }
}

/// Returns whether a token consists of letters of one case, hyphens and underscores.
fn is_wordlike(method: &str) -> bool {
    let (upper, lower) = (u8::is_ascii_uppercase, u8::is_ascii_lowercase);
    [upper, lower].iter().any(|is_of_case| {
        method
            .bytes()
            .all(|byte| is_of_case(&byte) || matches!(byte, b'-' | b'_'))
    })
}

fn ends_like_known(method: &str) -> bool {
    let ends_with = |known: &&'static str| {
        let start = method.len().checked_sub(known.len()).filter(|start| *start > 0);
        let end = start.and_then(|start| method.get(start..));
        end.is_some_and(|end| end.eq_ignore_ascii_case(known))
    };
    REGISTERED.iter().chain(IN_USE).any(ends_with)
}

/// Longer tokens are shown only if they are known.
pub(crate) const MAX_METHOD: usize = 32;

/// IANA's HTTP Method Registry, 2026.
const REGISTERED: &[&str] = &[
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// Methods of Outlook and Exchange, Remote Desktop, BITS, Configuration Manager, `UPnP`, caches, Icecast, RTSP.
const IN_USE: &[&str] = &[
    "ANNOUNCE",
    "BAN",
    "BCOPY",
    "BDELETE",
    "BITS_POST",
    "BMOVE",
    "BPROPFIND",
    "BPROPPATCH",
    "CCM_POST",
    "DEBUG",
    "DESCRIBE",
    "GET_PARAMETER",
    "M-SEARCH",
    "NOTIFY",
    "PAUSE",
    "PLAY",
    "POLL",
    "PURGE",
    "RDG_IN_DATA",
    "RDG_OUT_DATA",
    "RECORD",
    "REDIRECT",
    "REFRESH",
    "RPC_IN_DATA",
    "RPC_OUT_DATA",
    "SETUP",
    "SET_PARAMETER",
    "SOURCE",
    "SUBSCRIBE",
    "TEARDOWN",
    "TRACK",
    "UNSUBSCRIBE",
    "X-MS-ENUMATTS",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_method_is_shown_where_nothing_can_have_run_into_it() {
        for (method, start, shown) in [
            ("CCM_POST", HeadStart::Elsewhere, true),
            ("PROPFIND", HeadStart::Elsewhere, true),
            ("GO", HeadStart::Connection, true),
            ("x9", HeadStart::Connection, true),
            ("GO", HeadStart::Call(3), true),
            ("get", HeadStart::Call(100), true),
            ("GO", HeadStart::Call(2), false),
            ("GO", HeadStart::Elsewhere, false),
            ("x9", HeadStart::Call(100), false),
            ("secretGET", HeadStart::Call(100), false),
            ("secretget", HeadStart::Call(100), false),
        ] {
            assert_eq!(is_shown(method, start), shown, "{method} {start:?}");
        }
        for start in [HeadStart::Connection, HeadStart::Call(100)] {
            assert!(is_shown(&"X".repeat(MAX_METHOD), start));
            assert!(!is_shown(&"X".repeat(MAX_METHOD + 1), start));
        }
    }
}
