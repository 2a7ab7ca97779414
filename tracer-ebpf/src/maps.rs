//! All maps and globals, in one place.

use core::ptr::read_volatile;

use aya_ebpf::{
    btf_maps::{Array, ArrayOfMaps, HashMap, RingBuf},
    macros::btf_map,
};
use tracer_ebpf::{
    AddressKey, CallState, ConnectionState, FileKey, KernelCounters, KernelOffsets, LIFECYCLE_RING_BYTES, MAX_CALLS,
    MAX_CGROUPS, MAX_CONNECTIONS, MAX_CPUS, MAX_KNOWN_FILES, MAX_NAMES, MAX_SITES, MAX_TARGETS, SettingFlags, Settings,
    SiteConfig, SiteCounters, TargetState,
};

/// Only the template of an inner ring: the loader makes the rings themselves, of the size the user asks for.
const RING_TEMPLATE: usize = 4096;

/// One ring per possible CPU.
#[btf_map]
pub(crate) static RINGS: ArrayOfMaps<RingBuf<u64, RING_TEMPLATE>, MAX_CPUS> = ArrayOfMaps::new();

/// What happens to processes: apart from the rings of the CPUs, so that traffic cannot crowd it out.
#[btf_map]
pub(crate) static LIFECYCLE: RingBuf<u64, LIFECYCLE_RING_BYTES> = RingBuf::new();

/// 1 while probes may report; set last and taken back first.
#[btf_map]
pub(crate) static SWITCH: Array<u32, 1> = Array::new();

/// The processes to trace.
#[btf_map]
pub(crate) static TARGETS: HashMap<u32, TargetState, MAX_TARGETS> = HashMap::new();

/// Short names of programs that are traced from their `exec` on.
#[btf_map]
pub(crate) static NAMES: HashMap<[u8; 16], u32, MAX_NAMES> = HashMap::new();

/// Control groups whose programs are traced from their `exec` on.
#[btf_map]
pub(crate) static CGROUPS: HashMap<u64, u32, MAX_CGROUPS> = HashMap::new();

/// Files that were looked at: mapping one is no news.
#[btf_map]
pub(crate) static KNOWN_FILES: HashMap<FileKey, u32, MAX_KNOWN_FILES> = HashMap::new();

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

/// Offsets into the running kernel's structures, set before load.
#[unsafe(no_mangle)]
static KERNEL_OFFSETS: KernelOffsets = KernelOffsets {
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
    task_pid: 0,
    task_tgid: 0,
    task_signal: 0,
    signal_live: 0,
    area_start: 0,
    area_end: 0,
    area_flags: 0,
    area_file: 0,
    inode_sb: 0,
    super_dev: 0,
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
