//! Messages for the user. This package does not print: the caller decides where messages go.

/// A function that receives messages.
#[derive(Clone, Copy, Debug)]
pub struct Messages(fn(&str));

impl Messages {
    /// Sends messages to `write`, which may be called from any thread.
    pub const fn to(write: fn(&str)) -> Self {
        Self(write)
    }

    /// Sends a message without a line end. It may contain names of processes and files, which are not escaped.
    pub fn say(self, message: &str) {
        (self.0)(message);
    }
}
