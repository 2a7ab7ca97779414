//! Bounds on everything that a traced process, its peer or another system could otherwise grow.

use std::time::Duration;

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

/// Maximum bytes of encoded records that wait for a collector, of each signal, with those that are being sent. Beyond it,
/// records are dropped and counted.
pub(crate) const MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;

/// What a queued record takes in memory beside its bytes.
pub(crate) const RECORD_BYTES: usize = 64;

/// Maximum records of a request to a collector: that of the SDKs.
pub(crate) const MAX_BATCH_RECORDS: usize = 512;

/// Maximum bytes of the records of a request, unless it has only one. A gRPC server accepts messages of 4 MiB by default.
pub(crate) const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// How long the first record of a request waits for others.
pub(crate) const BATCH_DELAY: Duration = Duration::from_secs(1);

/// Maximum bytes of the exchanges that wait for their end. Beyond it, the one that has waited longest is sent as it is.
pub(crate) const MAX_OPEN_BYTES: usize = 4 * 1024 * 1024;

/// Maximum exchanges whose trace is remembered, for upstream exchanges that are joined with them later. Beyond it, the oldest
/// is forgotten.
pub(crate) const MAX_REMEMBERED: usize = 4096;

/// Maximum series of durations, and of counts: that of the SDKs. Beyond it, further exchanges count to one series.
pub(crate) const MAX_SERIES: usize = 2000;

/// Maximum processes whose resource is remembered. Beyond it, all are forgotten, and made again.
pub(crate) const MAX_RESOURCES: usize = 1024;

/// How long a request is tried again, before its records are dropped and counted.
pub(crate) const MAX_RETRY: Duration = Duration::from_mins(1);

/// The first wait before a request is tried again, which doubles with each.
pub(crate) const MIN_BACK_OFF: Duration = Duration::from_millis(500);

/// Maximum wait before a request is tried again, unless the collector asks for a longer one.
pub(crate) const MAX_BACK_OFF: Duration = Duration::from_secs(8);

/// Maximum wait that a collector may ask for.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);

/// Maximum bytes of an answer of a collector that are read.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Maximum characters of a collector's words that are printed.
pub(crate) const MAX_REASON_CHARS: usize = 200;

/// Minimum time between two messages on the same trouble of a collector.
pub(crate) const QUIET: Duration = Duration::from_secs(30);

/// How long the end of a run waits for a collector, or a syslog server.
pub(crate) const FINISH: Duration = Duration::from_secs(5);

/// After which part of that time a message says what is still to be sent: a run that is ended by a signal has no more.
pub(crate) const FINISH_QUIETLY: Duration = Duration::from_millis(700);

/// How long a full queue holds up the replay of a tape while nothing is delivered.
pub(crate) const TAPE_PATIENCE: Duration = Duration::from_secs(30);
