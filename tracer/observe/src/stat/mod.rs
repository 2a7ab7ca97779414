//! Statistics of exchanges: per route, upstream, side and class of status; per upstream and its connections.
//!
//! A [`Stat`] is a sink that counts lines instead of writing them. It sees what any sink sees, so a statistic is as redacted as
//! a line. Time is that of the records: a tape gives the same statistics as the run that recorded it.

mod histogram;
mod route;
mod rows;
mod upstreams;
mod open;
mod report;
mod table;
mod sink;
#[cfg(test)]
mod tests;

pub use open::Open;
pub use route::{shortened, template};
pub use rows::{class, upstream};
pub use sink::{Form, Stat, is_error, is_failure};

pub(crate) use rows::{Counts, Key};
