//! One file per kind of thing that crosses the boundary.

mod bits;
mod limits;
mod kind;
mod role;
mod record;
mod operand;
mod config;
mod cookie;
mod counter;
mod ciphertext;
mod flow;
mod state;

pub use ciphertext::{CIPHERTEXT_BYTES, CiphertextKey, may_hold};
pub use config::{KernelOffsets, NameKind, SettingFlags, Settings, SiteConfig};
pub use cookie::{CallEnd, Cookie};
pub use counter::{KernelCounters, SiteCounters};
pub use flow::{
    AddressKey, ConnectionState, EarlyState, Flow, FlowKey, FlushState, Handshake, Hooks, Identity, Lift, LiftState,
    Owner,
};
pub use kind::{AddressSource, Carrier, Change, Direction, HooksRefused, Kind, PassedCause, RecordFlags, SocketEnd};
pub use limits::{
    CLASSES, DEFAULT_CALL_BYTES, FILE_NAME_BYTES, LARGEST_CLASS, LIFECYCLE_RING_BYTES, LOOKED_UP_BYTES, MAX_BUFFERS,
    MAX_CALL_BYTES, MAX_CALLS, MAX_CGROUPS, MAX_CIPHERTEXTS, MAX_CONNECTIONS, MAX_CPUS, MAX_DOUBTS, MAX_FRAME_WORDS,
    MAX_HIT_BYTES, MAX_NAMES, MAX_OPENED, MAX_PIECES, MAX_PORTS, MAX_SITES, MAX_SOCKETS, MAX_STRAYS, MAX_TAP_PIECES,
    MAX_TARGETS, MAX_THREADS, MAX_TURNS, MAX_UIDS, MAX_WRAPPERS, MAX_WRITE_BYTES, MAX_WRITES, PATH_BYTES, PLAIN_SITE,
    RECORD_BYTES, SKIPPED_BYTES, STRETCH, WAKING_BYTES, WINDOW_BYTES,
};
pub use operand::{Guard, Operand, Piece, Pieces, Place, SiteOperands, Success, Width};
pub use record::{
    ConnectionRecord, DataRecord, EndRecord, HooksRecord, PassedRecord, ProcessRecord, RecordHeader, SocketRecord,
    TlsRecord, UNIX_PATH, behind_unknown, max_record_size,
};
pub use role::Role;
pub use state::{
    CHANGES_BY_LOADER, CHANGES_BY_PROGRAMS, CallState, PlainState, ProcessState, SkipState, SocketState, TargetFlags,
    TargetState, ThreadState, Transfer, WriteState,
};
