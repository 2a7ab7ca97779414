//! Selects the lines that are printed.
//!
//! Filters see only redacted lines, so that a secret cannot be guessed with them. An unknown value matches no filter: an
//! exchange without a method is not one with the method GET. The exception is time: an exchange in progress may become slow,
//! so it matches `--slower-than`.

mod args;
mod matches;
mod open;
mod rate_limit;
mod sample;

use self::{open::Open, rate_limit::RateLimit, sample::Sampler};
use crate::{
    correlate::Interest,
    redact::{ExchangeLine, HopLine, Line, Redacted},
};

pub use args::FilterArgs;
pub(crate) use args::Statuses;
pub(crate) use matches::host;

/// Decides which lines are printed.
#[derive(Debug, Default)]
pub struct Filter {
    args: FilterArgs,
    sampler: Option<Sampler>,
    rate_limit: Option<RateLimit>,
    open: Open,
}

impl Filter {
    /// Creates a filter with these flags.
    pub fn new(args: FilterArgs) -> Self {
        Self {
            sampler: args.sample.map(Sampler::new),
            rate_limit: args.rate_limit.map(RateLimit::new),
            open: Open::default(),
            args,
        }
    }

    /// Returns whether a line is printed, at `now_ns` of the records' clock. The end of an exchange is if the exchange was, a
    /// loss and health always are, and a connection is if nothing but its addresses is asked for.
    pub fn passes(&mut self, line: &Redacted<Line<'_>>, now_ns: u64) -> bool {
        match &**line {
            Line::Exchange(exchange) => {
                let passes = self.matches(exchange) && self.admits(sample::key(exchange), now_ns);
                if passes && exchange.ended.is_none() {
                    self.open.insert(&exchange.id);
                }
                passes
            }
            Line::Hop(hop) => self.passes_hop(hop, now_ns),
            Line::End(end) => self.open.remove(&end.id),
            Line::Loss(_) | Line::Health(_) | Line::Hooks(_) | Line::Alert(_) | Line::Audit(_) => true,
            Line::Connection(summary) => self.args.match_connection(&summary.connection),
        }
    }

    /// Returns whether a hop is printed: what one side matches is printed with the other side. It is sampled and counted as one.
    fn passes_hop(&mut self, hop: &HopLine<'_>, now_ns: u64) -> bool {
        let key = hop.exchanges().next().map_or("", sample::key);
        let passes = hop.exchanges().any(|exchange| self.matches(exchange)) && self.admits(key, now_ns);
        for exchange in hop.exchanges().filter(|exchange| passes && exchange.ended.is_none()) {
            self.open.insert(&exchange.id);
        }
        passes
    }

    /// Returns which connections may have exchanges that pass, if that is known of them: by their side and addresses.
    pub fn interest(&self) -> Option<Interest> {
        self.args.interest()
    }

    /// Returns whether lines need the fields of their heads for it.
    pub const fn wants_fields(&self) -> bool {
        !self.args.headers.is_empty()
    }

    /// Returns the number of exchanges whose end will not be printed, because too many were open at once.
    pub const fn forgotten(&self) -> u64 {
        self.open.forgotten
    }

    /// Returns the number of exchanges that matched and that sampling left out; `None` without sampling.
    pub fn sampled_out(&self) -> Option<u64> {
        self.sampler.as_ref().map(|sampler| sampler.left_out)
    }

    /// Returns the number of exchanges that matched and that the limit on the rate left out; `None` without a limit.
    pub fn rate_limited(&self) -> Option<u64> {
        self.rate_limit.as_ref().map(|limit| limit.left_out)
    }

    /// Returns whether an exchange matches the flags that select by its properties.
    fn matches(&self, exchange: &ExchangeLine<'_>) -> bool {
        self.args.match_exchange(exchange)
    }

    /// Returns whether a line that matches is printed, by sampling and by the limit on the rate, and counts it if not.
    fn admits(&mut self, sample_key: &str, now_ns: u64) -> bool {
        self.sampler.as_mut().is_none_or(|sampler| sampler.keeps(sample_key))
            && self.rate_limit.as_mut().is_none_or(|limit| limit.passes(now_ns))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use http_decode::Ended;

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
        filter(words).passes(line, 1)
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
            &["--header", "SERVER: ^nginx$"],
            &["--status", "404,2xx"],
            &["--local-port", "80", "--local-port", "8443"],
            &["--remote", "10.0.0.0/8", "--remote", "127.0.0.0/8"],
            &["--request-id", "x", "--request-id", "abc"],
            &["--sample", "1/1"],
            &["--rate-limit", "1/h"],
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
            &["--header", "server: apache"],
            &["--status", "404,5xx"],
            &["--local-port", "443"],
            &["--local-port", "50312"],
            &["--remote", "::/0"],
            &["--remote", "127.0.0.2"],
            &["--request-id", "ab"],
            &["--request-id", "ABC"],
            &["--errors"],
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
        assert!(!filter.passes(&sample::end(), 1));
        assert!(filter.passes(&open, 1));
        assert!(filter.passes(&sample::end(), 1));
        assert!(!filter.passes(&sample::end(), 1));
        assert!(!filter.passes(&sample::exchange(), 1));
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
        assert!(!filter.passes(&sample::end(), 1));
        assert!(filter.passes(&open, 1));
        assert!(filter.passes(&sample::end(), 1));
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
            ["--request-id", "abc"],
            ["--slower-than", "1us"],
        ] {
            assert!(!passes(&words, &sample::summary()), "{words:?}");
        }
        assert!(!passes(&["--errors"], &sample::summary()));
    }

    #[test]
    fn a_connection_is_selected_by_its_addresses() {
        for (words, expected) in [
            (["--local-port", "8443"], true),
            (["--local-port", "443"], false),
            (["--remote", "127.0.0.1"], true),
            (["--remote", "10.0.0.0/8"], false),
            (["--sample", "1/4294967295"], true),
            (["--rate-limit", "1/h"], true),
        ] {
            assert_eq!(passes(&words, &sample::summary()), expected, "{words:?}");
        }
    }

    #[test]
    fn the_client_of_a_proxy_counts_as_the_peer() {
        let proxied = |source: &str| {
            let (source, destination) = (source.parse().unwrap(), "192.0.2.1:443".parse().unwrap());
            sample::exchange_on(|connection| connection.proxied = Some(http_decode::Proxied { source, destination }))
        };
        let line = proxied("[2001:db8::5]:443");
        assert!(passes(&["--remote", "2001:db8::/32", "--local-port", "8443"], &line));
        assert!(!passes(&["--remote", "127.0.0.1"], &line));
        assert!(!passes(&["--local-port", "443"], &line));
        assert!(passes(
            &["--remote", "198.51.100.7"],
            &proxied("[::ffff:198.51.100.7]:1")
        ));
    }

    #[test]
    fn an_exchange_without_internet_addresses_has_no_peer() {
        let line = sample::exchange_on(|connection| (connection.local, connection.remote) = (None, None));
        for words in [["--remote", "0.0.0.0/0"], ["--local-port", "8443"]] {
            assert!(!passes(&words, &line), "{words:?}");
        }
    }

    #[test]
    fn an_error_is_a_status_or_an_end_before_that_of_the_response() {
        let with = |status: u16, ended: Option<Ended>, grpc_status: &str| {
            sample::exchange_with(|exchange| {
                let response = exchange.response.as_mut().unwrap();
                response.head.status = Some(status);
                response.trailers = sample::fields([sample::field("grpc-status", grpc_status)]);
                exchange.ended = ended;
            })
        };
        for (status, ended, grpc_status, expected) in [
            (200, Some(Ended::Complete), "0", false),
            (399, Some(Ended::Complete), "0", false),
            (101, Some(Ended::Upgraded), "0", false),
            (200, Some(Ended::Lost), "0", false),
            (200, None, "0", false),
            (400, Some(Ended::Complete), "0", true),
            (503, None, "0", true),
            (200, Some(Ended::Reset), "0", true),
            (200, Some(Ended::Closed), "0", true),
            (200, Some(Ended::Complete), "13", true),
        ] {
            let line = with(status, ended, grpc_status);
            assert_eq!(
                passes(&["--errors"], &line),
                expected,
                "{status} {ended:?} {grpc_status}"
            );
        }
    }

    #[test]
    fn what_sampling_and_the_limit_leave_out_is_counted_and_has_no_end() {
        let open = |ordinal: u64, status: u16| {
            sample::exchange_with(|exchange| {
                exchange.ordinal = ordinal;
                let response = exchange.response.as_mut().unwrap();
                (response.head.status, response.head.fields) = (Some(status), http_decode::Fields::default());
                (exchange.ended, exchange.ended_at) = (None, None);
            })
        };
        let mut filter = filter(&["--status", "200", "--sample", "1/2", "--rate-limit", "2/s"]);
        let printed = (1..=40)
            .filter(|ordinal| filter.passes(&open(*ordinal, 200), 1))
            .count();
        assert!((1..=40).all(|ordinal| !filter.passes(&open(ordinal, 404), 1)));
        let [sampled_out, rate_limited] = [filter.sampled_out(), filter.rate_limited()].map(Option::unwrap);
        assert_eq!((printed, 2 + sampled_out + rate_limited), (2, 40));
        assert!(sampled_out > 5 && rate_limited > 5);
        assert_eq!(filter.open.len(), 2);
        assert!(!filter.passes(&open(1, 404), 2_000_000_000));
        assert_eq!(
            Filter::default().sampled_out().or(Filter::default().rate_limited()),
            None
        );
    }
}
