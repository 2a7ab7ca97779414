//! Every bound of this package that a traced process or its peer could otherwise push.

/// Files larger than this are not analysed.
pub const MAX_IMAGE_BYTES: u64 = 1024 * 1024 * 1024;

/// Bytes read of what the kernel says of its types; it says some five million.
pub const MAX_BTF_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of the table of an image's sections, and of their names; with larger ones the image is read as a whole.
pub const MAX_HEADERS: u64 = 8 * 1024 * 1024;

/// Connections that the kernel side keeps unless more are open when the trace begins, or the user says otherwise. With
/// two CPUs this, and the rings, stay under 40 MiB.
pub const USUAL_CONNECTIONS: u32 = 8192;

/// Bytes that a ring gives in one turn of a drain, the last record aside; then it is the next one's.
pub const DRAIN_TURN_BYTES: usize = 256 * 1024;

/// How deep control groups are searched for a container's.
pub const MAX_CGROUP_DEPTH: usize = 16;

/// Descriptors that wait to be looked at, where the kernel does not say where they lead; beyond it they are not looked at,
/// and counted.
pub const MAX_LOOKS: usize = 4096;

/// Files without a user whose probes stay, because a program that is started again maps them again.
pub const MAX_UNUSED_FILES: usize = 16;

/// Files whose analysis is remembered; beyond it all are forgotten, and looked at again when they are met.
pub const MAX_ANALYSED_FILES: usize = 8192;

/// Bytes of one CPU's ring unless the user says otherwise: a worker of nginx that sends large files at the pace of one CPU
/// writes some 9 MiB while the rings are left alone and read.
pub const LARGEST_USUAL_RING_BYTES: u32 = 16 * 1024 * 1024;

/// Bytes of one CPU's ring at the least, however many CPUs are online.
pub const SMALLEST_USUAL_RING_BYTES: u32 = 1024 * 1024;

/// Bytes of the rings of all online CPUs together, as long as each has its least.
pub const MAX_RINGS_BYTES: u32 = 256 * 1024 * 1024;

/// Bytes in which each CPU's account of executable mappings waits to be read; a power of two.
pub const MAPPINGS_BYTES: usize = 64 * 1024;

/// Processes that were forked and wait to be named; beyond it they are not.
pub const MAX_ARRIVALS: usize = 1024;

/// Lines that name processes which were forked; beyond it they are no longer named, and that is said.
pub const MAX_ARRIVAL_LINES: usize = 64;

/// Reasons that are said why processes which came later are not traced; beyond it they are counted.
pub const MAX_REFUSALS: usize = 256;

/// Drains of which it waits to be followed what happened to processes; beyond it the kernel is asked what there is.
pub const MAX_LIVES: usize = 256;

/// Files that a program which is waited for would map, and that are examined for it; the rest is found when it runs.
pub const MAX_EXPECTED_FILES: usize = 256;

/// Entries of the dynamic linker's list that are read.
pub const MAX_CACHED_LIBRARIES: usize = 65_536;

/// Scripts that name each other as interpreters; the kernel follows as many (`exec_binprm` in `fs/exec.c`).
pub const MAX_SCRIPT_DEPTH: usize = 5;
