//! Messages for the user, on their way to whoever prints them.

/// Where messages go. This package prints nothing itself.
#[derive(Clone, Copy, Debug)]
pub struct Messages(fn(&str));

impl Messages {
    /// Hands each message to `write`, which may be called from any thread.
    pub const fn to(write: fn(&str)) -> Self {
        Self(write)
    }

    /// Hands over one message: text without a line end, in which there may be names of processes and files as they are.
    pub fn say(self, message: &str) {
        (self.0)(message);
    }
}
