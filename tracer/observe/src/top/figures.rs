//! The numbers of a row.

use super::traffic::Tally;

/// The numbers of a row. Durations are in microseconds and too great by less than 1/64.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Exchanges.
    pub requests: u64,
    /// Exchanges a second.
    pub per_second: f64,
    /// Exchanges that failed: a status of 500 or more, a failed gRPC call, or an end before that of the response.
    pub errors: u64,
    /// Exchanges of which a part was lost or not seen.
    pub partial: u64,
    /// A duration that half of the exchanges do not exceed.
    pub p50_us: Option<u64>,
    /// The same of nine tenths.
    pub p90_us: Option<u64>,
    /// The same of 99 of 100.
    pub p99_us: Option<u64>,
    /// For how long half of the requests were with the gateway and with no upstream server, at most.
    pub gateway_p50_us: Option<u64>,
}

impl Figures {
    /// Returns the numbers of what was counted in `seconds`.
    pub(super) fn new(tally: &Tally, seconds: f64) -> Self {
        let Tally { counts, partial } = tally;
        let requests = u32::try_from(counts.requests).unwrap_or(u32::MAX);
        Self {
            requests: counts.requests,
            per_second: if seconds > 0.0 {
                f64::from(requests) / seconds
            } else {
                0.0
            },
            errors: counts.errors,
            partial: *partial,
            p50_us: counts.durations.percentile(50),
            p90_us: counts.durations.percentile(90),
            p99_us: counts.durations.percentile(99),
            gateway_p50_us: counts.gateway.percentile(50),
        }
    }
}
