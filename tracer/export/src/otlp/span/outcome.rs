//! Whether an exchange failed, as the conventions have it.

use std::borrow::Cow;

/// What is known of the end of an exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome<'a> {
    /// `server` or `client`: the role of the traced process.
    pub(crate) side: &'a str,
    /// The status code of the response.
    pub(crate) status: Option<u16>,
    /// The status of a gRPC call.
    pub(crate) grpc_status: Option<u32>,
    /// How it ended.
    pub(crate) ended: Option<&'a str>,
}

impl Outcome<'_> {
    /// Returns the type of the error, if there is one: the status code of the response, the name of that of gRPC, `reset`, or
    /// `closed`.
    pub(crate) fn error(&self) -> Option<Cow<'static, str>> {
        let is_client = self.side == "client";
        let least = if is_client { 400 } else { 500 };
        if let Some(status) = self.status.filter(|status| *status >= least) {
            return Some(Cow::Owned(status.to_string()));
        }
        if let Some((name, is_servers)) = self.grpc_status.and_then(grpc_error)
            && (is_client || is_servers)
        {
            return Some(Cow::Borrowed(name));
        }
        match self.ended {
            Some("reset") => Some(Cow::Borrowed("reset")),
            Some("closed") => Some(Cow::Borrowed("closed")),
            Some(_) | None => None,
        }
    }
}

/// Returns the name of a status of gRPC that is not success, and whether it is the fault of the server.
const fn grpc_error(status: u32) -> Option<(&'static str, bool)> {
    Some(match status {
        0 => return None,
        1 => ("CANCELLED", false),
        3 => ("INVALID_ARGUMENT", false),
        4 => ("DEADLINE_EXCEEDED", true),
        5 => ("NOT_FOUND", false),
        6 => ("ALREADY_EXISTS", false),
        7 => ("PERMISSION_DENIED", false),
        8 => ("RESOURCE_EXHAUSTED", false),
        9 => ("FAILED_PRECONDITION", false),
        10 => ("ABORTED", false),
        11 => ("OUT_OF_RANGE", false),
        12 => ("UNIMPLEMENTED", true),
        13 => ("INTERNAL", true),
        14 => ("UNAVAILABLE", true),
        15 => ("DATA_LOSS", true),
        16 => ("UNAUTHENTICATED", false),
        _ => ("UNKNOWN", true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_that_of_the_side() {
        for (side, status, grpc_status, ended, error) in [
            ("server", Some(404), None, Some("complete"), None),
            ("client", Some(404), None, Some("complete"), Some("404")),
            ("server", Some(503), None, Some("reset"), Some("503")),
            ("server", Some(200), Some(5), Some("complete"), None),
            ("client", Some(200), Some(5), Some("complete"), Some("NOT_FOUND")),
            ("server", Some(200), Some(14), Some("complete"), Some("UNAVAILABLE")),
            ("server", Some(200), Some(0), Some("complete"), None),
            ("server", None, None, Some("reset"), Some("reset")),
            ("client", Some(200), None, Some("closed"), Some("closed")),
            ("client", Some(200), None, Some("lost"), None),
            ("client", Some(101), None, Some("upgraded"), None),
            ("client", Some(200), None, None, None),
        ] {
            let outcome = Outcome {
                side,
                status,
                grpc_status,
                ended,
            };
            assert_eq!(outcome.error().as_deref(), error, "{outcome:?}");
        }
    }
}
