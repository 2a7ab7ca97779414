//! Which methods are shown.
//!
//! Any token is a method, so what follows a body that was sent without being announced reads like one: `secretGET`. The
//! methods that are known cannot come about so. Another one is shown where it is the first thing on the connection, or
//! where a head must be and it fills the beginning of a call, is a word, and does not end like a known one; else the
//! request is shown without it.

use std::borrow::Cow;

use crate::{Malformed, RequestHead};

/// Where a request line began.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// At the first byte of the connection.
    First,
    /// Where a head must be, and at the first byte of a call, whose bytes reach so far.
    Call(usize),
    /// Elsewhere.
    Inside,
}

/// Takes the method out of a head where it may be something else.
pub(super) fn hide(head: &mut RequestHead, place: Place) {
    // Known methods that are common are borrowed, and are most.
    let Some(Cow::Owned(method)) = &head.method else { return };
    if !is_shown(method, place) {
        head.method = None;
        head.malformed.get_or_insert(Malformed::Method);
        head.unknown = head.unknown.saturating_add(1);
    }
}

/// Returns whether `method` is registered or in common use.
pub(super) fn is_known(method: &str) -> bool {
    REGISTERED.contains(&method) || IN_USE.contains(&method)
}

pub(super) fn is_shown(method: &str, place: Place) -> bool {
    if is_known(method) {
        return true;
    }
    match place {
        _ if method.len() > MAX_METHOD => false,
        Place::First => true,
        Place::Call(length) => length > method.len() && is_wordlike(method) && !ends_like_known(method),
        Place::Inside => false,
    }
}

/// Returns whether a token has letters of one case alone, and what parts words.
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
        for (method, place, shown) in [
            ("CCM_POST", Place::Inside, true),
            ("PROPFIND", Place::Inside, true),
            ("GO", Place::First, true),
            ("x9", Place::First, true),
            ("GO", Place::Call(3), true),
            ("get", Place::Call(100), true),
            ("GO", Place::Call(2), false),
            ("GO", Place::Inside, false),
            ("x9", Place::Call(100), false),
            ("secretGET", Place::Call(100), false),
            ("secretget", Place::Call(100), false),
        ] {
            assert_eq!(is_shown(method, place), shown, "{method} {place:?}");
        }
        for place in [Place::First, Place::Call(100)] {
            assert!(is_shown(&"X".repeat(MAX_METHOD), place));
            assert!(!is_shown(&"X".repeat(MAX_METHOD + 1), place));
        }
    }
}
