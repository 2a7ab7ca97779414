//! The gate itself.
//!
//! In: [`Observed`]. Out: [`Redacted`]. Refuses everyone else who would make one.

use std::ops::Deref;

use serde::{Serialize, Serializer};

use super::{Line, Redactor, compose};
use crate::{correlate::Observed, health::Health};

/// Proof that a value went through a [`Redactor`], which alone can make one.
///
/// ```compile_fail,E0423
/// use tracer_observe::redact::Redacted;
/// let forged = Redacted("hunter2");
/// ```
///
/// ```compile_fail,E0624
/// use tracer_observe::redact::Redacted;
/// let forged = Redacted::new("hunter2");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    fn new(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Redacted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Serialize> Serialize for Redacted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Redactor {
    /// Makes the line that may be printed of what was observed.
    pub fn redact(&self, observed: &Observed) -> Redacted<Line> {
        Redacted::new(compose::line(self, observed))
    }

    /// Makes the line of something about the tracing itself: nothing in it comes from a traced process.
    pub fn health(&self, health: &Health) -> Redacted<Line> {
        Redacted::new(compose::health(health))
    }
}
