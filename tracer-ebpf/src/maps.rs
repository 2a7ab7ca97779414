//! All maps and globals, in one place.

use core::ptr::read_volatile;

use aya_ebpf::{
    btf_maps::{Array, ArrayOfMaps, HashMap, LruHashMap, PerCpuArray, RingBuf},
    macros::btf_map,
};
use tracer_ebpf::{
    AddressKey, CallState, CiphertextKey, ConnectionState, FILE_NAME_BYTES, KernelCounters, KernelOffsets,
    LIFECYCLE_RING_BYTES, MAX_CALLS, MAX_CGROUPS, MAX_CIPHERTEXTS, MAX_CONNECTIONS, MAX_CPUS, MAX_NAMES, MAX_OPENED,
    MAX_SITES, MAX_SOCKETS, MAX_TARGETS, MAX_THREADS, NameKind, PATH_BYTES, ProcessState, SettingFlags, Settings,
    SiteConfig, SiteCounters, SocketState, TargetState, ThreadState,
};

/// Only the template of an inner ring: the loader makes the rings themselves, of the size the user asks for.
const RING_TEMPLATE: usize = 4096;

/// One ring per online CPU; slot 0 has one in any case.
#[btf_map]
pub(crate) static RINGS: ArrayOfMaps<RingBuf<u64, RING_TEMPLATE>, MAX_CPUS> = ArrayOfMaps::new();

/// What happens to processes, how connections and sockets end, and descriptors to look at: apart from the rings of the CPUs, so that traffic cannot crowd
/// it out, and the one ring that wakes its reader.
#[btf_map]
pub(crate) static LIFECYCLE: RingBuf<u64, LIFECYCLE_RING_BYTES> = RingBuf::new();

/// 1 while probes may report; set last and taken back first.
#[btf_map]
pub(crate) static SWITCH: Array<u32, 1> = Array::new();

/// The processes to trace.
#[btf_map]
pub(crate) static TARGETS: HashMap<u32, TargetState, MAX_TARGETS> = HashMap::new();

/// What is kept of the traced processes that have begun since, or whose ciphertext is looked for.
#[btf_map]
pub(crate) static PROCESSES: HashMap<u32, ProcessState, MAX_TARGETS> = HashMap::new();

/// Short names of programs that are traced from their `exec` on.
#[btf_map]
pub(crate) static NAMES: HashMap<[u8; 16], NameKind, MAX_NAMES> = HashMap::new();

/// Names of the files of such programs, where they are longer than short names.
#[btf_map]
pub(crate) static LONG_NAMES: HashMap<[u8; FILE_NAME_BYTES], u32, MAX_NAMES> = HashMap::new();

/// Room for the path of a program and the name of its file, while one is compared.
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

/// What was lost and belongs to no site.
#[btf_map]
pub(crate) static TOTALS: Array<KernelCounters, 1> = Array::new();

/// What is known of the library each site belongs to.
#[btf_map]
pub(crate) static SITES: Array<SiteConfig, MAX_SITES> = Array::new();

/// What each site did not capture.
#[btf_map]
pub(crate) static COUNTERS: Array<SiteCounters, MAX_SITES> = Array::new();

/// Calls that have begun and not returned.
#[btf_map]
pub(crate) static CALLS: HashMap<AddressKey, CallState, MAX_CALLS> = HashMap::new();

/// Positions and descriptors of connections.
#[btf_map]
pub(crate) static CONNECTIONS: HashMap<AddressKey, ConnectionState, MAX_CONNECTIONS> = HashMap::new();

/// The call of a TLS library that a thread is in, by its id; of processes whose ciphertext is looked for.
#[btf_map]
pub(crate) static THREADS: HashMap<u32, ThreadState, MAX_THREADS> = HashMap::new();

/// The `SSL` object that a piece of ciphertext came from; 0 when it came from several.
#[btf_map]
pub(crate) static CIPHERTEXTS: HashMap<CiphertextKey, u64, MAX_CIPHERTEXTS> = HashMap::new();

/// The connection that goes through a socket, by the address of the kernel's `struct sock`; until that is closed.
#[btf_map]
pub(crate) static SOCKETS: HashMap<u64, SocketState, MAX_SOCKETS> = HashMap::new();

/// When the sockets of this machine were established. The values are copied, so that the oldest may go at any time.
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
    sock_socket: 0,
    sock_err: 0,
    inet_sport: 0,
    socket_inode: 0,
    unix_addr: 0,
    unix_peer: 0,
    unix_address_len: 0,
    unix_address_name: 0,
    msg_iter: 0,
    iter_type: 0,
    iter_offset: 0,
    iter_iov: 0,
    iter_ubuf: 0,
    iter_segments: 0,
    tcp_srtt: 0,
    tcp_retransmits: 0,
    tcp_received: 0,
    tcp_acknowledged: 0,
    iter_is_ubuf: 0,
    iter_is_iovec: 0,
    task_pid: 0,
    task_tgid: 0,
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

/// Reads how many bytes of a call may be captured.
#[inline(always)]
pub(crate) fn call_bytes() -> u64 {
    // SAFETY: the pointer is to a static; volatile, because the loader replaces the value the compiler sees.
    unsafe { read_volatile(&raw const SETTINGS.call_bytes) }
}

/// Reads what is traced and told.
#[inline(always)]
pub(crate) fn settings() -> SettingFlags {
    // SAFETY: the pointer is to a static; volatile, because the loader replaces the value the compiler sees.
    unsafe { read_volatile(&raw const SETTINGS.flags) }
}

/// Reads the tracer's own process.
#[inline(always)]
pub(crate) fn own_tgid() -> u32 {
    // SAFETY: the pointer is to a static; volatile, because the loader replaces the value the compiler sees.
    unsafe { read_volatile(&raw const SETTINGS.own_tgid) }
}
