//! Bounds on everything that a traced process or its peer could otherwise grow.

/// Maximum size of a file that is analysed.
pub const MAX_IMAGE_BYTES: u64 = 1024 * 1024 * 1024;

/// Maximum size of the kernel's BTF that is read; a distribution kernel has some five million bytes.
pub const MAX_BTF_BYTES: u64 = 64 * 1024 * 1024;

/// Maximum size of an image's section header table, and of its section names. With a larger one the whole image is read.
pub const MAX_HEADERS: u64 = 8 * 1024 * 1024;

/// How much of a file with the symbols of another is read for its program headers, which follow its header.
pub const MAX_PROGRAM_HEADERS: u64 = 64 * 1024;

/// Default size of the kernel's connection table. It is larger if the selected processes have more descriptors. With two
/// CPUs, tables of this size and the rings take less than 40 MiB.
pub const DEFAULT_CONNECTIONS: u32 = 6000;

/// Maximum bytes that are read from one ring before the next ring has its turn; exceeded by at most one record.
pub const DRAIN_TURN_BYTES: usize = 256 * 1024;

/// Maximum depth of the cgroup hierarchy below a mount point that is searched for a container.
pub const MAX_CGROUP_DEPTH: usize = 16;

/// Maximum pending descriptor lookups. Further requests are dropped and counted.
pub const MAX_DESCRIPTOR_LOOKUPS: usize = 4096;

/// Maximum files without a user that keep their probes, because a program that is restarted maps them again.
pub const MAX_UNUSED_FILES: usize = 16;

/// Maximum cached analyses of files. When the cache is full it is cleared, and files are analysed again.
pub const MAX_ANALYSED_FILES: usize = 8192;

/// Default size of a CPU's ring. An nginx worker that sends large files writes some nine million bytes between two drains.
pub const DEFAULT_RING_BYTES: u32 = 16 * 1024 * 1024;

/// Minimum default size of a CPU's ring on hosts with many CPUs.
pub const MIN_DEFAULT_RING_BYTES: u32 = 1024 * 1024;

/// Maximum size of all rings together. Beyond it, further rings have at most [`MIN_DEFAULT_RING_BYTES`].
pub const MAX_RINGS_BYTES: u32 = 256 * 1024 * 1024;

/// Size of each CPU's perf buffer of mmap events; a power of two.
pub const MAPPINGS_BYTES: usize = 64 * 1024;

/// Maximum forked processes whose message is pending. Further ones are traced and not named.
pub const MAX_PENDING_FORKS: usize = 1024;

/// Maximum messages that name forked processes. A last message says that no more follow.
pub const MAX_FORK_MESSAGES: usize = 64;

/// Maximum distinct messages about why a process is not traced. Further ones are counted.
pub const MAX_PROCESS_MESSAGES: usize = 256;

/// Maximum queued batches of process events. When the queue is full, the follower rescans the kernel's TARGETS map.
pub const MAX_EVENT_BATCHES: usize = 256;

/// Maximum files that a program given by `--name` would map and that are analysed before it runs. The others are analysed
/// once it runs.
pub const MAX_EXPECTED_FILES: usize = 256;

/// Maximum entries of `ld.so.cache` that are read.
pub const MAX_CACHED_LIBRARIES: usize = 65_536;

/// Maximum chain of scripts that name each other as interpreters, as in the kernel (`exec_binprm` in `fs/exec.c`).
pub const MAX_SCRIPT_DEPTH: usize = 5;

/// Number of calls that must confirm the taps and lifts of a file before the probes at its calls are detached.
pub(crate) const CHECKED_CALLS: u64 = 100;
