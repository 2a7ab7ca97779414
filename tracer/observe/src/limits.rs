//! Every bound of the user side that a traced process or its peer could otherwise push.

/// Files larger than this are not analysed.
pub const MAX_IMAGE_BYTES: u64 = 1024 * 1024 * 1024;

/// Bytes read of what the kernel says of its types; it says some five million.
pub const MAX_BTF_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of the table of an image's sections, and of their names; with larger ones the image is read as a whole.
pub const MAX_HEADERS: u64 = 8 * 1024 * 1024;

/// Connections that the kernel side keeps unless more are open when the trace begins, or the user says otherwise. With
/// two CPUs this, and the rings, stay under 40 MiB.
pub const USUAL_CONNECTIONS: u32 = 8192;

/// Connections decoded at once; beyond it the one that was silent longest is given up, and counted.
pub const MAX_CONNECTIONS: usize = 65_536;

/// Processes whose names are kept; beyond it those without connections are forgotten, and counted.
pub const MAX_PROCESSES: usize = 65_536;

/// Connections that have ended and wait for their socket's last word, or the reverse; beyond it the oldest is told
/// without, and counted.
pub const MAX_ENDINGS: usize = 65_536;

/// Connections that are over, or were given up, and of which it is remembered how far they had come, for what is heard of
/// them later; beyond it the one that departed first is forgotten.
pub const MAX_DEPARTED: usize = 16_384;

/// How long, in nanoseconds of the records' clock, one waits for the other.
pub const ENDING_NS: u64 = 1_000_000_000;

/// How long, in nanoseconds of the records' clock, what happens on a connection waits for its addresses; beyond it it is
/// told without, and counted.
pub const ADDRESS_NS: u64 = 100_000_000;

/// Bytes of one connection that wait for its addresses; beyond it they are told without, and counted.
pub const MAX_ADDRESS_BYTES: usize = 256 * 1024;

/// Bytes of early data that wait on one connection until it is known whether the server takes them; what is beyond is a hole,
/// and counted. Servers take 16 KiB unless they are told otherwise.
pub const MAX_EARLY_BYTES: usize = 64 * 1024;

/// Bytes that all decoders may hold together; beyond it the connection that asks for more is given up, and counted.
pub const MAX_HELD_BYTES: usize = 256 * 1024 * 1024;

/// Bytes taken out of the rings in one drain; the rest waits for the next.
pub const MAX_DRAIN_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that a ring gives in one turn of a drain, the last record aside; then it is the next one's.
pub const DRAIN_TURN_BYTES: usize = 256 * 1024;

/// Bytes that wait for the decoder; beyond it the rings hold what was captured, beyond twice as many also what happens to
/// processes, and the kernel counts what they lose.
pub const MAX_QUEUED_BYTES: usize = 40 * 1024 * 1024;

/// Bytes of batches that wait until no earlier record can come; beyond it the oldest go on, and what then comes too late
/// is counted.
pub const MAX_UNORDERED_BYTES: usize = 48 * 1024 * 1024;

/// Bytes of lines that wait for whoever reads the output; beyond it lines are dropped, and counted.
pub const MAX_OUTPUT_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of messages that wait for whoever reads them; beyond it they are dropped, and counted.
pub const MAX_MESSAGES_BYTES: usize = 256 * 1024;

/// Bytes of a batch on a tape, the last record aside.
pub const MAX_BATCH_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of a tape's header.
pub const MAX_TAPE_HEADER_BYTES: usize = 1024 * 1024;

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

/// Bytes of exchanges that wait for their ends, because an archive cannot bring these later; beyond it the one that waits
/// longest is written as it stands, and counted.
pub const MAX_HAR_WAITING_BYTES: usize = 64 * 1024 * 1024;
