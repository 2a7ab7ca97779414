//! All maps and globals, and who may hold their values.
//!
//! A value stays readable as long as a program that looked it up runs, but a removed entry may become another key's at once.
//! - `CALLS`: its thread alone, from the entry of the call to its return.
//! - `CONNECTIONS`: the thread in a call on the object, at a probe or where it sends. A library's caller must not use one
//!   object for one direction in two threads at once, and fields by direction are apart. Tracepoints on other CPUs mark it
//!   as closing; a sender whose message begins with its ciphertext writes its identity.
//! - `THREADS`, `WRITES`: its thread alone.
//! - `SOCKETS`: the thread that binds it, threads that move bytes of a socket without TLS, and the tracepoints of the socket,
//!   which the kernel calls under its lock.
//! - `SKIPS`: anyone; the loader replaces values as a whole.
//! - `TARGETS`, `LAST_TARGET`, `SWITCH`, `WAYS`, `CIPHERTEXTS`, `FRAMES`: anyone; values are one word.
//! - `PROCESSES`, `TARGET_CHANGES`, `TOTALS`, `COUNTERS`: anyone; words that change are added to atomically.
//!
//! The loader writes `TARGETS`, its own element of `TARGET_CHANGES`, the names, control groups, users and ports, `SWITCH`, `SITES`, `OPERANDS` and `SKIPS`; of the
//! others it removes entries whose process or thread has ended.

use core::ptr::read_volatile;

use aya_ebpf::{
    btf_maps::{Array, ArrayOfMaps, HashMap, LruHashMap, PerCpuArray, RingBuf},
    macros::btf_map,
};
use tracer_ebpf::{
    AddressKey, CallState, CiphertextKey, ConnectionState, FILE_NAME_BYTES, KernelCounters, KernelOffsets,
    LIFECYCLE_RING_BYTES, MAX_CALLS, MAX_CGROUPS, MAX_CIPHERTEXTS, MAX_CONNECTIONS, MAX_CPUS, MAX_NAMES, MAX_OPENED,
    MAX_PORTS, MAX_SITES, MAX_SOCKETS, MAX_TARGETS, MAX_THREADS, MAX_UIDS, MAX_WRITES, NameKind, PATH_BYTES,
    ProcessState, SettingFlags, Settings, SiteConfig, SiteCounters, SiteOperands, SkipState, SocketState, TargetState,
    ThreadState, WriteState,
};

/// Only the template of an inner ring: the loader makes the rings themselves, of the size the user asks for.
const RING_TEMPLATE: usize = 4096;

/// One ring per online CPU; slot 0 has one in any case.
#[btf_map]
pub(crate) static RINGS: ArrayOfMaps<RingBuf<u64, RING_TEMPLATE>, MAX_CPUS> = ArrayOfMaps::new();

/// Changes of processes, ends of connections and sockets, and descriptors that the loader looks up: apart from the rings of
/// the CPUs, so that traffic cannot crowd them out, and the one ring that wakes its reader.
#[btf_map]
pub(crate) static LIFECYCLE: RingBuf<u64, LIFECYCLE_RING_BYTES> = RingBuf::new();

/// 1 while probes may report; set last and cleared first.
#[btf_map]
pub(crate) static SWITCH: Array<u32, 1> = Array::new();

/// The processes to trace.
#[btf_map]
pub(crate) static TARGETS: HashMap<u32, TargetState, MAX_TARGETS> = HashMap::new();

/// The process that each CPU has looked up last in `TARGETS`, and how that is traced: see [`target`](crate::target).
#[btf_map]
pub(crate) static LAST_TARGET: PerCpuArray<u64, 1> = PerCpuArray::new();

/// How often `TARGETS`, or the beginning of a program in `PROCESSES`, has changed: by the programs, and by the loader.
#[btf_map]
pub(crate) static TARGET_CHANGES: Array<u64, 2> = Array::new();

/// State of the traced processes that began since tracing did, or whose ciphertext is matched.
#[btf_map]
pub(crate) static PROCESSES: HashMap<u32, ProcessState, MAX_TARGETS> = HashMap::new();

/// Whether a message may show its connection in each of the ways of [`Way`](crate::identity::Way): 1 from then on.
#[btf_map]
pub(crate) static WAYS: Array<u32, 3> = Array::new();

/// Short names of programs that are traced from their `exec` on.
#[btf_map]
pub(crate) static NAMES: HashMap<[u8; 16], NameKind, MAX_NAMES> = HashMap::new();

/// Names of the files of such programs, where they are longer than short names.
#[btf_map]
pub(crate) static LONG_NAMES: HashMap<[u8; FILE_NAME_BYTES], u32, MAX_NAMES> = HashMap::new();

/// Scratch for the path of a program and the name of its file.
#[btf_map]
pub(crate) static PATH: PerCpuArray<ProgramPath, 1> = PerCpuArray::new();

/// The path of a program, and the name of its file.
pub(crate) struct ProgramPath {
    pub(crate) path: [u8; PATH_BYTES],
    pub(crate) name: [u8; FILE_NAME_BYTES],
}

/// Control groups whose programs are traced from their `exec` on.
#[btf_map]
pub(crate) static CGROUPS: HashMap<u64, u32, MAX_CGROUPS> = HashMap::new();

/// Users whose processes are traced from their `exec` or from their first hit of a probe on.
#[btf_map]
pub(crate) static UIDS: HashMap<u32, u32, MAX_UIDS> = HashMap::new();

/// Ports whose listeners are traced from the moment on that they listen.
#[btf_map]
pub(crate) static PORTS: HashMap<u32, u32, MAX_PORTS> = HashMap::new();

/// Losses that belong to no site.
#[btf_map]
pub(crate) static TOTALS: Array<KernelCounters, 1> = Array::new();

/// Offsets in the structures of the library of each site.
#[btf_map]
pub(crate) static SITES: Array<SiteConfig, MAX_SITES> = Array::new();

/// Where the operands of each site are.
#[btf_map]
pub(crate) static OPERANDS: Array<SiteOperands, MAX_SITES> = Array::new();

/// How far above the stack pointer of a send the frame of each lift was last.
#[btf_map]
pub(crate) static FRAMES: Array<u64, MAX_SITES> = Array::new();

/// Losses of each site.
#[btf_map]
pub(crate) static COUNTERS: Array<SiteCounters, MAX_SITES> = Array::new();

/// Calls in flight, by process and call key.
#[btf_map]
pub(crate) static CALLS: HashMap<AddressKey, CallState, MAX_CALLS> = HashMap::new();

/// Connections, by process and object.
#[btf_map]
pub(crate) static CONNECTIONS: HashMap<AddressKey, ConnectionState, MAX_CONNECTIONS> = HashMap::new();

/// Up to where bytes are of no interest, by process and object.
#[btf_map]
pub(crate) static SKIPS: HashMap<AddressKey, SkipState, MAX_CONNECTIONS> = HashMap::new();

/// The innermost call of a TLS library that a thread is in, by thread id; of processes whose ciphertext is matched.
#[btf_map]
pub(crate) static THREADS: HashMap<u32, ThreadState, MAX_THREADS> = HashMap::new();

/// The object that a piece of ciphertext came from; 0 if it came from several.
#[btf_map]
pub(crate) static CIPHERTEXTS: HashMap<CiphertextKey, u64, MAX_CIPHERTEXTS> = HashMap::new();

/// The write of Go that a thread is in, by thread id; of connections whose socket is not known. The oldest may be dropped at
/// any time.
#[btf_map]
pub(crate) static WRITES: LruHashMap<u32, WriteState, MAX_WRITES> = LruHashMap::new();

/// The connection that goes through a socket, or what else is known of the socket, by the address of the kernel's `struct
/// sock`; until that is destroyed.
#[btf_map]
pub(crate) static SOCKETS: HashMap<u64, SocketState, MAX_SOCKETS> = HashMap::new();

/// When the sockets of this machine were established. Values are copied, so the oldest may be dropped at any time.
#[btf_map]
pub(crate) static OPENED: LruHashMap<u64, u64, MAX_OPENED> = LruHashMap::new();

/// Offsets into the running kernel's structures, set before load.
#[unsafe(no_mangle)]
static KERNEL_OFFSETS: KernelOffsets = KernelOffsets {
    binprm_filename: 0,
    task_files: 0,
    files_fdt: 0,
    fdt_max_fds: 0,
    fdt_fd: 0,
    file_private_data: 0,
    file_inode: 0,
    inode_mode: 0,
    inode_ino: 0,
    socket_sk: 0,
    sock_family: 0,
    sock_num: 0,
    sock_dport: 0,
    sock_saddr: 0,
    sock_daddr: 0,
    sock_saddr6: 0,
    sock_daddr6: 0,
    sock_net: 0,
    net_inum: 0,
    sock_protocol: 0,
    sock_type: 0,
    sock_state: 0,
    sock_socket: 0,
    sock_err: 0,
    inet_sport: 0,
    icsk_ulp: 0,
    socket_inode: 0,
    unix_addr: 0,
    unix_peer: 0,
    unix_address_len: 0,
    unix_address_name: 0,
    msg_iter: 0,
    iter_type: 0,
    iter_offset: 0,
    iter_count: 0,
    iter_iov: 0,
    iter_ubuf: 0,
    iter_segments: 0,
    tcp_srtt: 0,
    tcp_retransmits: 0,
    tcp_received: 0,
    tcp_acknowledged: 0,
    tcp_read: 0,
    tcp_expected: 0,
    tcp_written: 0,
    tcp_unacknowledged: 0,
    iter_is_ubuf: 0,
    iter_is_iovec: 0,
    task_pid: 0,
    task_tgid: 0,
    task_fsbase: 0,
    task_signal: 0,
    signal_live: 0,
};

/// The user's settings, set before load.
#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings {
    call_bytes: 0,
    flags: SettingFlags(0),
    own_tgid: 0,
};

/// Reads one of the kernel's offsets.
#[inline(always)]
pub(crate) fn kernel_offset(pick: impl FnOnce(&KernelOffsets) -> *const u32) -> usize {
    // SAFETY: the pointer is into a static; volatile, because the loader replaces the value the compiler sees.
    unsafe { read_volatile(pick(&KERNEL_OFFSETS)) as usize }
}

/// Reads the limit of captured bytes per call.
#[inline(always)]
pub(crate) fn call_bytes() -> u64 {
    // SAFETY: the pointer is to a static; volatile, because the loader replaces the value the compiler sees.
    unsafe { read_volatile(&raw const SETTINGS.call_bytes) }
}

/// Reads what is traced and reported.
#[inline(always)]
pub(crate) fn settings() -> SettingFlags {
    // SAFETY: the pointer is to a static; volatile, because the loader replaces the value the compiler sees.
    unsafe { read_volatile(&raw const SETTINGS.flags) }
}

/// Reads the id of the tracer's own process.
#[inline(always)]
pub(crate) fn own_tgid() -> u32 {
    // SAFETY: the pointer is to a static; volatile, because the loader replaces the value the compiler sees.
    unsafe { read_volatile(&raw const SETTINGS.own_tgid) }
}
