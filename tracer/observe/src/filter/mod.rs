//! Selects the lines that are printed.
//!
//! Filters see only redacted lines, so that a secret cannot be guessed with them. An unknown value matches no filter: an
//! exchange without a method is not one with the method GET. The exception is time: an exchange in progress may become slow,
//! so it matches `--slower-than`.

mod args;
mod open;

use std::time::Duration;

use self::open::Open;
use crate::redact::{ExchangeLine, Line, Redacted};

pub use args::FilterArgs;

/// Decides which lines are printed.
#[derive(Debug, Default)]
pub struct Filter {
    args: FilterArgs,
    open: Open,
}

impl Filter {
    /// Creates a filter with these flags.
    pub fn new(args: FilterArgs) -> Self {
        let open = Open::default();
        Self { args, open }
    }

    /// Returns whether a line is printed. The end of an exchange is if the exchange was, a loss and health always are, and a
    /// connection is if there are no flags.
    pub fn passes(&mut self, line: &Redacted<Line<'_>>) -> bool {
        match &**line {
            Line::Exchange(exchange) => {
                let matches = self.matches(exchange);
                if matches && exchange.ended.is_none() {
                    self.open.insert(&exchange.id);
                }
                matches
            }
            Line::Hop(hop) => {
                // What one side matches is printed with the other side.
                let matches = hop.exchanges().any(|exchange| self.matches(exchange));
                for exchange in hop.exchanges().filter(|exchange| matches && exchange.ended.is_none()) {
                    self.open.insert(&exchange.id);
                }
                matches
            }
            Line::End(end) => self.open.remove(&end.id),
            Line::Loss(_) | Line::Health(_) | Line::Hooks(_) => true,
            Line::Connection(_) => self.is_empty(),
        }
    }

    /// Returns whether there are no flags. Each selects by a property of exchanges that connections do not have.
    fn is_empty(&self) -> bool {
        let FilterArgs {
            side,
            methods,
            hosts,
            paths,
            statuses,
            headers,
            slower_than,
        } = &self.args;
        side.is_none()
            && methods.is_empty()
            && hosts.is_empty()
            && paths.is_empty()
            && statuses.is_empty()
            && headers.is_empty()
            && slower_than.is_none()
    }

    /// Returns the number of exchanges whose end will not be printed, because too many were open at once.
    pub const fn forgotten(&self) -> u64 {
        self.open.forgotten
    }

    fn matches(&self, exchange: &ExchangeLine<'_>) -> bool {
        let FilterArgs {
            side,
            methods,
            hosts,
            paths,
            statuses,
            headers,
            slower_than,
        } = &self.args;
        let request = exchange.request.as_ref();
        let response = exchange.response.as_ref();
        side.is_none_or(|side| side.word() == exchange.side)
            && any(
                methods,
                || request.and_then(|request| request.method.as_deref()),
                |wanted, method| wanted.eq_ignore_ascii_case(method),
            )
            && any(
                hosts,
                || request.and_then(|request| request.authority.as_deref()),
                |glob, authority| glob.matches(host(authority).as_bytes()),
            )
            && any(
                paths,
                || request.and_then(|request| request.path.as_deref()),
                regex::Regex::is_match,
            )
            && any(
                statuses,
                || response.and_then(|response| response.status),
                |statuses, status| statuses.contains(status),
            )
            && headers.iter().all(|header| header.is_in(exchange))
            && slower_than.is_none_or(|least| is_slower(exchange, least))
    }
}

/// Returns whether a value matches any of the wanted ones, or none are given.
fn any<W, T: Copy>(wanted: &[W], value: impl FnOnce() -> Option<T>, matches: impl Fn(&W, T) -> bool) -> bool {
    wanted.is_empty() || value().is_some_and(|value| wanted.iter().any(|wanted| matches(wanted, value)))
}

/// Returns the host of an authority, without userinfo and port.
fn host(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_slower(exchange: &ExchangeLine<'_>, least: Duration) -> bool {
    match exchange.duration_us {
        Some(duration_us) => Duration::from_micros(duration_us) > least,
        None => exchange.ended.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{correlate::ObservedKind, output::sample};

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        filter: FilterArgs,
    }

    fn filter(words: &[&str]) -> Filter {
        let command = Command::try_parse_from([&["tlscope"], words].concat());
        Filter::new(command.unwrap().filter)
    }

    fn passes(words: &[&str], line: &Redacted<Line<'_>>) -> bool {
        filter(words).passes(line)
    }

    #[test]
    fn an_exchange_must_match_any_value_of_each_flag() {
        let line = sample::exchange();
        for words in [
            &[][..],
            &["--side", "server"],
            &["--method", "put", "--method", "get"],
            &["--host", "*.test"],
            &["--path", "^/x"],
            &["--status", "2xx"],
            &["--status", "404", "--status=200-204"],
            &["--header", "Server=^nginx$", "--header", "host"],
            &["--header", "grpc-status=0"],
            &["--slower-than", "400us"],
        ] {
            assert!(passes(words, &line), "{words:?}");
        }
        for words in [
            &["--side", "client"][..],
            &["--method", "PUT"],
            &["--host", "test"],
            &["--path", "^x"],
            &["--status", "201"],
            &["--header", "server=apache"],
            &["--header", "host", "--header", "x-none"],
            &["--slower-than", "412us"],
            &["--method", "GET", "--status", "5xx"],
        ] {
            assert!(!passes(words, &line), "{words:?}");
        }
    }

    #[test]
    fn an_unknown_value_does_not_match() {
        for words in [
            ["--method", "GET"],
            ["--host", "*"],
            ["--path", ""],
            ["--status", "100-999"],
            ["--header", "x-tenant="],
        ] {
            assert!(!passes(&words, &sample::half()), "{words:?}");
        }
        assert!(passes(&["--header", "x-tenant"], &sample::half()));
    }

    #[test]
    fn no_filter_sees_a_secret() {
        assert!(!passes(&["--header", "authorization=hunter"], &sample::exchange()));
        assert!(!passes(&["--path", "hunter"], &sample::exchange()));
    }

    #[test]
    fn an_end_passes_if_its_exchange_did() {
        let open = sample::exchange_with(|exchange| (exchange.ended, exchange.ended_at) = (None, None));
        let mut filter = filter(&["--slower-than", "1h"]);
        assert!(!filter.passes(&sample::end()));
        assert!(filter.passes(&open));
        assert!(filter.passes(&sample::end()));
        assert!(!filter.passes(&sample::end()));
        assert!(!filter.passes(&sample::exchange()));
    }

    #[test]
    fn a_hop_passes_if_one_side_does() {
        for words in [
            &["--side", "client"][..],
            &["--side", "server"],
            &["--status", "201"],
            &["--path", "^/y"],
        ] {
            assert!(passes(words, &sample::hop()), "{words:?}");
        }
        // Both sides together do not match if neither does.
        assert!(!passes(&["--side", "server", "--status", "201"], &sample::hop()));
        assert!(!passes(&["--path", "hunter"], &sample::hop()));
    }

    #[test]
    fn the_end_of_an_exchange_of_a_hop_passes_if_the_hop_did() {
        let open = sample::hop_with(|hop| {
            if let Some(ObservedKind::Exchange(exchange)) = hop.downstream.as_mut().map(|one| &mut one.kind) {
                (exchange.ended, exchange.ended_at) = (None, None);
            }
        });
        let mut filter = filter(&["--status", "201"]);
        assert!(!filter.passes(&sample::end()));
        assert!(filter.passes(&open));
        assert!(filter.passes(&sample::end()));
    }

    #[test]
    fn a_loss_always_passes() {
        assert!(passes(&["--method", "GET"], &sample::loss()));
    }

    #[test]
    fn a_connection_passes_without_flags() {
        assert!(passes(&[], &sample::summary()));
        for words in [
            ["--side", "server"],
            ["--method", "GET"],
            ["--host", "*"],
            ["--path", ""],
            ["--status", "2xx"],
            ["--header", "host"],
            ["--slower-than", "1us"],
        ] {
            assert!(!passes(&words, &sample::summary()), "{words:?}");
        }
    }

    #[test]
    fn a_host_has_no_port_and_no_userinfo() {
        for (authority, wanted) in [
            ("a.test:8443", "a.test"),
            ("[redacted]@a.test", "a.test"),
            ("[::1]:443", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(host(authority), wanted);
        }
    }
}
