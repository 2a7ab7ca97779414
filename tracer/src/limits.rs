//! Bounds on everything that a traced process, its peer, a reader of the output or a file could otherwise grow.

/// Size of queued batches beyond which captured data stays in the rings, where the kernel counts what does not fit. Beyond
/// twice this size, all records do.
#[cfg(feature = "live")]
pub(crate) const MAX_QUEUED_BYTES: usize = 40 * 1024 * 1024;

/// Maximum size of queued output. Further lines are dropped and counted.
#[cfg(feature = "live")]
pub(crate) const MAX_OUTPUT_BYTES: usize = 8 * 1024 * 1024;

/// Maximum size of queued messages. Further messages are dropped and counted.
#[cfg(feature = "live")]
pub(crate) const MAX_MESSAGES_BYTES: usize = 256 * 1024;

/// Maximum captured data of one drain; the next drain reads the rest.
#[cfg(feature = "live")]
pub(crate) const MAX_DRAIN_BYTES: usize = 8 * 1024 * 1024;

/// Maximum messages that are held back while a user interface has the terminal. More are dropped and counted.
#[cfg(feature = "live")]
pub(crate) const MAX_HELD_MESSAGES: usize = 1000;

/// Maximum keys that a tape is encrypted to. The header of a tape has some 150 bytes for each.
#[cfg(all(feature = "encryption", feature = "live"))]
pub(crate) const MAX_RECIPIENTS: usize = 100;

/// Maximum bytes of a file with keys. What follows is not read.
#[cfg(feature = "encryption")]
pub(crate) const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

/// Maximum bytes of the header of an encrypted tape. A longer one is an error.
#[cfg(feature = "encryption")]
pub(crate) const MAX_ENCRYPTION_HEADER_BYTES: u64 = 16 * 1024;
