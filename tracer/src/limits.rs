//! Every bound of the running program that a traced process, its peer or a reader of the output could otherwise push.

/// Bytes that wait for the decoder; beyond it the rings hold what was captured, beyond twice as many also what happens to
/// processes, and the kernel counts what they lose.
pub(crate) const MAX_QUEUED_BYTES: usize = 40 * 1024 * 1024;

/// Bytes of lines that wait for whoever reads the output; beyond it lines are dropped, and counted.
pub(crate) const MAX_OUTPUT_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of messages that wait for whoever reads them; beyond it they are dropped, and counted.
pub(crate) const MAX_MESSAGES_BYTES: usize = 256 * 1024;

/// Bytes taken out of the rings in one drain; the rest waits for the next.
pub(crate) const MAX_DRAIN_BYTES: usize = 8 * 1024 * 1024;
