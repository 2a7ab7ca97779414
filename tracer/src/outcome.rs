//! How a command ended.

/// How a command ended, where it is no error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It did what it was asked to: exit code 0.
    Done,
    /// It could not, and has said why: exit code 1.
    Failed,
}
