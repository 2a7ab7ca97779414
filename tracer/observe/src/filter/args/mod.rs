//! The filter flags of the command line. A value that no exchange can match is an error.

mod misplaced;
mod status;
mod field;
mod network;
mod fraction;
mod rate;

use std::time::Duration;

use regex::Regex;

use self::{field::FieldPattern, network::Network};
use crate::redact::Glob;

pub(crate) use self::status::Statuses;
pub(super) use self::{fraction::Fraction, rate::Rate};

/// Flags that select exchanges. An exchange must match all flags, and any value of a repeated one.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Only exchanges in which the traced process answers (server) or asks (client)
    #[arg(long, value_name = "SIDE")]
    pub(super) side: Option<Side>,
    /// Only requests with this method
    #[arg(long = "method", value_name = "METHOD")]
    pub(super) methods: Vec<String>,
    /// Only requests to this host, port left out; `*` stands for any run of characters
    #[arg(long = "host", value_name = "GLOB", value_parser = parse_glob)]
    pub(super) hosts: Vec<Glob>,
    /// Only requests whose path and query, redacted, this regular expression matches
    #[arg(long = "path", value_name = "REGEX")]
    pub(super) paths: Vec<Regex>,
    /// Only responses with one of these statuses: 404, 5xx, 400-499 or a list such as 5xx,404
    #[arg(long = "status", value_name = "STATUS")]
    pub(super) statuses: Vec<Statuses>,
    /// Only exchanges with this header field, its value, redacted, matched by the regular expression: NAME, NAME=REGEX or
    /// 'NAME: REGEX'
    #[arg(long = "header", value_name = "NAME[=REGEX]")]
    pub(super) headers: Vec<FieldPattern>,
    /// Only exchanges on connections whose end in the traced process has this port
    #[arg(long = "local-port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) local_ports: Vec<u16>,
    /// Only exchanges with a peer of this address or network, such as 10.0.0.0/8; the client that a header of the PROXY
    /// protocol names, if there is one
    #[arg(long = "remote", value_name = "CIDR")]
    pub(super) remotes: Vec<Network>,
    /// Only exchanges with this request id
    #[arg(long = "request-id", value_name = "ID", value_parser = parse_id)]
    pub(super) request_ids: Vec<String>,
    /// Only errors: answered by 4xx or 5xx or a gRPC status other than 0, or reset or closed before the end of the response
    #[arg(long)]
    pub(super) errors: bool,
    /// Only exchanges that take longer than this, such as 200ms
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(super) slower_than: Option<Duration>,
    /// Only a fraction of the exchanges, such as 1/100, chosen by their request ids: the same ones on every side and host
    #[arg(long, value_name = "N/M")]
    pub(super) sample: Option<Fraction>,
    /// At most this many exchanges, such as 100/s, 10/m or 10/h; those left out are counted
    #[arg(long, value_name = "RATE")]
    pub(super) rate_limit: Option<Rate>,
}

/// The role of the traced process.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Side {
    /// It answers.
    Server,
    /// It asks.
    Client,
}

impl Side {
    /// Returns [`ExchangeLine::side`](crate::redact::ExchangeLine::side) for this role.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Server => http_decode::Side::Server.name(),
            Self::Client => http_decode::Side::Client.name(),
        }
    }
}

fn parse_glob(given: &str) -> Result<Glob, &'static str> {
    if given.is_empty() {
        return Err("no host has an empty name");
    }
    Ok(Glob::new(given))
}

fn parse_id(given: &str) -> Result<String, &'static str> {
    if given.is_empty() {
        return Err("no request has an empty id");
    }
    Ok(given.to_owned())
}
