//! The bounds that the programs and the loader share.

/// Payload sizes of data records: a reservation in a ring must have a constant size, so a piece takes the smallest of
/// these that holds it, and the largest only when it fills it.
pub const CLASSES: [usize; 9] = [256, 512, 1024, 1536, 2048, 4096, 8192, 16384, 65536];

/// The last of [`CLASSES`].
pub const LARGEST_CLASS: usize = {
    let [.., largest] = CLASSES;
    largest
};

/// Maximum pieces of a call; the verifier walks every one of them.
pub const MAX_PIECES: u32 = 72;

/// Upper bound of the setting "bytes captured per call"; leaves [`MAX_PIECES`] a few pieces for pages that are not
/// present.
pub const MAX_CALL_BYTES: u64 = 64 * 65536;

/// Bytes captured per call unless the user says otherwise.
pub const DEFAULT_CALL_BYTES: u64 = 1024 * 1024;

/// Maximum plaintext of a TLS record (RFC 8446 section 5.1).
pub const RECORD_BYTES: u64 = 16384;

/// Maximum bytes of one hit of a tap or a lift: OpenSSL encrypts up to eight records at once.
pub const MAX_HIT_BYTES: u64 = 8 * RECORD_BYTES;

/// Maximum bytes of one hit of a tap at a write: Go hands over all that it was given, and cuts it into records behind the tap.
pub const MAX_WRITE_BYTES: u64 = 1 << 40;

/// Maximum pieces that the bytes of one hit of a tap are taken from; what further ones hold is counted as not readable. hyper
/// writes up to 64 at once.
pub const MAX_TAP_PIECES: u64 = 64;

/// Writes in a row after which a lift is refused if its byte counts never agreed with those of the calls. The first few may
/// differ: a call that began before its connection was known ends later.
pub const MAX_DOUBTS: u8 = 8;

/// New records in a row without a frame after which a lift is refused. Alerts have no frame, and a connection sends one or
/// two.
pub const MAX_STRAYS: u8 = 3;

/// Bytes of the window of a site's operands: on the stack of a program, where more would be too many.
pub const WINDOW_BYTES: usize = 48;

/// Maximum words of the stack that are searched for the frame of a lift.
pub const MAX_FRAME_WORDS: u64 = 400;

/// How far a position advances where an unknown number of bytes passed. A direction never moves as many, so a gap that leads
/// from one such stretch to another has an unknown length; and there are a million stretches.
pub const STRETCH: u64 = 1 << 44;

/// Maximum CPUs with a ring.
pub const MAX_CPUS: usize = 1024;

/// Maximum wrappers between a `tls.Conn` of Go and its TCP connection.
pub const MAX_WRAPPERS: u32 = 8;

/// Maximum connections. When the table is full, calls of others are counted and not captured.
pub const MAX_CONNECTIONS: usize = 65536;

/// How many bytes of a direction pass until it is looked up whether more of them are skipped: a call, or a hit of a tap or a lift,
/// that reaches a multiple of them looks it up.
pub const LOOKED_UP_BYTES: u64 = 2048;

/// Bytes that are skipped before a record says so, unless the skipped bytes end.
pub const SKIPPED_BYTES: u64 = 1024 * 1024;

/// Bytes that a connection moves in one direction, in large calls, before the reader is woken: it may announce that the bytes
/// that follow are skipped. It is woken again each time that they have doubled.
pub const WAKING_BYTES: u64 = 64 * 1024;

/// Maximum calls in flight, in all threads of all traced processes. When the table is full, calls are counted and not
/// captured.
pub const MAX_CALLS: usize = 16384;

/// Maximum threads in a call whose ciphertext is matched.
pub const MAX_THREADS: usize = MAX_CALLS;

/// Maximum threads in a write of Go whose socket is not known; a full table drops the oldest, whose connection is then known
/// from a later write.
pub const MAX_WRITES: usize = MAX_THREADS;

/// Maximum pieces of ciphertext that wait for their message: a connection has at most one.
pub const MAX_CIPHERTEXTS: usize = MAX_CONNECTIONS;

/// Maximum sockets of traced connections. When the table is full, a connection has addresses, and its socket's end is not
/// reported.
pub const MAX_SOCKETS: usize = MAX_CONNECTIONS;

/// Maximum sockets of the machine whose opening is remembered; a full table drops the oldest.
pub const MAX_OPENED: usize = MAX_CONNECTIONS;

/// Maximum processes traced at once.
pub const MAX_TARGETS: usize = 16384;

/// Maximum names of programs that are traced wherever they run.
pub const MAX_NAMES: usize = 64;

/// Bytes of a file's name with the zero behind it (`NAME_MAX` in `include/uapi/linux/limits.h`).
pub const FILE_NAME_BYTES: usize = 256;

/// Maximum bytes of a program's path (`PATH_MAX` in `include/uapi/linux/limits.h`).
pub const PATH_BYTES: usize = 4096;

/// Maximum control groups whose processes are traced.
pub const MAX_CGROUPS: usize = 1024;

/// Maximum users whose processes are traced.
pub const MAX_UIDS: usize = 64;

/// Maximum ports whose listeners are traced.
pub const MAX_PORTS: usize = 64;

/// Bytes of the ring of processes and of the ends of connections and sockets, which traffic cannot fill. A hundred thousand
/// ends a second are some 17 MB, of which the ring holds sixty milliseconds.
pub const LIFECYCLE_RING_BYTES: usize = 256 * 1024;

/// Maximum sites of probes.
pub const MAX_SITES: usize = 2048;

/// The site of sockets without TLS, where these are captured: the loader adds it before any other.
pub const PLAIN_SITE: u32 = 0;

/// Maximum buffers of one system call that moves bytes of a socket without TLS. What is in further ones is not captured.
pub const MAX_BUFFERS: u32 = 64;

/// How often bytes go another way than those before, on a socket without TLS whose beginning was not seen, until it is left
/// alone as one that does not carry HTTP.
pub const MAX_TURNS: u8 = 8;

const _: () = assert!(MAX_CALL_BYTES < MAX_PIECES as u64 * LARGEST_CLASS as u64);
const _: () = assert!(WAKING_BYTES > LOOKED_UP_BYTES);
const _: () = assert!(DEFAULT_CALL_BYTES <= MAX_CALL_BYTES);
