//! Bounds on everything that a traced process, its peer or a reader of the output could otherwise grow.

/// Size of queued batches beyond which captured data stays in the rings, where the kernel counts what does not fit. Beyond
/// twice this size, all records do.
pub(crate) const MAX_QUEUED_BYTES: usize = 40 * 1024 * 1024;

/// Maximum size of queued output. Further lines are dropped and counted.
pub(crate) const MAX_OUTPUT_BYTES: usize = 8 * 1024 * 1024;

/// Maximum size of queued messages. Further messages are dropped and counted.
pub(crate) const MAX_MESSAGES_BYTES: usize = 256 * 1024;

/// Maximum captured data of one drain; the next drain reads the rest.
pub(crate) const MAX_DRAIN_BYTES: usize = 8 * 1024 * 1024;

/// Maximum messages that are held back while a user interface has the terminal. More are dropped and counted.
pub(crate) const MAX_HELD_MESSAGES: usize = 1000;
