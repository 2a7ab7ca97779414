//! Reads whole hash maps with `BPF_MAP_LOOKUP_BATCH`, while programs write to them.
//!
//! The kernel walks the map by its buckets, so an entry that stays in the map is returned exactly once. Iteration by
//! `BPF_MAP_GET_NEXT_KEY`, as in aya, starts again at the beginning when the last key was removed in between, and takes two
//! system calls per entry.
//!
//! Minimum kernel version: 5.6.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
};

use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use aya_obj::generated::bpf_cmd::BPF_MAP_LOOKUP_BATCH;
use zerocopy::FromBytes;

use super::Error;

/// Entries per system call, unless a single bucket holds more.
const CHUNK: u32 = 1024;

/// The `batch` member of `union bpf_attr` (`include/uapi/linux/bpf.h`, v6.18).
#[repr(C)]
struct Attributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Passes every entry of a hash map to `each`. Returns the capacity of the map.
pub(super) fn read_named<K: FromBytes, V: FromBytes>(
    ebpf: &Ebpf,
    name: &'static str,
    each: impl FnMut(K, V),
) -> Result<usize, Error> {
    let Some(Map::HashMap(table)) = ebpf.map(name) else {
        return Err(Error::Missing(name));
    };
    read_all(table, each).map_err(|source| Error::Table { name, source })
}

/// Passes every entry of a hash map to `each`. Returns the capacity of the map, or an error if the sizes of `K` and `V`
/// are not those of its keys and values.
fn read_all<K: FromBytes, V: FromBytes>(table: &MapData, each: impl FnMut(K, V)) -> io::Result<usize> {
    let info = table.info().map_err(io::Error::other)?;
    let sizes = (usize::try_from(info.key_size()), usize::try_from(info.value_size()));
    if sizes != (Ok(size_of::<K>()), Ok(size_of::<V>())) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    read_in_chunks(table, CHUNK, each)?;
    Ok(usize::try_from(info.max_entries()).unwrap_or(usize::MAX))
}

fn read_in_chunks<K: FromBytes, V: FromBytes>(
    table: &MapData,
    entries: u32,
    mut each: impl FnMut(K, V),
) -> io::Result<()> {
    let mut chunk = Chunk::new::<K, V>(entries);
    let mut bucket = None;
    loop {
        let (count, next) = match chunk.read(table.fd().as_fd(), bucket)? {
            Step::Read { count, next } => (count, next),
            Step::TooSmall => {
                chunk = Chunk::new::<K, V>(chunk.entries.saturating_mul(2));
                continue;
            }
        };
        let keys = chunk.keys.chunks_exact(size_of::<K>());
        for (key, value) in keys.zip(chunk.values.chunks_exact(size_of::<V>())).take(count) {
            if let (Ok(key), Ok(value)) = (K::read_from_bytes(key), V::read_from_bytes(value)) {
                each(key, value);
            }
        }
        if next.is_none() {
            return Ok(());
        }
        bucket = next;
    }
}

/// Buffers for the entries of one system call.
struct Chunk {
    entries: u32,
    keys: Vec<u8>,
    values: Vec<u8>,
}

/// The result of one system call.
enum Step {
    /// The number of entries in the buffers, and the next bucket; none after the last one.
    Read { count: usize, next: Option<u32> },
    /// The next bucket holds more entries than fit into the buffers.
    TooSmall,
}

impl Chunk {
    fn new<K, V>(entries: u32) -> Self {
        let room = |bytes| usize::try_from(entries).unwrap_or(usize::MAX).saturating_mul(bytes);
        Self {
            entries,
            keys: vec![0; room(size_of::<K>())],
            values: vec![0; room(size_of::<V>())],
        }
    }

    fn read(&mut self, table: BorrowedFd<'_>, mut bucket: Option<u32>) -> io::Result<Step> {
        let mut next = 0_u32;
        let mut attributes = Attributes {
            in_batch: bucket.as_mut().map_or(0, |bucket| address(&raw mut *bucket)),
            out_batch: address(&raw mut next),
            keys: address(self.keys.as_mut_ptr()),
            values: address(self.values.as_mut_ptr()),
            count: self.entries,
            map_fd: table.as_raw_fd().unsigned_abs(),
            elem_flags: 0,
            flags: 0,
        };
        // SAFETY: the kernel reads and writes `attributes`, whose size is passed; reads `bucket`; and writes `next` and up to
        // `count` keys and values. The caller has compared the sizes of keys and values with the map's, and `new` allocated
        // `entries` of each. All of them are local or borrowed by `&mut self` until the call returns, so nothing else reads
        // or writes them meanwhile.
        let result = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_MAP_LOOKUP_BATCH as libc::c_long,
                &raw mut attributes,
                size_of::<Attributes>(),
            )
        };
        let count = usize::try_from(attributes.count).unwrap_or(0);
        if result == 0 {
            return Ok(Step::Read {
                count,
                next: Some(next),
            });
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ENOENT) => Ok(Step::Read { count, next: None }),
            Some(libc::ENOSPC) => Ok(Step::TooSmall),
            _ => Err(error),
        }
    }
}

fn address<T>(of: *mut T) -> u64 {
    u64::try_from(of.expose_provenance()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aya::maps::HashMap;

    use super::*;

    /// Returns the number of keys that were read, and the capacity, of a map with `entries` entries.
    fn read(room: u32, entries: u32) -> (usize, usize) {
        let kind = aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_HASH as u32;
        let definition = aya_obj::Map::new_from_params(kind, 4, 8, room, 0);
        let mut map = Map::HashMap(MapData::create(definition, "batch", None).unwrap());
        let mut table: HashMap<_, u32, u64> = (&mut map).try_into().unwrap();
        for key in 0..entries {
            table.insert(key, u64::from(key) * 3, 0).unwrap();
        }
        let Map::HashMap(data) = &map else {
            panic!("another kind")
        };
        let mut found = BTreeMap::new();
        let room = read_all(data, |key: u32, value: u64| {
            assert_eq!(found.insert(key, value), None, "read twice");
        });
        assert!(found.iter().all(|(key, value)| u64::from(*key) * 3 == *value));
        assert!(read_all(data, |_: u32, _: u32| {}).is_err(), "another type");
        (found.len(), room.unwrap())
    }

    #[test]
    #[ignore = "needs the privilege to make BPF maps: scripts/test runs it"]
    fn every_entry_is_read_once_however_many_there_are() {
        for entries in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, 10_000] {
            assert_eq!(read(10_000, entries), (usize::try_from(entries).unwrap(), 10_000));
        }
    }

    #[test]
    #[ignore = "needs the privilege to make BPF maps: scripts/test runs it"]
    fn a_bucket_with_more_entries_than_the_buffers_is_read_too() {
        let kind = aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_HASH as u32;
        let definition = aya_obj::Map::new_from_params(kind, 4, 8, 4, 0);
        let mut map = Map::HashMap(MapData::create(definition, "batch", None).unwrap());
        let mut table: HashMap<_, u32, u64> = (&mut map).try_into().unwrap();
        for key in 0..4_u32 {
            table.insert(key, 0, 0).unwrap();
        }
        let Map::HashMap(data) = &map else {
            panic!("another kind")
        };
        let mut found = 0;
        read_in_chunks(data, 1, |_: u32, _: u64| found += 1).unwrap();
        assert_eq!(found, 4);
    }
}
