//! Which lines the user wants to see.
//!
//! In: [`Redacted`]`<`[`Line`]`>`, so that no filter can be used to guess a secret. Out: yes or no. Refuses what is not
//! known: an exchange whose method was not seen is not one whose method is GET. The one exception is time: an exchange
//! that goes on may yet be slow, so `--slower-than` lets it pass.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use regex::Regex;

use crate::redact::{ExchangeLine, FieldLine, Glob, Line, Redacted, describe_pattern};

/// Flags that say which exchanges are printed; each flag given has to hold, each repeated one in one of its values.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Only requests with this method
    #[arg(long = "method", value_name = "METHOD")]
    pub methods: Vec<String>,
    /// Only requests to this host, port left out; `*` stands for any run of characters
    #[arg(long = "host", value_name = "GLOB")]
    pub hosts: Vec<String>,
    /// Only requests whose path and query, redacted, this regular expression matches
    #[arg(long = "path", value_name = "REGEX")]
    pub paths: Vec<String>,
    /// Only responses with this status: 404, 5xx or 400-499
    #[arg(long = "status", value_name = "STATUS")]
    pub statuses: Vec<String>,
    /// Only exchanges with this header field, its value, redacted, matched by the regular expression
    #[arg(long = "header", value_name = "NAME[=REGEX]")]
    pub headers: Vec<String>,
    /// Only exchanges that take longer than this, such as 200ms
    #[arg(long, value_name = "DURATION")]
    pub slower_than: Option<String>,
}

/// A filter that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The regular expression does not compile.
    #[error("--{flag} '{pattern}': {reason}")]
    Pattern {
        /// The flag it was given to.
        flag: &'static str,
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Not a status, a class or a range.
    #[error("--status '{0}': wanted something like 404, 5xx or 400-499")]
    Status(String),
    /// Not a duration.
    #[error("--slower-than '{given}'")]
    Duration {
        /// What was given.
        given: String,
        /// What is wrong with it.
        source: humantime::DurationError,
    },
}

impl FilterArgs {
    /// Makes a filter of the flags.
    pub fn filter(&self) -> Result<Filter, Error> {
        let Self {
            methods,
            hosts,
            paths,
            statuses,
            headers,
            slower_than,
        } = self;
        Ok(Filter {
            methods: methods.clone(),
            hosts: hosts.iter().map(|host| Glob::new(host)).collect(),
            paths: paths
                .iter()
                .map(|path| parse_regex("path", path))
                .collect::<Result<_, _>>()?,
            statuses: statuses
                .iter()
                .map(|status| parse_status(status))
                .collect::<Result<_, _>>()?,
            headers: headers
                .iter()
                .map(|header| parse_header(header))
                .collect::<Result<_, _>>()?,
            slower_than: slower_than.as_deref().map(parse_duration).transpose()?,
            open: Open::default(),
        })
    }
}

/// Decides which lines are printed.
#[derive(Debug, Default)]
pub struct Filter {
    methods: Vec<String>,
    hosts: Vec<Glob>,
    paths: Vec<Regex>,
    statuses: Vec<(u16, u16)>,
    headers: Vec<Header>,
    slower_than: Option<Duration>,
    open: Open,
}

impl Filter {
    /// Tells whether a line is wanted; the end of an exchange is if the exchange was, a loss always is, and a connection
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
            Line::Loss(_) => true,
            Line::Connection(_) => self.asks_nothing(),
        }
    }

    /// Tells whether no flag was given: every flag names something that an exchange has and a connection has not.
    fn asks_nothing(&self) -> bool {
        let Self {
            methods,
            hosts,
            paths,
            statuses,
            headers,
            slower_than,
            open: _,
        } = self;
        methods.is_empty()
            && hosts.is_empty()
            && paths.is_empty()
            && statuses.is_empty()
            && headers.is_empty()
            && slower_than.is_none()
    }

    /// Counts the exchanges whose end will not be printed, because too many were open at once.
    pub fn forgotten(&self) -> u64 {
        self.open.forgotten
    }

    fn wants(&self, exchange: &ExchangeLine) -> bool {
        let Self {
            methods,
            hosts,
            paths,
            statuses,
            headers,
            slower_than,
            open: _,
        } = self;
        let request = exchange.request.as_ref();
        let response = exchange.response.as_ref();
        any(
            methods,
            request.and_then(|request| request.method.as_deref()),
            |wanted, method| wanted.eq_ignore_ascii_case(method),
        ) && any(
            hosts,
            request.and_then(|request| request.authority.as_deref()),
            |glob, authority| glob.matches(host(authority).as_bytes()),
        ) && any(
            paths,
            request.and_then(|request| request.path.as_deref()),
            Regex::is_match,
        ) && any(
            statuses,
            response.and_then(|response| response.status),
            |(least, most), status| (*least..=*most).contains(&status),
        ) && headers.iter().all(|header| header.is_in(exchange))
            && slower_than.is_none_or(|least| is_slower(exchange, least))
    }
}

/// A field that has to be there.
#[derive(Debug)]
struct Header {
    name: String,
    value: Option<Regex>,
}

impl Header {
    fn is_in(&self, exchange: &ExchangeLine) -> bool {
        let request = exchange
            .request
            .iter()
            .flat_map(|request| request.headers.iter().chain(&request.trailers));
        let response = exchange
            .response
            .iter()
            .flat_map(|response| response.headers.iter().chain(&response.trailers));
        request.chain(response).any(|field| self.matches(field))
    }

    fn matches(&self, (name, value): &FieldLine) -> bool {
        name.as_deref()
            .is_some_and(|name| name.eq_ignore_ascii_case(&self.name))
            && self
                .value
                .as_ref()
                .is_none_or(|regex| value.as_deref().is_some_and(|value| regex.is_match(value)))
    }
}

/// The exchanges that were printed and go on, at most [`OPEN_LIMIT`].
#[derive(Debug, Default)]
struct Open {
    ids: HashSet<String>,
    /// The ids in the order they came, some of them closed by now.
    order: VecDeque<String>,
    forgotten: u64,
}

impl Open {
    fn insert(&mut self, id: &str) {
        if self.ids.insert(id.to_owned()) {
            self.order.push_back(id.to_owned());
        }
        while self.order.len() > OPEN_LIMIT {
            if self.order.pop_front().is_some_and(|oldest| self.ids.remove(&oldest)) {
                self.forgotten += 1;
            }
        }
    }

    fn remove(&mut self, id: &str) -> bool {
        let was_open = self.ids.remove(id);
        while self.order.front().is_some_and(|oldest| !self.ids.contains(oldest)) {
            self.order.pop_front();
        }
        was_open
    }
}

/// Tells whether nothing is asked for, or what is known is one of the things asked for.
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

fn parse_regex(flag: &'static str, pattern: &str) -> Result<Regex, Error> {
    Regex::new(pattern).map_err(|error| Error::Pattern {
        flag,
        pattern: pattern.to_owned(),
        reason: describe_pattern(&error),
    })
}

fn parse_header(given: &str) -> Result<Header, Error> {
    let (name, pattern) = given
        .split_once('=')
        .map_or((given, None), |(name, pattern)| (name, Some(pattern)));
    let value = pattern.map(|pattern| parse_regex("header", pattern)).transpose()?;
    Ok(Header {
        name: name.to_owned(),
        value,
    })
}

fn parse_status(given: &str) -> Result<(u16, u16), Error> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| {
        text.parse()
            .ok()
            .filter(|status| digits(text) && (100..=999).contains(status))
    };
    let class = |text: &str| number(&format!("{}00", text.strip_suffix("xx").or(text.strip_suffix("XX"))?));
    let range = match given.split_once('-') {
        Some((least, most)) => number(least).zip(number(most)),
        None => number(given)
            .map(|status| (status, status))
            .or(class(given).map(|least| (least, least + 99))),
    };
    range
        .filter(|(least, most)| least <= most)
        .ok_or_else(|| Error::Status(given.to_owned()))
}

fn parse_duration(given: &str) -> Result<Duration, Error> {
    humantime::parse_duration(given).map_err(|source| Error::Duration {
        given: given.to_owned(),
        source,
    })
}

/// More streams than a gateway has open at once; their ids take a few megabytes.
const OPEN_LIMIT: usize = 65_536;

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

    fn parse(words: &[&str]) -> FilterArgs {
        Command::try_parse_from([&["tlscope"], words].concat()).unwrap().filter
    }

    fn passes(words: &[&str], line: &Redacted<Line>) -> bool {
        parse(words).filter().unwrap().passes(line)
    }

    #[test]
    fn each_flag_has_to_hold_in_one_of_its_values() {
        let line = sample::exchange();
        for words in [
            &[][..],
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
            &["--method", "PUT"][..],
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
        let mut filter = parse(&["--slower-than", "1h"]).filter().unwrap();
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
    fn ids_of_open_exchanges_are_bounded_and_the_forgotten_ones_counted() {
        let mut open = Open::default();
        (0..OPEN_LIMIT + 2).for_each(|id| open.insert(&id.to_string()));
        assert_eq!(
            (open.ids.len(), open.order.len(), open.forgotten),
            (OPEN_LIMIT, OPEN_LIMIT, 2)
        );
        assert!(!open.remove("0") && open.remove("2"));
        assert_eq!(open.order.len(), OPEN_LIMIT - 1);
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

    #[test]
    fn a_bad_filter_is_an_error() {
        assert!(matches!(
            parse(&["--path", "("]).filter(),
            Err(Error::Pattern { flag: "path", .. })
        ));
        assert!(matches!(
            parse(&["--header", "a=("]).filter(),
            Err(Error::Pattern { flag: "header", .. })
        ));
        for status in ["", "x", "99", "xx", "50xx", "500-400", "1000", "+200"] {
            assert!(
                matches!(parse(&["--status", status]).filter(), Err(Error::Status(_))),
                "{status}"
            );
        }
        assert!(matches!(
            parse(&["--slower-than", "soon"]).filter(),
            Err(Error::Duration { .. })
        ));
    }
}
