//! What a library's finder answers.

use crate::plan::ProbePlan;
use crate::reason::Reason;

/// The result of a finder for one image.
#[derive(Debug)]
pub(crate) enum Found {
    /// Its library, and how to probe it.
    Plan(Box<ProbePlan>),
    /// Its library, or a part of it, that cannot be probed.
    Refused(Reason),
    /// Nothing of its library.
    Nothing,
}
