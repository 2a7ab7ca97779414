//! Where a connection of Go keeps what is read of it.
//!
//! `crypto/tls.Conn` begins with the connection below it, a `net.Conn`: a table of methods and a pointer. The table says
//! whether the pointer is a `*net.TCPConn`: its entry for `Read`, the third of `net.Conn` in the order of their names
//! (`src/internal/abi/iface.go`, `ITab.Fun`), is `net.(*TCPConn).Read`. That begins with a pointer to `net.netFD`, and that
//! with `internal/poll.FD`, whose descriptor comes behind its lock (`src/net/fd_posix.go`, `src/internal/poll/fd_unix.go`).
//! These places are the same in go1.15 to go1.27.
//!
//! A connection may embed another one. The description of its structure says so since go1.19: the name of an embedded field
//! begins with a byte with the flag 8 (`src/internal/abi/type.go`, `Name`, go1.27.3; `src/runtime/type.go`, `isEmbedded`,
//! go1.19). Before that the flag was beside the offset of the field.

use super::buildinfo::Build;
use crate::elf::address::Vaddr;
use crate::elf::machine::Machine;
use crate::libraries::layout::{Facts, NetConn};

/// Returns how the descriptor is found, in the versions that were examined.
pub(super) fn net_conn(build: &Build, machine: Machine, read: Option<Vaddr>) -> Option<NetConn> {
    let (major, minor, _) = build.numbers()?;
    let is_known = major == 1 && (15..=27).contains(&minor);
    let read = read.filter(|_| is_known)?;
    Some(NetConn {
        read,
        method: METHODS + 2 * 8,
        descriptor: DESCRIPTOR,
        embedded: (minor >= 19).then_some(EMBEDDED),
        call: match machine {
            Machine::X86_64 if build.has_register_arguments(machine) == Some(true) => Some(NEAR_CALL),
            Machine::X86_64 | Machine::Aarch64 => None,
        },
    })
}

/// Returns where a connection keeps what was negotiated: `vers`, `clientProtocol` (`src/crypto/tls/conn.go` of the
/// versions, and their debugging information; of Go 1.16, the code of `Write` and `connectionStateLocked` in go1.16.3).
pub(super) fn facts(build: &Build) -> Facts {
    let known = match build.numbers() {
        Some((1, 15 | 16 | 19, _)) => Some((64, 328)),
        Some((1, 21 | 22, _)) => Some((72, 360)),
        Some((1, 23, _)) => Some((72, 368)),
        Some((1, 25 | 26, _)) => Some((72, 352)),
        Some((1, 27, _)) => Some((72, 376)),
        _ => None,
    };
    Facts {
        version: known.map(|(version, _)| version),
        alpn: known.map(|(_, protocol)| protocol),
        alpn_length: known.map(|(_, protocol)| protocol + 8),
        ..Facts::default()
    }
}

/// From a table of methods to the first one.
const METHODS: u16 = 24;
/// From a `netFD` to its descriptor.
const DESCRIPTOR: u16 = 16;
/// The flag of an embedded field.
const EMBEDDED: u16 = 1 << 3;
/// Bytes of the only call that a tap is placed at on x86-64 (Intel SDM, volume 2, CALL, opcode E8).
const NEAR_CALL: u16 = 5;
