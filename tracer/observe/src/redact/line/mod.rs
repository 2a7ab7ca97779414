//! The lines of output as types: the contract that `schema.json` describes.
//!
//! A sink writes the members in the order of the fields, which is that of the contract, after the version and the type; a
//! member that does not apply is absent. Sinks accept a line only as [`Redacted`](super::Redacted), so one that is made
//! elsewhere cannot be printed.
//!
//! Output that waits for the end of an exchange copies it, because a line borrows from what it was made of.

mod alert;
mod audit;
mod connection;
mod exchange;
mod field;
mod health;
mod hop;
mod loss;

pub use alert::{AlertLine, EvidenceLine, Facts, HeadFacts, Sizes};
pub use audit::{AuditClaimsLine, AuditLine, AuditOriginLine, AuditProcessLine, AuditUserLine, GivenLine};
pub use connection::{ConnectionLine, ProxiedLine, SummaryLine};
pub use exchange::{EndLine, EndResponseLine, ExchangeLine, RequestLine, ResponseLine};
pub use field::FieldLine;
pub(crate) use field::owned_fields;
pub use health::{HealthLine, HooksLine};
pub use hop::{ChangeLine, DiffLine, ExchangeObject, HopLine, UpstreamLine};
pub use loss::LossLine;

/// One line of output.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Line<'a> {
    /// A request with its response, or only one of them.
    Exchange(Box<ExchangeLine<'a>>),
    /// Exchanges of a gateway that belong together.
    Hop(Box<HopLine<'a>>),
    /// The end of an exchange that was printed before it had ended.
    End(Box<EndLine<'a>>),
    /// Bytes that are missing.
    Loss(Box<LossLine<'a>>),
    /// The summary of a connection.
    Connection(Box<SummaryLine<'a>>),
    /// The health of the tracer.
    Health(Box<HealthLine>),
    /// A hook that does not serve a process or a file: the health of the probes.
    Hooks(Box<HooksLine<'a>>),
    /// An exchange that a rule of a policy matches.
    Alert(Box<AlertLine<'a>>),
    /// Who traced what.
    Audit(Box<AuditLine<'a>>),
}

/// Version of the contract.
pub const VERSION: u8 = 1;
