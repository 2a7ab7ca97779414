//! Bounds on everything that a traced process or its peer can grow.

/// Maximum connections decoded at once. At the bound, those idle longest are evicted and counted.
pub const MAX_CONNECTIONS: usize = 65_536;

/// Maximum processes whose names are kept. At the bound, those without connections are dropped and counted.
pub const MAX_PROCESSES: usize = 65_536;

/// Maximum length of the path of a probed file, as in the kernel (`PATH_MAX`). Only a forged tape has longer ones, which are
/// left out.
pub const MAX_PATH_BYTES: usize = 4096;

/// Maximum functions whose records are counted apart: more than all libraries have. The records of others are counted together.
pub const MAX_FUNCTIONS: usize = 256;

/// Maximum length of the name of a function with a count. Only a forged tape has longer ones, which are cut.
pub const MAX_FUNCTION_NAME_BYTES: usize = 64;

/// Maximum connections that wait for the close of their socket, or whose socket waits for theirs. Beyond it, the oldest is
/// reported with what is known of it, and counted.
pub const MAX_ENDINGS: usize = 65_536;

/// Maximum closed or evicted connections whose final positions are remembered, for records that arrive late. Beyond it, the
/// one that was closed first is forgotten.
pub const MAX_CLOSED: usize = 16_384;

/// How long a closed connection waits for the close of its socket, or the reverse, in nanoseconds of the records' clock.
pub const ENDING_NS: u64 = 1_000_000_000;

/// How long the output of a connection is held back until its addresses are known, in nanoseconds of the records' clock.
/// After it, the output is emitted without addresses, and the connection is counted.
pub const ADDRESS_NS: u64 = 100_000_000;

/// Maximum bytes of output that one connection holds back until its addresses are known. Beyond it, the output is emitted
/// without addresses, and the connection is counted.
pub const MAX_ADDRESS_BYTES: usize = 256 * 1024;

/// Maximum bytes of early data held for one connection until the server has accepted or rejected them. Bytes beyond it are
/// dropped and counted. Servers accept 16 KiB by default.
pub const MAX_EARLY_BYTES: usize = 64 * 1024;

/// Minimum bytes of no interest that are announced to be skipped. Fewer have mostly moved by the time that the announcement
/// reaches the kernel.
pub const MIN_SKIP_BYTES: u64 = 64 * 1024;

/// Maximum bytes that all decoders hold together. Beyond it, the connection that asks for more is evicted and counted.
pub const MAX_HELD_BYTES: usize = 256 * 1024 * 1024;

/// Maximum bytes of batches that are held until no earlier record can arrive. Beyond it, the oldest records are released,
/// and records that arrive too late are counted.
pub const MAX_UNORDERED_BYTES: usize = 48 * 1024 * 1024;

/// Maximum bytes of a batch on a tape, not counting the last record.
pub const MAX_BATCH_BYTES: usize = 32 * 1024 * 1024;

/// Maximum bytes of the header of a tape.
pub const MAX_TAPE_HEADER_BYTES: usize = 1024 * 1024;

/// Maximum bytes of exchanges that wait for their end in output that cannot add it later, or that repeats the exchange with
/// it. Beyond it, the oldest is written as it is, and counted.
pub const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// Maximum exchanges in the period of `--rate-limit`, the times of which are remembered.
pub const MAX_RATE: usize = 100_000;

/// Maximum exchanges that are kept to be joined to hops. Beyond it, the oldest is emitted as it is, and counted.
pub const MAX_JOINING: usize = 65_536;

/// Maximum bytes of the exchanges that wait for the other half of their hop. Beyond it, the oldest is emitted as it is, and
/// counted.
pub const MAX_JOINING_BYTES: usize = 64 * 1024 * 1024;

/// Maximum upstream exchanges of a process that are kept while one waits longer than the hold for the response of a request that it
/// may belong to. Beyond it, each is emitted alone after the hold.
pub const MAX_PATIENT: usize = 1024;

/// Maximum upstream exchanges of a process that are kept while one with the id of a client waits for a response that shows another
/// request which was not seen. Beyond it, each is ambiguous at once.
pub const MAX_AWAITED: usize = 4096;

/// How long an upstream exchange waits at most for the response of a request that it may belong to, in nanoseconds of the records' clock.
pub const MAX_PATIENCE_NS: u64 = 60_000_000_000;

/// Maximum downstream exchanges that an upstream exchange is compared with, and as many again that have its id. If more are
/// open, only an id joins.
pub const MAX_CANDIDATES: usize = 1024;

/// Maximum request ids of a process whose exchanges ended a short time ago, so that a late request with one of them names its
/// exchange. Beyond it, the oldest is forgotten, and such a request is alone.
pub const MAX_ENDED: usize = 1024;

/// Maximum threads of a process whose last head is remembered. Beyond it, they are forgotten, and only show nothing.
pub const MAX_JOINING_THREADS: usize = 4096;

/// Maximum texts without secrets that redaction remembers, so that it does not search them again. Beyond it, older ones are
/// forgotten and searched again.
pub const MAX_CLEAN_TEXTS: usize = 2048;

/// Maximum bytes of the name and the value of such a text. Longer ones are searched each time.
pub const MAX_CLEAN_BYTES: usize = 384;

/// Maximum sections without secrets that redaction remembers, at most one of each size modulo this number.
pub const MAX_CLEAN_SECTIONS: usize = 256;

/// Maximum memory of such a section in bytes. The fields of a longer one are searched one by one each time.
pub const MAX_CLEAN_SECTION_BYTES: usize = 2048;

/// Maximum options of each purpose in an audit line. Those beyond it are left out, and counted in it.
pub const MAX_AUDIT_OPTIONS: usize = 64;

/// Maximum processes in an audit line. Those beyond it are left out, and counted in it.
pub const MAX_AUDIT_PROCESSES: usize = 64;

/// Maximum bytes of a text in an audit line, which is cut beyond it.
pub const MAX_AUDIT_TEXT_BYTES: usize = 256;

/// Maximum masked fields of which is remembered what the rules of a policy find in them. Others are asked of each time.
pub const MAX_MASKED_FIELDS: usize = 64;

/// Maximum bytes of the name and the value of such a field.
pub const MAX_MASKED_BYTES: usize = 512;

/// Maximum values, and clients, of which a policy remembers the hash. Others are hashed each time.
pub const MAX_POLICY_HASHES: usize = 64;

/// Maximum bytes of such a value.
pub const MAX_POLICY_HASHED_BYTES: usize = 64;

/// Maximum bytes of the file of a policy.
pub const MAX_POLICY_BYTES: u64 = 1024 * 1024;

/// Maximum rules of a policy.
pub const MAX_POLICY_RULES: usize = 1000;

/// Maximum keys, such as addresses of clients, whose exchanges a rule counts at once. Beyond it, the one that is counted longest
/// is forgotten, and counted.
pub const MAX_POLICY_KEYS: usize = 16_384;

/// Maximum rows of a statistic. What has no row is counted in one row for all of it.
pub const MAX_STAT_ROWS: usize = 512;

/// Maximum upstreams of a statistic. The rest is counted as one.
pub const MAX_STAT_UPSTREAMS: usize = 256;

/// Maximum connections that a statistic remembers as those on which a traced process asks. Connections beyond it are not
/// counted for their upstream, and are counted as forgotten.
pub const MAX_STAT_CONNECTIONS: usize = 65_536;

/// Maximum exchanges in progress of which a statistic remembers the row. The duration of one beyond it is not counted, and it
/// is counted as forgotten.
pub const MAX_STAT_OPEN: usize = 65_536;

/// Maximum bytes of a text of a row of a statistic, which is cut beyond it.
pub const MAX_STAT_TEXT_BYTES: usize = 200;

/// Maximum rows of `top`. What has no row is counted in one row for all of it.
pub const MAX_TOP_ROWS: usize = 512;

/// Maximum exchanges that `top` keeps to be opened. Beyond it, the oldest is forgotten.
pub const MAX_TOP_EXCHANGES: usize = 4096;

/// Maximum bytes of these exchanges. Beyond it, the oldest is forgotten.
pub const MAX_TOP_BYTES: usize = 16 * 1024 * 1024;

/// Maximum bytes of the text of such an exchange. The rest is left out, and a note says so.
pub const MAX_TOP_EXCHANGE_BYTES: usize = 64 * 1024;
