//! Which lines the user wants to see.
//!
//! In: [`Redacted`]`<`[`Line`]`>`, so that no filter can be used to guess a secret. Out: yes or no. Refuses what is not
//! known: an exchange whose method was not seen is not one whose method is GET. The one exception is time: an exchange
//! that goes on may yet be slow, so `--slower-than` lets it pass.

mod args;
mod open;

use std::time::Duration;

use self::open::Open;
use crate::redact::{ExchangeLine, Line, Redacted};

pub use args::FilterArgs;

/// Decides which lines are printed.
#[derive(Debug, Default)]
pub struct Filter {
    wanted: FilterArgs,
    open: Open,
}

impl Filter {
    /// Takes what the user asked for.
    pub fn new(wanted: FilterArgs) -> Self {
        let open = Open::default();
        Self { wanted, open }
    }

    /// Returns whether a line is wanted; the end of an exchange is if the exchange was, a loss always is, and a connection
    /// if nothing is asked for.
    pub fn passes(&mut self, line: &Redacted<Line>) -> bool {
        match &**line {
            Line::Exchange(exchange) => {
                let wanted = self.wants(exchange);
                if wanted && exchange.ended.is_none() {
                    self.open.insert(&exchange.id);
                }
                wanted
            }
            Line::End(end) => self.open.remove(&end.id),
            Line::Loss(_) | Line::Health(_) => true,
            Line::Connection(_) => self.asks_nothing(),
        }
    }

    /// Returns whether no flag was given: every flag names something that an exchange has and a connection has not.
    fn asks_nothing(&self) -> bool {
        let FilterArgs {
            side,
            methods,
            hosts,
            paths,
            statuses,
            headers,
            slower_than,
        } = &self.wanted;
        side.is_none()
            && methods.is_empty()
            && hosts.is_empty()
            && paths.is_empty()
            && statuses.is_empty()
            && headers.is_empty()
            && slower_than.is_none()
    }

    /// Counts the exchanges whose end will not be printed, because too many were open at once.
    pub const fn forgotten(&self) -> u64 {
        self.open.forgotten
    }

    fn wants(&self, exchange: &ExchangeLine) -> bool {
        let FilterArgs {
            side,
            methods,
            hosts,
            paths,
            statuses,
            headers,
            slower_than,
        } = &self.wanted;
        let request = exchange.request.as_ref();
        let response = exchange.response.as_ref();
        side.is_none_or(|side| side.word() == exchange.side)
            && any(
                methods,
                request.and_then(|request| request.method.as_deref()),
                |wanted, method| wanted.eq_ignore_ascii_case(method),
            )
            && any(
                hosts,
                request.and_then(|request| request.authority.as_deref()),
                |glob, authority| glob.matches(host(authority).as_bytes()),
            )
            && any(
                paths,
                request.and_then(|request| request.path.as_deref()),
                regex::Regex::is_match,
            )
            && any(
                statuses,
                response.and_then(|response| response.status),
                |statuses, status| statuses.contains(status),
            )
            && headers.iter().all(|header| header.is_in(exchange))
            && slower_than.is_none_or(|least| is_slower(exchange, least))
    }
}

/// Returns whether nothing is asked for, or what is known is one of the things asked for.
fn any<A, T: Copy>(asked: &[A], known: Option<T>, matches: impl Fn(&A, T) -> bool) -> bool {
    asked.is_empty() || known.is_some_and(|known| asked.iter().any(|asked| matches(asked, known)))
}

/// Leaves userinfo and the port out of an authority.
fn host(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_slower(exchange: &ExchangeLine, least: Duration) -> bool {
    match exchange.duration_us {
        Some(duration_us) => Duration::from_micros(duration_us) > least,
        None => exchange.ended.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::output::sample;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        filter: FilterArgs,
    }

    fn filter(words: &[&str]) -> Filter {
        let command = Command::try_parse_from([&["tlscope"], words].concat());
        Filter::new(command.unwrap().filter)
    }

    fn passes(words: &[&str], line: &Redacted<Line>) -> bool {
        filter(words).passes(line)
    }

    #[test]
    fn each_flag_has_to_hold_in_one_of_its_values() {
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
    fn what_is_not_known_is_not_wanted() {
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
    fn an_end_is_wanted_if_its_exchange_was() {
        let open = sample::exchange_with(|exchange| (exchange.ended, exchange.ended_at) = (None, None));
        let mut filter = filter(&["--slower-than", "1h"]);
        assert!(!filter.passes(&sample::end()));
        assert!(filter.passes(&open));
        assert!(filter.passes(&sample::end()));
        assert!(!filter.passes(&sample::end()));
        assert!(!filter.passes(&sample::exchange()));
    }

    #[test]
    fn a_loss_is_always_wanted() {
        assert!(passes(&["--method", "GET"], &sample::loss()));
    }

    #[test]
    fn a_connection_is_wanted_if_no_exchange_is_asked_for() {
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
