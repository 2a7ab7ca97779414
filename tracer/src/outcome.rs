//! The result of a command.

/// The result of a command that did not fail with an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// Success: exit code 0.
    Done,
    /// A failure whose message is already printed: exit code 1.
    Failed,
}
