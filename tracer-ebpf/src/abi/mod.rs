//! One file per kind of thing that crosses the boundary.

mod limits;
mod kind;
mod record;
mod config;
mod counter;
mod state;

pub use config::{Cookie, KernelOffsets, Settings, SiteConfig};
pub use counter::SiteCounters;
pub use kind::{AddressSource, Direction, Kind, RecordFlags, Role};
pub use limits::{
    CLASSES, DEFAULT_CALL_BYTES, LARGEST_CLASS, MAX_CALL_BYTES, MAX_CALLS, MAX_CONNECTIONS, MAX_CPUS, MAX_PIECES,
    MAX_SITES, MAX_TARGETS, max_record_size,
};
pub use record::{ConnectionRecord, DataRecord, EndRecord, RecordHeader};
pub use state::{AddressKey, CallState, ConnectionState};
