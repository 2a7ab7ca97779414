//! The options of the commands that need the kernel.

use std::{env, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, builder::RangedU64ValueParser};
use symbolizer::Policy;
use tracer_capture::{
    attach::{Kinds, Options},
    sizes::{default_connections, default_ring_bytes},
    target::{DebugFiles, Selection, User},
};
use tracer_ebpf::{DEFAULT_CALL_BYTES, MAX_CALL_BYTES, SettingFlags};

use super::{audit_arguments::AuditArgs, message_arguments::QuietArgs, output_arguments::OutputArgs};
use crate::{audit::Auditor, encryption::RecipientArgs, engine::Request};

#[derive(Args, Debug)]
pub(super) struct TraceArgs {
    #[command(flatten)]
    pub(super) live: LiveArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Args, Debug)]
pub(super) struct RecordArgs {
    #[command(flatten)]
    pub(super) live: LiveArgs,
    /// The tape to create; must not exist
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    pub(super) tape: PathBuf,
    #[command(flatten)]
    pub(super) encrypt: RecipientArgs,
    #[command(flatten)]
    pub(super) quiet: QuietArgs,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct InspectTarget {
    /// Inspect this process
    #[arg(short = 'p', long = "pid", value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) pid: Option<u32>,
    /// Inspect every process with this name
    #[arg(long = "name", value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Inspect this ELF file
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct InspectArgs {
    #[command(flatten)]
    pub(super) target: InspectTarget,
    /// Output format; text on a terminal, else json
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_parser = ["json", "text"])]
    pub(super) format: Option<String>,
    #[command(flatten)]
    pub(super) debug_files: DebugFileArgs,
}

/// Where the symbols of stripped files are looked for.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct DebugFileArgs {
    /// Ask the servers of `debuginfod` for the symbols of stripped programs and libraries, by `debuginfod-find`
    #[arg(long, action = ArgAction::SetTrue, value_parser = parse_debuginfod)]
    debuginfod: bool,
}

impl DebugFileArgs {
    pub(super) const fn debug_files(self) -> DebugFiles {
        DebugFiles {
            debuginfod: self.debuginfod,
        }
    }
}

/// Parses whether servers are asked: there must be some.
fn parse_debuginfod(word: &str) -> Result<bool, &'static str> {
    let is_wanted = word == "true";
    if is_wanted && env::var_os("DEBUGINFOD_URLS").is_none_or(|servers| servers.is_empty()) {
        return Err(
            "the environment variable DEBUGINFOD_URLS names no server; sudo keeps it with --preserve-env=DEBUGINFOD_URLS",
        );
    }
    Ok(is_wanted)
}

/// What to trace, and how much is captured.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(super) struct LiveArgs {
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    /// Do not trace the descendants of the selected processes
    #[arg(long)]
    pub(super) no_follow: bool,
    /// Wait for processes that do not exist yet
    #[arg(long)]
    pub(super) wait: bool,
    /// Stop after this time, such as 10s
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(super) duration: Option<Duration>,
    /// Maximum bytes captured of one read or write; the rest is reported as lost
    #[arg(
        long, value_name = "BYTES", default_value_t = DEFAULT_CALL_BYTES,
        value_parser = RangedU64ValueParser::<u64>::new().range(1..=MAX_CALL_BYTES)
    )]
    pub(super) call_bytes: u64,
    /// Maximum connections tracked at a time, up to 65536; by default at least 6000, and more if the processes have more
    /// descriptors
    #[arg(long, value_name = "COUNT", value_parser = RangedU64ValueParser::<u32>::new().range(1..=65536))]
    pub(super) max_connections: Option<u32>,
    /// Size of each CPU's ring buffer in KiB, a power of two; by default 16384, or less with more than 16 CPUs
    #[arg(long, value_name = "KIB", value_parser = parse_ring)]
    pub(super) ring_kib: Option<u32>,
    /// Kind of hooks that bring plaintext: `tap` at one instruction, `exit` at calls and their ends, `return` by return
    /// probes, which kill programs that switch stacks; by default the cheapest that is proven
    #[arg(long, value_name = "KIND", default_value = "auto", value_parser = ["auto", "tap", "exit", "return"])]
    pub(super) hooks: String,
    /// Use return probes where no other hooks are proven: they kill programs that switch stacks within a call
    #[arg(long)]
    pub(super) return_probes: bool,
    /// Do not capture HTTP without TLS
    #[arg(long)]
    pub(super) no_plaintext: bool,
    #[command(flatten)]
    pub(super) debug_files: DebugFileArgs,
    /// Maximum calls in flight, to test the bound
    #[arg(long, value_name = "COUNT", hide = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) calls: Option<u32>,
    #[command(flatten)]
    pub(super) audit: AuditArgs,
}

/// The processes to trace: those that match any of the options.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(super) struct SelectionArgs {
    /// Trace this process and its current and later descendants; may be repeated
    #[arg(short = 'p', long = "pid", value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) pids: Vec<u32>,
    /// Trace every current and later process with this name; may be repeated
    #[arg(long = "name", value_name = "NAME", value_parser = parse_name)]
    pub(super) programs: Vec<String>,
    /// Trace every current and later process in this container, given by its id or the first twelve digits; may be
    /// repeated
    #[arg(long = "container", value_name = "ID", value_parser = parse_container)]
    pub(super) containers: Vec<String>,
    /// Trace every process that runs as this user, given by name or number, or becomes this user later; may be repeated
    #[arg(long = "uid", value_name = "USER")]
    pub(super) users: Vec<User>,
    /// Trace the processes that listen on this TCP port, now and later, and their descendants; may be repeated
    #[arg(long = "port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) ports: Vec<u16>,
    /// Trace every current and later process that has a TLS library
    #[arg(long)]
    pub(super) all: bool,
}

impl LiveArgs {
    /// Converts the arguments to a request; `flags` enables records that only some commands need.
    pub(super) fn request<'a>(&self, flags: SettingFlags, audit: &'a Auditor) -> Request<'a> {
        Request {
            selection: self.selection(),
            options: self.options(flags),
            duration: self.duration,
            reload: None,
            audit,
        }
    }

    fn options(&self, flags: SettingFlags) -> Options {
        let flags = [
            (self.selection.all, SettingFlags::ALL),
            (self.no_follow, SettingFlags::ALONE),
            (!self.selection.users.is_empty(), SettingFlags::USERS),
            (!self.selection.ports.is_empty(), SettingFlags::PORTS),
            (!self.no_plaintext, SettingFlags::PLAIN),
        ]
        .into_iter()
        .filter(|(is_set, _)| *is_set)
        .fold(flags, |flags, (_, flag)| flags.with(flag));
        Options {
            call_bytes: self.call_bytes,
            ring_bytes: self.ring_bytes(),
            calls: self.calls,
            connections: self.connections(),
            flags,
            kinds: self.kinds(),
            debug_files: self.debug_files.debug_files(),
        }
    }

    fn kinds(&self) -> Kinds {
        let policy = match self.hooks.as_str() {
            "tap" => Policy::Tap,
            "exit" => Policy::Exit,
            "return" => Policy::Return,
            _ => Policy::Auto,
        };
        Kinds {
            policy,
            return_probes: self.return_probes,
            ..Kinds::default()
        }
    }

    fn connections(&self) -> u32 {
        self.max_connections
            .unwrap_or_else(|| default_connections(&self.selection()))
    }

    fn ring_bytes(&self) -> u32 {
        self.ring_kib
            .map_or_else(default_ring_bytes, |kib| kib.saturating_mul(1024))
    }

    fn selection(&self) -> Selection {
        Selection {
            pids: self.selection.pids.clone(),
            names: self.selection.programs.clone(),
            containers: self.selection.containers.clone(),
            users: self.selection.users.clone(),
            ports: self.selection.ports.clone(),
            all: self.selection.all,
            follow: !self.no_follow,
            wait: self.wait,
        }
    }
}

/// Parses the size of a ring: the kernel accepts powers of two of at least a page.
fn parse_ring(word: &str) -> Result<u32, String> {
    let kib: u32 = word.parse().map_err(|error| format!("{error}"))?;
    if kib.is_power_of_two() && (256..=1024 * 1024).contains(&kib) {
        Ok(kib)
    } else {
        Err("wanted a power of two from 256 to 1048576".to_owned())
    }
}

fn parse_name(name: &str) -> Result<String, &'static str> {
    if name.is_empty() || name.contains('/') {
        return Err("wanted the name of a program, without folders");
    }
    Ok(name.to_owned())
}

/// Parses a container id: hexadecimal digits, or a name that the runtime allows in a path.
fn parse_container(id: &str) -> Result<String, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if id.is_empty() || !id.bytes().all(allowed) {
        return Err("wanted the id of a container, or its first twelve digits");
    }
    Ok(id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_size_is_a_power_of_two() {
        assert_eq!(parse_ring("8192"), Ok(8192));
        for word in ["0", "128", "300", "2097152", "x"] {
            parse_ring(word).unwrap_err();
        }
    }
}
