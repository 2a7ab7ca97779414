//! The words of the commands that need a running system: what is traced or inspected, and how.

use std::{path::PathBuf, time::Duration};

use clap::{Args, builder::RangedU64ValueParser};
use tracer_capture::{
    attach::Options,
    sizes::{default_connections, default_ring_bytes},
    target::{Selection, User},
};
use tracer_ebpf::{DEFAULT_CALL_BYTES, MAX_CALL_BYTES, SettingFlags};

use super::show::ShowArgs;
use crate::engine::Request;

#[derive(Args, Debug)]
pub(super) struct TraceArgs {
    #[command(flatten)]
    pub(super) live: LiveArgs,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

#[derive(Args, Debug)]
pub(super) struct RecordArgs {
    #[command(flatten)]
    pub(super) live: LiveArgs,
    /// The tape; must not exist yet
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    pub(super) tape: PathBuf,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct InspectWhat {
    /// A process
    #[arg(short = 'p', long = "pid", value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) pid: Option<u32>,
    /// Every process of a program, by its name
    #[arg(long = "name", value_name = "NAME")]
    pub(super) name: Option<String>,
    /// An ELF file
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct InspectArgs {
    #[command(flatten)]
    pub(super) what: InspectWhat,
    /// Form of the output; text on a terminal, else json
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_parser = ["json", "text"])]
    pub(super) output: Option<String>,
}

/// What is traced, and how.
#[derive(Args, Debug)]
pub(super) struct LiveArgs {
    #[command(flatten)]
    pub(super) whom: WhomArgs,
    /// Leave the children of these processes alone
    #[arg(long)]
    pub(super) no_follow: bool,
    /// Wait for what is not there yet
    #[arg(long)]
    pub(super) wait: bool,
    /// Stop after this long, such as 10s
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(super) duration: Option<Duration>,
    /// Bytes captured of one read or write; what lies beyond is a hole
    #[arg(
        long, value_name = "BYTES", default_value_t = DEFAULT_CALL_BYTES,
        value_parser = RangedU64ValueParser::<u64>::new().range(1..=MAX_CALL_BYTES)
    )]
    pub(super) call_bytes: u64,
    /// Connections kept account of at once, up to 65536; at least 8192, and as many as the processes have descriptors
    #[arg(long, value_name = "COUNT", value_parser = RangedU64ValueParser::<u32>::new().range(1..=65536))]
    pub(super) max_connections: Option<u32>,
    /// KiB of each CPU's ring buffer, a power of two; 16384, or less where more than 16 CPUs are online
    #[arg(long, value_name = "KIB", value_parser = parse_ring)]
    pub(super) ring_kib: Option<u32>,
    /// Calls that may be in flight, for tests of what happens beyond
    #[arg(long, value_name = "COUNT", hide = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) calls: Option<u32>,
}

/// Whom to trace; everything that is given adds up.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(super) struct WhomArgs {
    /// A process, with the descendants it has now and later; may be repeated
    #[arg(short = 'p', long = "pid", value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) pids: Vec<u32>,
    /// Every process of a program, by its name, now and later; may be repeated
    #[arg(long = "name", value_name = "NAME", value_parser = parse_program)]
    pub(super) programs: Vec<String>,
    /// Every process in a container, by its id or twelve digits of it, now and later; may be repeated
    #[arg(long = "container", value_name = "ID", value_parser = parse_container)]
    pub(super) containers: Vec<String>,
    /// Every process that runs as a user, by name or number, now and later, also one that becomes that user; may be
    /// repeated
    #[arg(long = "uid", value_name = "USER")]
    pub(super) users: Vec<User>,
    /// Every process that has a TLS library, now and later
    #[arg(long)]
    pub(super) all: bool,
}

impl LiveArgs {
    /// What is asked for; `flags` enables what only some commands need.
    pub(super) fn request(&self, flags: SettingFlags) -> Request {
        Request {
            selection: self.selection(),
            options: self.options(flags),
            duration: self.duration,
        }
    }

    fn options(&self, flags: SettingFlags) -> Options {
        let flags = [
            (self.whom.all, SettingFlags::ALL),
            (self.no_follow, SettingFlags::ALONE),
            (!self.whom.users.is_empty(), SettingFlags::USERS),
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
        }
    }

    /// Room for as many connections as the processes could have open when the trace begins.
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
            pids: self.whom.pids.clone(),
            names: self.whom.programs.clone(),
            containers: self.whom.containers.clone(),
            users: self.whom.users.clone(),
            all: self.whom.all,
            follow: !self.no_follow,
            wait: self.wait,
        }
    }
}

/// The kernel takes powers of two that are whole pages; 1 GiB a CPU is more than any drain needs.
fn parse_ring(word: &str) -> Result<u32, String> {
    let kib: u32 = word.parse().map_err(|error| format!("{error}"))?;
    if kib.is_power_of_two() && (256..=1024 * 1024).contains(&kib) {
        Ok(kib)
    } else {
        Err("wanted a power of two from 256 to 1048576".to_owned())
    }
}

fn parse_program(name: &str) -> Result<String, &'static str> {
    if name.is_empty() || name.contains('/') {
        return Err("wanted the name of a program, without folders");
    }
    Ok(name.to_owned())
}

/// Runtimes name containers by digits, or by words that they allow in a path.
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
    fn a_ring_is_a_power_of_two_of_whole_pages() {
        assert_eq!(parse_ring("8192"), Ok(8192));
        for word in ["0", "128", "300", "2097152", "x"] {
            parse_ring(word).unwrap_err();
        }
    }
}
