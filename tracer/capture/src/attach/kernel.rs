//! Checks privileges and features of the running kernel, and reads the offsets of its structures from BTF.
//!
//! Offsets are never guessed. If BTF lacks one that is required, the programs use none of them: [`Undescribed`] says why,
//! and what is missing from the trace then.

use std::{
    fmt,
    fs::{self, File},
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use rustix::thread::CapabilitySet;
use tracer_ebpf::KernelOffsets;

use super::{
    Placement,
    btf::Btf,
    capabilities::{are_enough, own_capabilities},
    memory,
    version::KernelVersion,
};
use crate::{
    limits::MAX_BTF_BYTES,
    target::{Seccomp, Target},
};

/// The PID namespace of this process, in `/proc`.
const PID_NAMESPACE: &str = "self/ns/pid";
/// Number of the host's PID namespace (`PROC_PID_INIT_INO`, `include/linux/proc_ns.h`).
const HOST_PID_NAMESPACE: u64 = 0xefff_fffc;
const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";
/// The type of perf events of uprobes, in `/sys`.
const UPROBE_PATH: &str = "bus/event_source/devices/uprobe/type";
/// Why nothing can be traced on this machine, or in a process on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// Not enough privileges.
    NotRoot,
    /// The tracer runs in a PID namespace, in which processes have other ids than in the kernel.
    InnerPidNamespace,
    /// The kernel was built without uprobes.
    NoUprobes,
    /// The kernel is too old.
    TooOld(KernelVersion),
    /// The kernel would kill the process at a return probe, because of its seccomp filter.
    SeccompKills(KernelVersion),
    /// The kernel might end the process at a return probe, or at a probe on a call, because of its shadow stack.
    ShadowStackKills,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InnerPidNamespace => write!(
                f,
                "tlscope runs in a PID namespace of its own, where processes have other ids than in the kernel; run it in \
                 the host's, as with --pid=host"
            ),
            Self::NotRoot => write!(
                f,
                "not enough privileges: uprobes need CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON since Linux 6.10; run as root"
            ),
            Self::NoUprobes => write!(
                f,
                "this kernel has no uprobes (CONFIG_UPROBE_EVENTS): /sys/{UPROBE_PATH} is missing"
            ),
            Self::TooOld(version) => write!(f, "kernel {version} is too old: attach cookies need 5.15"),
            Self::SeccompKills(version) => write!(
                f,
                "it runs under a seccomp filter, and kernel {version} may kill it at a return probe (fixed in 6.14)"
            ),
            Self::ShadowStackKills => write!(
                f,
                "it runs with a shadow stack, which a return probe, or a probe on a call, may not agree with"
            ),
        }
    }
}

/// The running kernel, as far as the programs depend on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kernel {
    /// Offsets in its structures.
    pub offsets: KernelOffsets,
    /// Why the offsets are not known, if they are not.
    pub undescribed: Option<Undescribed>,
}

/// Why the kernel's structures are not known. Displayed with what is missing from the trace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Undescribed {
    /// The kernel has no BTF.
    NoBtf,
    /// The kernel's BTF lacks a required field.
    Field(&'static str),
}

impl fmt::Display for Undescribed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBtf => write!(
                f,
                "this kernel has no BTF (CONFIG_DEBUG_INFO_BTF): {BTF_PATH} cannot be read"
            )?,
            Self::Field(field) => write!(f, "this kernel's BTF does not describe {field}")?,
        }
        write!(
            f,
            "; so addresses come from /proc once they can be confirmed, and only for BIOs that are a socket's own; \
             processes that are forked later are traced after some milliseconds and not from their first request on; and \
             sockets are not watched"
        )
    }
}

/// Checks a set of capabilities; an unknown one has none.
pub(crate) fn check_privileges(held: Option<CapabilitySet>, version: Option<KernelVersion>) -> Result<(), Reason> {
    let held = held.unwrap_or(CapabilitySet::empty());
    are_enough(held, version).then_some(()).ok_or(Reason::NotRoot)
}

/// Checks that the kernel of a release is not too old.
pub(crate) fn check_release(release: &str) -> Result<(), Reason> {
    match KernelVersion::parse(release) {
        Some(version) if version.is_too_old() => Err(Reason::TooOld(version)),
        Some(_) | None => Ok(()),
    }
}

/// Checks privileges and the kernel.
pub fn check() -> Result<Kernel, Reason> {
    check_privileges(own_capabilities(Path::new("/proc")), KernelVersion::running())?;
    check_kernel()
}

/// Checks the kernel without the privileges of this process.
pub fn check_kernel() -> Result<Kernel, Reason> {
    check_pid_namespace(Path::new("/proc"))?;
    if let Ok(release) = rustix::system::uname().release().to_str() {
        check_release(release)?;
    }
    check_uprobes(Path::new("/sys"))?;
    Ok(Kernel::describe(Path::new(BTF_PATH)))
}

/// Checks that this process is in the host's PID namespace.
pub(crate) fn check_pid_namespace(proc: &Path) -> Result<(), Reason> {
    match fs::metadata(proc.join(PID_NAMESPACE)) {
        Ok(namespace) if namespace.ino() != HOST_PID_NAMESPACE => Err(Reason::InnerPidNamespace),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Checks that the kernel has uprobes.
pub(crate) fn check_uprobes(sys: &Path) -> Result<(), Reason> {
    if sys.join(UPROBE_PATH).exists() {
        Ok(())
    } else {
        Err(Reason::NoUprobes)
    }
}

impl Kernel {
    /// Reads the offsets from BTF: all that are required, or none.
    pub(crate) fn describe(btf: &Path) -> Self {
        let found = read_offsets(btf);
        memory::trim_heap();
        match found {
            Ok(offsets) => Self {
                offsets,
                undescribed: None,
            },
            Err(undescribed) => Self {
                offsets: KernelOffsets::NONE,
                undescribed: Some(undescribed),
            },
        }
    }
}

/// Checks whether the probes of its files are safe for a process.
pub fn check_target(target: &Target, files: &[&Placement]) -> Result<(), Reason> {
    check_on(KernelVersion::running(), target.seccomp, target.shadow_stack, files)
}

fn check_on(
    version: Option<KernelVersion>,
    seccomp: Seccomp,
    shadow_stack: bool,
    files: &[&Placement],
) -> Result<(), Reason> {
    for file in files {
        if shadow_stack && (file.has_returns() || file.is_on_calls()) {
            return Err(Reason::ShadowStackKills);
        }
        match (seccomp, version) {
            (Seccomp::On, Some(version)) if version.kills_at_return() && file.has_returns() => {
                return Err(Reason::SeccompKills(version));
            }
            (Seccomp::On | Seccomp::Off, _) => {}
        }
    }
    Ok(())
}

/// Reads the whole BTF, some megabytes, and keeps only the offsets.
fn read_offsets(btf: &Path) -> Result<KernelOffsets, Undescribed> {
    let mut data = Vec::new();
    let file = File::open(btf).map_err(|_unreadable| Undescribed::NoBtf)?;
    file.take(MAX_BTF_BYTES)
        .read_to_end(&mut data)
        .map_err(|_unreadable| Undescribed::NoBtf)?;
    offsets(&Btf::parse(&data).ok_or(Undescribed::NoBtf)?)
}

/// Finds the offsets. Those on the way from a descriptor to a socket's addresses, and those that identify a process, are
/// required; the others may be [`KernelOffsets::UNKNOWN`].
fn offsets(btf: &Btf<'_>) -> Result<KernelOffsets, Undescribed> {
    let of = |structure, field, both| btf.member_offset(structure, field).ok_or(Undescribed::Field(both));
    let may = |structure, field| btf.member_offset(structure, field).unwrap_or(KernelOffsets::UNKNOWN);
    let value = |name, of| btf.enumerator(name, of).unwrap_or(KernelOffsets::UNKNOWN);
    Ok(KernelOffsets {
        task_files: of("task_struct", "files", "task_struct.files")?,
        files_fdt: of("files_struct", "fdt", "files_struct.fdt")?,
        fdt_max_fds: of("fdtable", "max_fds", "fdtable.max_fds")?,
        fdt_fd: of("fdtable", "fd", "fdtable.fd")?,
        file_private_data: of("file", "private_data", "file.private_data")?,
        file_inode: of("file", "f_inode", "file.f_inode")?,
        inode_mode: of("inode", "i_mode", "inode.i_mode")?,
        inode_ino: of("inode", "i_ino", "inode.i_ino")?,
        socket_sk: of("socket", "sk", "socket.sk")?,
        sock_family: of("sock_common", "skc_family", "sock_common.skc_family")?,
        sock_num: of("sock_common", "skc_num", "sock_common.skc_num")?,
        sock_dport: of("sock_common", "skc_dport", "sock_common.skc_dport")?,
        sock_saddr: of("sock_common", "skc_rcv_saddr", "sock_common.skc_rcv_saddr")?,
        sock_daddr: of("sock_common", "skc_daddr", "sock_common.skc_daddr")?,
        sock_saddr6: of("sock_common", "skc_v6_rcv_saddr", "sock_common.skc_v6_rcv_saddr")?,
        sock_daddr6: of("sock_common", "skc_v6_daddr", "sock_common.skc_v6_daddr")?,
        task_pid: of("task_struct", "pid", "task_struct.pid")?,
        task_tgid: of("task_struct", "tgid", "task_struct.tgid")?,
        task_signal: of("task_struct", "signal", "task_struct.signal")?,
        signal_live: of("signal_struct", "live", "signal_struct.live")?,
        task_fsbase: thread_base(btf).unwrap_or(KernelOffsets::UNKNOWN),
        binprm_filename: may("linux_binprm", "filename"),
        sock_net: may("sock_common", "skc_net"),
        net_inum: namespace_number(btf).unwrap_or(KernelOffsets::UNKNOWN),
        sock_protocol: may("sock", "sk_protocol"),
        sock_type: may("sock", "sk_type"),
        sock_state: may("sock_common", "skc_state"),
        sock_socket: may("sock", "sk_socket"),
        sock_err: may("sock", "sk_err"),
        inet_sport: may("inet_sock", "inet_sport"),
        icsk_ulp: may("inet_connection_sock", "icsk_ulp_ops"),
        socket_inode: may("socket_alloc", "vfs_inode"),
        unix_addr: may("unix_sock", "addr"),
        unix_peer: may("unix_sock", "peer"),
        unix_address_len: may("unix_address", "len"),
        unix_address_name: may("unix_address", "name"),
        msg_iter: may("msghdr", "msg_iter"),
        iter_type: may("iov_iter", "iter_type"),
        iter_offset: may("iov_iter", "iov_offset"),
        iter_count: may("iov_iter", "count"),
        iter_iov: btf
            .member_offset("iov_iter", "__iov")
            .unwrap_or_else(|| may("iov_iter", "iov")),
        iter_ubuf: may("iov_iter", "ubuf"),
        iter_segments: may("iov_iter", "nr_segs"),
        tcp_srtt: may("tcp_sock", "srtt_us"),
        tcp_retransmits: may("tcp_sock", "total_retrans"),
        tcp_received: may("tcp_sock", "bytes_received"),
        tcp_acknowledged: may("tcp_sock", "bytes_acked"),
        tcp_read: may("tcp_sock", "copied_seq"),
        tcp_expected: may("tcp_sock", "rcv_nxt"),
        tcp_written: may("tcp_sock", "write_seq"),
        tcp_unacknowledged: may("tcp_sock", "snd_una"),
        iter_is_ubuf: value("iter_type", "ITER_UBUF"),
        iter_is_iovec: value("iter_type", "ITER_IOVEC"),
    })
}

/// Returns the offset of `net.ns.inum`.
fn namespace_number(btf: &Btf<'_>) -> Option<u32> {
    btf.member_offset("net", "ns")?
        .checked_add(btf.member_offset("ns_common", "inum")?)
}

/// Returns the offset of `task_struct.thread.fsbase`, which other machines than x86-64 do not have.
fn thread_base(btf: &Btf<'_>) -> Option<u32> {
    btf.member_offset("task_struct", "thread")?
        .checked_add(btf.member_offset("thread_struct", "fsbase")?)
}

#[cfg(test)]
mod tests {
    use symbolizer::Policy;

    use super::*;
    use crate::attach::Kinds;

    #[test]
    fn the_release_of_a_distribution_kernel_parses() {
        assert_eq!(
            KernelVersion::parse("6.1.0-37-cloud-amd64"),
            Some(KernelVersion { major: 6, minor: 1 })
        );
        assert_eq!(KernelVersion::parse("not a kernel"), None);
    }

    #[test]
    fn return_probes_may_kill_from_6_11_until_6_14() {
        let kills = |minor| KernelVersion { major: 6, minor }.kills_at_return();
        assert_eq!([10, 11, 13, 14].map(kills), [false, true, true, false]);
    }

    /// The probes of a library of this machine.
    fn placement(library: &str, policy: Policy) -> Placement {
        let folder = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let plans = symbolizer::plan(&fs::read(format!("{folder}/{library}")).unwrap(), None).unwrap();
        let kinds = Kinds {
            policy,
            ..Kinds::default()
        };
        Placement::of_plans(&plans.plans, kinds)
    }

    #[test]
    fn a_process_under_seccomp_is_refused_only_where_return_probes_kill_and_are_used() {
        let version = |minor| Some(KernelVersion { major: 6, minor });
        let check = |minor, seccomp, policy| {
            let placement = placement("libssl.so.3", policy);
            check_on(version(minor), seccomp, false, &[&placement]).is_ok()
        };
        assert!(check(12, Seccomp::On, Policy::Auto));
        assert!(check(12, Seccomp::On, Policy::Exit));
        assert!(!check(12, Seccomp::On, Policy::Return));
        assert!(check(12, Seccomp::Off, Policy::Return));
        assert!(check(14, Seccomp::On, Policy::Return));
    }

    #[test]
    fn a_process_with_a_shadow_stack_is_refused_if_a_probe_is_on_a_call_or_a_return() {
        let check =
            |shadow_stack, placement: &Placement| check_on(None, Seccomp::Off, shadow_stack, &[placement]).is_ok();
        let tapped = placement("libssl.so.3", Policy::Auto);
        assert!(tapped.is_on_calls() && check(false, &tapped) && !check(true, &tapped));
        let returns = placement("libssl.so.3", Policy::Return);
        assert!(!check(true, &returns));
        let exits = placement("libssl.so.3", Policy::Exit);
        assert!(!exits.is_on_calls() && !exits.has_returns() && check(true, &exits));
    }

    #[test]
    fn every_reason_reads_as_a_sentence() {
        let version = KernelVersion { major: 6, minor: 12 };
        for reason in [
            Reason::NotRoot,
            Reason::InnerPidNamespace,
            Reason::NoUprobes,
            Reason::TooOld(version),
            Reason::SeccompKills(version),
            Reason::ShadowStackKills,
        ] {
            assert!(reason.to_string().len() > 20);
        }
    }

    #[test]
    fn no_offset_is_known_without_btf_or_with_another_file() {
        for path in ["/proc/self/nothing of this name", "/proc/self/exe"] {
            let kernel = Kernel::describe(Path::new(path));
            assert_eq!(kernel.undescribed, Some(Undescribed::NoBtf), "{path}");
            assert_eq!(kernel.offsets, KernelOffsets::NONE);
            assert_eq!(kernel.offsets.socket_sk, KernelOffsets::UNKNOWN);
        }
    }

    #[test]
    fn what_btf_lacks_is_displayed_in_one_line() {
        let said = Undescribed::Field("task_struct.pid").to_string();
        assert!(said.contains("task_struct.pid") && !said.contains('\n'), "{said}");
        assert!(Undescribed::NoBtf.to_string().contains(BTF_PATH));
    }
}
