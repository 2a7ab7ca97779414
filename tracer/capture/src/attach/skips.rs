//! Tells the programs which bytes need not be captured.

use std::{
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aya::{
    Ebpf,
    maps::{HashMap, Map, MapData, MapError},
};
use tracer_ebpf::{AddressKey, SkipState};
use tracer_observe::skip::Skip;

use super::{Error, value::MapValue};

/// The map that holds, for each connection, up to which position its bytes need not be captured. Several handles on it
/// may exist.
pub struct SkipTable {
    map: HashMap<MapData, MapValue<AddressKey>, MapValue<SkipState>>,
    refused: Arc<AtomicU64>,
}

impl SkipTable {
    /// Opens the map of the loaded programs. What it refuses is counted in `refused`.
    pub(super) fn open(ebpf: &Ebpf, refused: Arc<AtomicU64>) -> Result<Self, Error> {
        let Some(Map::HashMap(map)) = ebpf.map("SKIPS") else {
            return Err(Error::Missing("SKIPS"));
        };
        let fd = map.fd().as_fd().try_clone_to_owned();
        let fd = fd.map_err(|source| Error::map("SKIPS")(MapError::IoError(source)))?;
        let map = MapData::from_fd(fd).map_err(Error::map("SKIPS"))?;
        let map = HashMap::try_from(Map::HashMap(map)).map_err(Error::map("SKIPS"))?;
        Ok(Self { map, refused })
    }

    /// Announces bytes that need not be captured. Those that the map has no room for are captured.
    pub fn announce(&mut self, skips: &[Skip]) {
        for Skip { key, until } in skips {
            let state = SkipState {
                generation: key.generation,
                until: *until,
            };
            let key = AddressKey::new(key.ssl, key.tgid);
            if self.map.insert(MapValue(key), MapValue(state), 0).is_err() {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
