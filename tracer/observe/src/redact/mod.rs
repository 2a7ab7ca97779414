//! Redaction: the only gate between a traced process and the output.
//!
//! It turns an [`Observed`](crate::correlate::Observed) into a [`Redacted`]`<`[`Line`]`>`, and sinks and filters accept
//! nothing else. It fails closed: a value that a rule cannot parse is masked as a whole.
//!
//! Each rule marks the secrets in the bytes as they were sent, and only the union of all marks is masked. So the rules do not
//! depend on each other or on their order. They are on by default; only [`Rules::show`] turns them off.

mod error;
mod time;
mod printable;
mod line;
mod glob;
mod rules;
mod args;
mod names;
mod secrets;
mod fingerprint;
mod decoded;
mod shape;
mod members;
mod words;
mod url;
mod cookie;
mod credentials;
mod field;
mod name_table;
mod pattern;
mod field_index;
mod clean;
mod sections;
mod masked;
mod wanted_facts;
mod redactor;
mod values;
mod connection;
mod ids;
mod facts;
mod hop;
mod audit;
mod compose;
mod gate;
#[cfg(any(test, feature = "fuzz"))]
#[cfg_attr(not(test), expect(dead_code, reason = "fuzz targets need a few of them"))]
pub(crate) mod generators;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod claims;
#[cfg(test)]
mod tests;

pub use args::RedactArgs;
pub use error::{Error, RuleError};
pub(crate) use field_index::is_unlike;
pub use field_index::{FieldIndex, Head, PatternBits, Seen};
pub use fingerprint::FingerprintKey;
pub use gate::Redacted;
pub use line::{
    AlertLine, AuditClaimsLine, AuditLine, AuditOriginLine, AuditProcessLine, AuditUserLine, ChangeLine,
    ConnectionLine, DiffLine, EndLine, EndResponseLine, EvidenceLine, ExchangeLine, ExchangeObject, Facts, FieldLine,
    GivenLine, HeadFacts, HealthLine, HooksLine, HopLine, Line, LossLine, ProxiedLine, RequestLine, ResponseLine,
    Sizes, SummaryLine, UpstreamLine, VERSION,
};
pub(crate) use name_table::MAX_NAMES;
pub use name_table::Names;
pub use printable::Printable;
pub use redactor::Redactor;
pub use rules::{NameRule, PatternRule, Rules};
pub use time::Time;
pub use wanted_facts::WantedFacts;

pub(crate) use glob::Glob;
pub(crate) use line::owned_fields;
pub(crate) use printable::is_plain;
