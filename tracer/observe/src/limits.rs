//! Every bound of this package that a traced process or its peer could otherwise push.

/// Connections decoded at once; beyond it the one that was silent longest is given up, and counted.
pub const MAX_CONNECTIONS: usize = 65_536;

/// Processes whose names are kept; beyond it those without connections are forgotten, and counted.
pub const MAX_PROCESSES: usize = 65_536;

/// Connections that have ended and wait for their socket's last word, or the reverse; beyond it the oldest is told
/// without, and counted.
pub const MAX_ENDINGS: usize = 65_536;

/// Connections that are over, or were given up, and of which it is remembered how far they had come, for what is heard of
/// them later; beyond it the one that departed first is forgotten.
pub const MAX_DEPARTED: usize = 16_384;

/// How long, in nanoseconds of the records' clock, one waits for the other.
pub const ENDING_NS: u64 = 1_000_000_000;

/// How long, in nanoseconds of the records' clock, what happens on a connection waits for its addresses; beyond it it is
/// told without, and counted.
pub const ADDRESS_NS: u64 = 100_000_000;

/// Bytes of one connection that wait for its addresses; beyond it they are told without, and counted.
pub const MAX_ADDRESS_BYTES: usize = 256 * 1024;

/// Bytes of early data that wait on one connection until it is known whether the server takes them; what is beyond is a hole,
/// and counted. Servers take 16 KiB unless they are told otherwise.
pub const MAX_EARLY_BYTES: usize = 64 * 1024;

/// Bytes that all decoders may hold together; beyond it the connection that asks for more is given up, and counted.
pub const MAX_HELD_BYTES: usize = 256 * 1024 * 1024;

/// Bytes of batches that wait until no earlier record can come; beyond it the oldest go on, and what then comes too late
/// is counted.
pub const MAX_UNORDERED_BYTES: usize = 48 * 1024 * 1024;

/// Bytes of a batch on a tape, the last record aside.
pub const MAX_BATCH_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of a tape's header.
pub const MAX_TAPE_HEADER_BYTES: usize = 1024 * 1024;

/// Bytes of exchanges that wait for their ends, because an archive cannot bring these later; beyond it the one that waits
/// longest is written as it stands, and counted.
pub const MAX_HAR_WAITING_BYTES: usize = 64 * 1024 * 1024;
