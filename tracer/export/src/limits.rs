//! Bounds on everything that a traced process, its peer or another system could otherwise grow.

/// Maximum rows of metrics. What has no row is counted in one row for each side and class of status.
pub(crate) const MAX_ROWS: usize = 1024;

/// Maximum names of processes in labels. The rest is `other`.
pub(crate) const MAX_PROCESSES: usize = 32;

/// Maximum addresses of upstreams in labels. The rest is `other`.
pub(crate) const MAX_UPSTREAMS: usize = 128;

/// Maximum segments of learned routes. A path that needs more is `other`.
pub(crate) const MAX_ROUTE_NODES: usize = 1024;

/// Maximum segments that are told apart in one place of a route. The rest is `{}`.
pub(crate) const MAX_ROUTE_CHILDREN: usize = 48;

/// Maximum connections of readers of metrics at a time. Further ones wait.
pub(crate) const MAX_READERS: usize = 8;

/// Maximum bytes of the head of a request for metrics.
pub(crate) const MAX_READER_HEAD_BYTES: usize = 8192;

/// Maximum bytes of messages that wait to be sent to a syslog server. Further lines are dropped and counted.
pub(crate) const MAX_SYSLOG_BYTES: usize = 8 * 1024 * 1024;

/// Maximum bytes of a datagram of UDP. A longer message cannot be sent, and is counted.
pub(crate) const MAX_DATAGRAM_BYTES: usize = 65_507;
