//! Every bound that the programs and the loader rely on.

/// Payload sizes of data records: a reservation in a ring must have a constant size, so a piece takes the smallest of
/// these that holds it, and the largest only when it fills it.
pub const CLASSES: [usize; 5] = [256, 1024, 4096, 16384, 65536];

/// The last of [`CLASSES`].
pub const LARGEST_CLASS: usize = {
    let [.., largest] = CLASSES;
    largest
};

/// Pieces a single call is cut into at the most; the verifier walks every one of them.
pub const MAX_PIECES: u32 = 72;

/// Upper bound of the setting "bytes captured per call"; leaves [`MAX_PIECES`] a few pieces for pages that are not
/// present.
pub const MAX_CALL_BYTES: u64 = 64 * 65536;

/// Bytes captured per call unless the user says otherwise.
pub const DEFAULT_CALL_BYTES: u64 = 1024 * 1024;

/// What a position goes up by where an unknown number of bytes passed. It is more than a direction moves, so that a hole
/// that leads from one such stretch to another is known to have no known length; and there are a million stretches.
pub const STRETCH: u64 = 1 << 44;

/// CPUs that can have a ring.
pub const MAX_CPUS: usize = 1024;

/// Connections whose positions are kept; beyond it a connection is not captured, and that is counted.
pub const MAX_CONNECTIONS: usize = 65536;

/// Calls in flight, in all threads of all traced processes; beyond it a call is not captured, and that is counted.
pub const MAX_CALLS: usize = 16384;

/// Threads within a call whose ciphertext is looked for.
pub const MAX_THREADS: usize = MAX_CALLS;

/// Pieces of ciphertext looked for: a connection has one at the most.
pub const MAX_CIPHERTEXTS: usize = MAX_CONNECTIONS;

/// Sockets of traced connections; beyond it a connection is named, and its socket's end is not noticed.
pub const MAX_SOCKETS: usize = MAX_CONNECTIONS;

/// Sockets of the whole machine whose opening is remembered; the oldest are forgotten.
pub const MAX_OPENED: usize = MAX_CONNECTIONS;

/// Processes traced at once.
pub const MAX_TARGETS: usize = 16384;

/// Short names of programs that are traced wherever they run.
pub const MAX_NAMES: usize = 64;

/// Bytes of a file's name with the zero behind it (`NAME_MAX` in `include/uapi/linux/limits.h`).
pub const FILE_NAME_BYTES: usize = 256;

/// Bytes of a program's path that are read; a path is not longer (`PATH_MAX` in `include/uapi/linux/limits.h`).
pub const PATH_BYTES: usize = 4096;

/// Control groups whose processes are traced.
pub const MAX_CGROUPS: usize = 1024;

/// Bytes of the ring that tells of processes, and of the ends of connections and sockets: apart from the others, so that
/// traffic cannot fill it. A hundred thousand ends a second are some 17 MB, of which the ring holds sixty milliseconds.
pub const LIFECYCLE_RING_BYTES: usize = 1024 * 1024;

/// Probe sites configured and counted at once.
pub const MAX_SITES: usize = 4096;

const _: () = assert!(MAX_CALL_BYTES < MAX_PIECES as u64 * LARGEST_CLASS as u64);
const _: () = assert!(DEFAULT_CALL_BYTES <= MAX_CALL_BYTES);
