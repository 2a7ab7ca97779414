//! The only gate between what a traced process said and what is printed.
//!
//! In: [`Observed`](crate::correlate::Observed). Out: [`Redacted`]`<`[`Line`]`>`, the one thing sinks and filters
//! accept. Refuses to print what a rule cannot read: such a value is masked whole.
//!
//! Each rule marks the secrets in the bytes as they were sent, all marks are united, and only then is anything
//! copied: no rule works on what another one left. The rules are on from the start; [`Rules::show`] alone turns
//! them off.

mod error;
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
mod redactor;
mod values;
mod connection;
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
pub use fingerprint::FingerprintKey;
pub use gate::Redacted;
pub use line::{
    ConnectionLine, EndLine, EndResponseLine, ExchangeLine, FieldLine, GrpcLine, HealthLine, InformationalLine, Line,
    LossLine, ProxiedLine, RequestLine, ResponseLine, SummaryLine,
};
pub use redactor::Redactor;
pub use rules::{NameRule, PatternRule, Rules};

pub(crate) use glob::Glob;
