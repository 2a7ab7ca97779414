//! What the loader hands to the programs.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::bits::bits;
use crate::{Direction, TargetFlags};

/// Where things are in the structures of the library that a site belongs to: byte offsets, each [`Self::UNKNOWN`] where
/// it is not known.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SiteConfig {
    /// From the method of the crypto library's socket BIOs to its name, which no other method has; 0 where that is not known.
    pub socket_name: i32,
    /// From `SSL*` to the read `BIO*`.
    pub rbio: u16,
    /// From `SSL*` to the write `BIO*`.
    pub wbio: u16,
    /// From `BIO*` to its method table, whose first word is its type.
    pub bio_method: u16,
    /// From `BIO*` to its descriptor.
    pub bio_num: u16,
    /// From `SSL*` to the protocol version, an `int`.
    pub version: u16,
    /// From `SSL*` to the status of early data, an `int`.
    pub early_data: u16,
    /// From `SSL*` to the session.
    pub session: u16,
    /// From the session to the cipher.
    pub session_cipher: u16,
    /// From the cipher to the pointer to its name.
    pub cipher_name: u16,
    /// From `SSL*` to the pointer to the application protocol.
    pub alpn: u16,
    /// From `SSL*` to that protocol's length.
    pub alpn_length: u16,
    /// From `SSL*` to the pointer to the server name.
    pub server_name: u16,
    /// From the session to the pointer to the server name.
    pub session_server_name: u16,
    /// From an object without BIOs to what it reads from: a descriptor, or a pointer for functions of the program's own.
    pub transport: u16,
    /// The site of the lift that writes of the library's connections are reported by; [`Self::UNKNOWN`] for none.
    pub lift: u16,
    /// The first site of the taps that reads are reported by; [`Self::UNKNOWN`] for none.
    pub tap: u16,
    /// The first site of the taps that writes are reported by; [`Self::UNKNOWN`] for none. There is no lift then.
    pub write_tap: u16,
    /// From the table of methods that an object of Go begins with to the method that reads.
    pub net_method: u16,
    /// From what the connection below an object of Go begins with to the descriptor.
    pub net_descriptor: u16,
    /// The flag of an embedded field in its name, in Go's description of a structure.
    pub net_embedded: u16,
    /// Bytes of the call at which a write of Go is tapped, if that leaves its return address on the stack.
    pub net_call: u16,
    /// From the stack pointer at a tap of what is written to the return address of the call that sends it;
    /// [`Self::UNKNOWN`] where no such call is known.
    pub frame: u16,
    /// 1 if several threads may use one object of the library at once, and close it while others use it.
    pub shared: u8,
    /// 1 if the library's connections send within its calls, and all these are seen to end.
    pub sends_within_calls: u8,
    /// 1 if a write that fails for now may be repeated without its bytes.
    pub keeps_refused: u8,
    /// Of which directions the calls of the library are probed in every process, beside its taps and lifts: bits of
    /// [`TargetFlags`].
    pub calls: u8,
    /// Of a goroutine's call: how many bytes below the base of the thread's `fs` the address of the goroutine is; 0 if it is in a
    /// register.
    pub goroutine_below: u8,
    /// Zero.
    pub reserved: [u8; 3],
}

impl SiteConfig {
    /// An offset that is not known.
    pub const UNKNOWN: u16 = u16::MAX;

    /// Nothing known.
    pub const NONE: Self = Self {
        socket_name: 0,
        rbio: Self::UNKNOWN,
        wbio: Self::UNKNOWN,
        bio_method: Self::UNKNOWN,
        bio_num: Self::UNKNOWN,
        version: Self::UNKNOWN,
        early_data: Self::UNKNOWN,
        session: Self::UNKNOWN,
        session_cipher: Self::UNKNOWN,
        cipher_name: Self::UNKNOWN,
        alpn: Self::UNKNOWN,
        alpn_length: Self::UNKNOWN,
        server_name: Self::UNKNOWN,
        session_server_name: Self::UNKNOWN,
        transport: Self::UNKNOWN,
        lift: Self::UNKNOWN,
        tap: Self::UNKNOWN,
        write_tap: Self::UNKNOWN,
        net_method: Self::UNKNOWN,
        net_descriptor: Self::UNKNOWN,
        net_embedded: Self::UNKNOWN,
        net_call: Self::UNKNOWN,
        frame: Self::UNKNOWN,
        shared: 0,
        sends_within_calls: 0,
        keeps_refused: 0,
        calls: 0,
        goroutine_below: 0,
        reserved: [0; 3],
    };

    /// Returns the site of the tap or the lift that reports a direction; `None` if there is none.
    pub const fn cheap_site(&self, direction: Direction) -> Option<u32> {
        let site = match direction {
            Direction::READ => self.tap,
            _ if self.lift == Self::UNKNOWN => self.write_tap,
            _ => self.lift,
        };
        if site == Self::UNKNOWN { None } else { Some(site as u32) }
    }

    /// Returns whether the calls of a direction are probed in every process.
    pub const fn has_calls(&self, direction: Direction) -> bool {
        TargetFlags(self.calls as u32).has_calls(direction)
    }

    /// Returns whether the way from `SSL*` to the descriptor is known.
    pub const fn knows_descriptor(&self) -> bool {
        self.socket_name != 0
            && self.rbio != Self::UNKNOWN
            && self.bio_method != Self::UNKNOWN
            && self.bio_num != Self::UNKNOWN
    }
}

/// The user's settings, for all sites; a global of the BPF object.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Settings {
    /// Bytes captured per call, at most [`crate::MAX_CALL_BYTES`].
    pub call_bytes: u64,
    /// What is traced and reported.
    pub flags: SettingFlags,
    /// The tracer's own process, which is never traced.
    pub own_tgid: u32,
}

/// What is traced and reported, as bits.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct SettingFlags(pub u32);

impl SettingFlags {
    /// Every process that hits a probe is traced.
    pub const ALL: Self = Self(1);
    /// Handshakes and sockets are reported; only connections that are listed need them.
    pub const CONNECTIONS: Self = Self(1 << 1);
    /// Forked processes are not traced with their parents.
    pub const ALONE: Self = Self(1 << 2);
    /// The kernel describes its structures: ciphertext of a process that begins a program is matched until the loader has
    /// examined it.
    pub const CIPHERTEXT: Self = Self(1 << 3);
    /// Processes are traced by their users. Without it, a process that is not traced pays for no look at its own.
    pub const USERS: Self = Self(1 << 4);
    /// Lifts are where every socket sends, and not only those of TCP (Linux 6.3).
    pub const ALL_SENDS: Self = Self(1 << 5);
    /// Processes are traced by the ports that they listen on.
    pub const PORTS: Self = Self(1 << 6);
    /// HTTP without TLS is captured, if the kernel can.
    pub const PLAIN: Self = Self(1 << 7);
}

/// What a short name in the table of names stands for, as bits.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct NameKind(pub u32);

impl NameKind {
    /// The whole name of a program.
    pub const WHOLE: Self = Self(1);
    /// The beginning of longer names, which the kernel truncates: the name of the program's file decides.
    pub const CUT: Self = Self(1 << 1);
}

bits!(SettingFlags, NameKind);

/// Byte offsets in the running kernel's structures, from its BTF; a global of the BPF object.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct KernelOffsets {
    /// `linux_binprm.filename`.
    pub binprm_filename: u32,
    /// `task_struct.files`.
    pub task_files: u32,
    /// `files_struct.fdt`.
    pub files_fdt: u32,
    /// `fdtable.max_fds`.
    pub fdt_max_fds: u32,
    /// `fdtable.fd`.
    pub fdt_fd: u32,
    /// `file.private_data`.
    pub file_private_data: u32,
    /// `file.f_inode`.
    pub file_inode: u32,
    /// `inode.i_mode`.
    pub inode_mode: u32,
    /// `inode.i_ino`.
    pub inode_ino: u32,
    /// `socket.sk`.
    pub socket_sk: u32,
    /// `sock_common.skc_family`.
    pub sock_family: u32,
    /// `sock_common.skc_num`: the local port, in host order.
    pub sock_num: u32,
    /// `sock_common.skc_dport`: the peer's port, in network order.
    pub sock_dport: u32,
    /// `sock_common.skc_rcv_saddr`.
    pub sock_saddr: u32,
    /// `sock_common.skc_daddr`.
    pub sock_daddr: u32,
    /// `sock_common.skc_v6_rcv_saddr`.
    pub sock_saddr6: u32,
    /// `sock_common.skc_v6_daddr`.
    pub sock_daddr6: u32,
    /// `task_struct.pid`.
    pub task_pid: u32,
    /// `task_struct.tgid`.
    pub task_tgid: u32,
    /// `task_struct.thread.fsbase`.
    pub task_fsbase: u32,
    /// `task_struct.signal`.
    pub task_signal: u32,
    /// `signal_struct.live`: how many threads have not ended.
    pub signal_live: u32,
    /// `sock_common.skc_net`: a pointer to the network namespace.
    pub sock_net: u32,
    /// `net.ns.inum`.
    pub net_inum: u32,
    /// `sock.sk_protocol`.
    pub sock_protocol: u32,
    /// `sock.sk_type`.
    pub sock_type: u32,
    /// `sock_common.skc_state`.
    pub sock_state: u32,
    /// `sock.sk_socket`.
    pub sock_socket: u32,
    /// `sock.sk_err`.
    pub sock_err: u32,
    /// `inet_sock.inet_sport`: the local port, in network order; it outlives `skc_num`.
    pub inet_sport: u32,
    /// `inet_connection_sock.icsk_ulp_ops`: a protocol above TCP in the kernel, such as TLS.
    pub icsk_ulp: u32,
    /// `socket_alloc.vfs_inode`: from a `struct socket` to its inode.
    pub socket_inode: u32,
    /// `unix_sock.addr`.
    pub unix_addr: u32,
    /// `unix_sock.peer`.
    pub unix_peer: u32,
    /// `unix_address.len`: the bytes of the name, its family included.
    pub unix_address_len: u32,
    /// `unix_address.name`: a `sockaddr_un`.
    pub unix_address_name: u32,
    /// `msghdr.msg_iter`.
    pub msg_iter: u32,
    /// `iov_iter.iter_type`.
    pub iter_type: u32,
    /// `iov_iter.iov_offset`.
    pub iter_offset: u32,
    /// `iov_iter.count`: the bytes that are left.
    pub iter_count: u32,
    /// `iov_iter.__iov`, before Linux 6.4 `iov`.
    pub iter_iov: u32,
    /// `iov_iter.ubuf`.
    pub iter_ubuf: u32,
    /// `iov_iter.nr_segs`.
    pub iter_segments: u32,
    /// `tcp_sock.srtt_us`: eight times the smoothed round-trip time.
    pub tcp_srtt: u32,
    /// `tcp_sock.total_retrans`.
    pub tcp_retransmits: u32,
    /// `tcp_sock.bytes_received`.
    pub tcp_received: u32,
    /// `tcp_sock.bytes_acked`.
    pub tcp_acknowledged: u32,
    /// `tcp_sock.copied_seq`: behind the last byte that the process has read.
    pub tcp_read: u32,
    /// `tcp_sock.rcv_nxt`: behind the last byte received.
    pub tcp_expected: u32,
    /// `tcp_sock.write_seq`: behind the last byte that the process has written.
    pub tcp_written: u32,
    /// `tcp_sock.snd_una`: behind the last byte that the peer has acknowledged.
    pub tcp_unacknowledged: u32,
    /// The value of `ITER_UBUF` (Linux 6.0) in `enum iter_type`.
    pub iter_is_ubuf: u32,
    /// The value of `ITER_IOVEC` in `enum iter_type`.
    pub iter_is_iovec: u32,
}

impl KernelOffsets {
    /// Marks an offset that the kernel's BTF does not describe.
    pub const UNKNOWN: u32 = u32::MAX;

    /// Nothing known: the kernel has no BTF.
    pub const NONE: Self = zerocopy::transmute!([Self::UNKNOWN; size_of::<Self>() / size_of::<u32>()]);
}

const _: () = assert!(size_of::<SiteConfig>() == 56);
const _: () = assert!(size_of::<Settings>() == 16);
const _: () = assert!(size_of::<KernelOffsets>() == 212);
