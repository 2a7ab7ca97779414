//! Which fields are zero on a path, by what was tested on the way.

use super::field::Field;

use super::value::Value;

/// Holds the fields that are known to be zero, or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Facts {
    /// Whether the first word of the first argument is zero.
    typed: bool,
    tested: Vec<(Field, bool)>,
}

/// The answer to whether two values are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Equality {
    Known(bool),
    /// If this field is zero.
    IfZero(Field),
    Unknown,
}

impl Facts {
    pub(super) const fn new(typed: bool) -> Self {
        Self {
            typed,
            tested: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, field: Field, is_zero: bool) {
        self.tested.push((field, is_zero));
    }

    /// Forgets what was tested, for a call may change it.
    pub(super) fn clear(&mut self) {
        self.tested.clear();
    }

    pub(super) fn zeros(&self) -> Vec<Field> {
        let zeros = self.tested.iter().filter(|(_, is_zero)| *is_zero);
        zeros.map(|(field, _)| *field).collect()
    }

    /// The value, or zero if it was tested to be that.
    ///
    /// A type that is returned is a field like any other: it was only assumed to be zero.
    pub(super) fn known(&self, value: Value) -> Value {
        let is_zero = |field| self.tested.contains(&(field, true));
        if value.field().is_some_and(is_zero) {
            Value::Constant(0)
        } else {
            value
        }
    }

    pub(super) fn is_zero(&self, value: Value) -> bool {
        match value {
            Value::Constant(number) => number == 0,
            Value::Field(field) => self.zero(field) == Some(true),
            Value::Unknown
            | Value::Stack(_)
            | Value::Frame(_)
            | Value::Derived(_)
            | Value::Within(..)
            | Value::Possible(_) => false,
        }
    }

    pub(super) fn equality(&self, compared: (Value, Value)) -> Equality {
        match compared {
            (Value::Constant(left), Value::Constant(right)) => Equality::Known(left == right),
            (Value::Field(field), Value::Constant(number)) | (Value::Constant(number), Value::Field(field)) => {
                match (self.zero(field), number) {
                    (Some(true), number) => Equality::Known(number == 0),
                    (Some(false), 0) => Equality::Known(false),
                    (None, 0) => Equality::IfZero(field),
                    _ => Equality::Unknown,
                }
            }
            _ => Equality::Unknown,
        }
    }

    /// Returns whether a field is zero: by what was tested, and by what holds of every call that matters.
    fn zero(&self, field: Field) -> Option<bool> {
        if field.as_argument().is_some() {
            return Some(false);
        }
        if self.typed && field.is_type() {
            return Some(true);
        }
        let mut tested = self.tested.iter().filter(|(tested, _)| *tested == field);
        tested.next().map(|(_, is_zero)| *is_zero)
    }
}
