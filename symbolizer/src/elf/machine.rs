//! The machines whose code is understood.

/// Names a machine whose images are planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// x86-64 with 64-bit pointers.
    X86_64,
    /// aarch64, little-endian.
    Aarch64,
}

impl Machine {
    /// Returns its usual lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}
