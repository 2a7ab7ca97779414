//! What was looked at, and what it means.

/// What was looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject {
    /// The version of the kernel.
    Kernel,
    /// The PID namespace of this process.
    PidNamespace,
    /// Uprobes.
    Uprobes,
    /// Descriptions of the kernel's structures.
    Btf,
    /// The capabilities of this process.
    Capabilities,
    /// The lockdown mode of the kernel.
    Lockdown,
    /// The limits of perf events.
    Perf,
    /// Clocks.
    Clock,
    /// Limits on open files.
    OpenFiles,
    /// Memory for rings and tables.
    Memory,
    /// The BPF programs.
    Programs,
    /// Other programs that trace.
    Tracers,
    /// The examined process itself.
    Process,
    /// A file of the process with a TLS library.
    Library,
    /// The seccomp filter of the process, or of this one.
    Seccomp,
    /// The shadow stack of the process.
    ShadowStack,
    /// The code at the places of probes.
    Code,
    /// Probes of others at the same places.
    Sites,
}

impl Subject {
    /// All subjects, in the order in which they are examined.
    pub const ALL: [Self; 18] = [
        Self::Kernel,
        Self::PidNamespace,
        Self::Uprobes,
        Self::Btf,
        Self::Capabilities,
        Self::Lockdown,
        Self::Perf,
        Self::Clock,
        Self::OpenFiles,
        Self::Memory,
        Self::Programs,
        Self::Tracers,
        Self::Process,
        Self::Library,
        Self::Seccomp,
        Self::ShadowStack,
        Self::Code,
        Self::Sites,
    ];

    /// Returns its name in the output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::PidNamespace => "pid_namespace",
            Self::Uprobes => "uprobes",
            Self::Btf => "btf",
            Self::Capabilities => "capabilities",
            Self::Lockdown => "lockdown",
            Self::Perf => "perf",
            Self::Clock => "clock",
            Self::OpenFiles => "open_files",
            Self::Memory => "memory",
            Self::Programs => "programs",
            Self::Tracers => "tracers",
            Self::Process => "process",
            Self::Library => "library",
            Self::Seccomp => "seccomp",
            Self::ShadowStack => "shadow_stack",
            Self::Code => "code",
            Self::Sites => "sites",
        }
    }
}

/// How it bears on tracing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// As it should be.
    Fine,
    /// Tracing works, and something is missing or costs more.
    Limited,
    /// Nothing can be traced.
    Prevents,
    /// It could not be examined.
    Unknown,
}

impl State {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Fine, Self::Limited, Self::Prevents, Self::Unknown];

    /// Returns its name in the output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Limited => "limited",
            Self::Prevents => "prevents",
            Self::Unknown => "unknown",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What was looked at.
    pub subject: Subject,
    /// How it bears on tracing.
    pub state: State,
    /// What there is.
    pub value: String,
    /// What that means.
    pub meaning: String,
    /// What to do about it.
    pub action: Option<String>,
}

impl Finding {
    /// Creates a finding of something that is as it should be.
    pub(super) fn fine(subject: Subject, value: impl Into<String>, meaning: impl Into<String>) -> Self {
        Self {
            subject,
            state: State::Fine,
            value: value.into(),
            meaning: meaning.into(),
            action: None,
        }
    }

    /// Creates a finding of something that limits tracing.
    pub(super) fn limited(subject: Subject, value: impl Into<String>, meaning: impl Into<String>) -> Self {
        Self {
            state: State::Limited,
            ..Self::fine(subject, value, meaning)
        }
    }

    /// Creates a finding of something that prevents tracing.
    pub(super) fn prevents(subject: Subject, value: impl Into<String>, meaning: impl Into<String>) -> Self {
        Self {
            state: State::Prevents,
            ..Self::fine(subject, value, meaning)
        }
    }

    /// Creates a finding of something that could not be examined.
    pub(super) fn unknown(subject: Subject, value: impl Into<String>, meaning: impl Into<String>) -> Self {
        Self {
            state: State::Unknown,
            ..Self::fine(subject, value, meaning)
        }
    }

    /// Adds what to do about it.
    pub(super) fn with_action(self, action: impl Into<String>) -> Self {
        Self {
            action: Some(action.into()),
            ..self
        }
    }
}
