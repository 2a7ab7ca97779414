//! One BPF ring buffer, read in place.
//!
//! In: a map of that type. Out: its records, in the order they were reserved, and how far both sides have come. The
//! layout is the kernel's (`kernel/bpf/ringbuf.c`, v6.18): a page with the consumer's position, a page with the
//! producer's, the data. The data is mapped once and not twice as libbpf and aya do, because mapped pages count as
//! resident memory; a record that wraps comes in two parts. Positions are what aya's reader does not show, and without
//! them nobody can know until when what was read is complete.

use std::{
    os::fd::{AsFd, BorrowedFd},
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use aya::maps::{MapData, MapError};
use aya_obj::generated::{BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT, BPF_RINGBUF_HDR_SZ, bpf_map_type};
use rustix::{
    io,
    mm::{MapFlags, ProtFlags, mmap, munmap},
    param::page_size,
};

/// Bytes of a record's header.
const HEADER: u64 = BPF_RINGBUF_HDR_SZ as u64;

/// A ring buffer and this process's view of it. There is one reader only, which is why reading takes `&mut`.
#[derive(Debug)]
pub struct Ring {
    map: MapData,
    consumer: Pages,
    producer: Pages,
    /// The data, once the reader wants it.
    data: Option<Pages>,
    bytes: u64,
    /// How far it was read.
    consumed: u64,
}

impl Ring {
    /// Makes a ring of so many bytes, a power of two and whole pages.
    pub(super) fn make(bytes: u32) -> Result<Self, MapError> {
        let kind = bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32;
        let definition = aya_obj::Map::new_from_params(kind, 0, 0, bytes, 0);
        Self::over(MapData::create(definition, "ring", None)?, bytes).map_err(|source| MapError::IoError(source.into()))
    }

    /// Takes a ring that exists, of so many bytes. Nothing can be read of it before [`map_data`](Self::map_data).
    pub(super) fn over(map: MapData, bytes: u32) -> io::Result<Self> {
        let page = page_size();
        let fd = map.fd().as_fd();
        let consumer = Pages::map(fd, 0, page, ProtFlags::READ | ProtFlags::WRITE)?;
        let producer = Pages::map(fd, page, page, ProtFlags::READ)?;
        Ok(Self {
            data: None,
            map,
            consumed: consumer.position().load(Ordering::Acquire),
            consumer,
            producer,
            bytes: bytes.into(),
        })
    }

    /// Maps the data, which counts as resident memory from then on: rings are made before images are analysed, which
    /// takes memory too, and read after that.
    pub fn map_data(&mut self) -> io::Result<()> {
        if self.data.is_none() {
            let bytes = usize::try_from(self.bytes).map_err(|_overflow| io::Errno::OVERFLOW)?;
            let offset = page_size().saturating_mul(2);
            self.data = Some(Pages::map(self.map.fd().as_fd(), offset, bytes, ProtFlags::READ)?);
        }
        Ok(())
    }

    /// How far programs have filled it, in bytes since it was made.
    pub fn produced(&self) -> u64 {
        // Pairs with the release store of `__bpf_ringbuf_reserve`: the headers of all records before it are visible.
        self.producer.position().load(Ordering::Acquire)
    }

    /// How far it was read.
    pub const fn consumed(&self) -> u64 {
        self.consumed
    }

    /// How many bytes it holds.
    pub const fn capacity(&self) -> u64 {
        self.bytes
    }

    /// Reads the next record that begins before `end`, in two parts if it wraps; returns whether there was one that is
    /// wholly written.
    pub fn take(&mut self, end: u64, mut read: impl FnMut(&[u8], &[u8])) -> bool {
        while self.consumed < end {
            let Some(header) = self.header(self.consumed) else {
                return false;
            };
            if header & BPF_RINGBUF_BUSY_BIT != 0 {
                return false;
            }
            let length = u64::from(header & !BPF_RINGBUF_DISCARD_BIT);
            let next = self.consumed + (HEADER + length).next_multiple_of(8);
            let record = if header & BPF_RINGBUF_DISCARD_BIT == 0 {
                self.data(self.consumed + HEADER, length)
            } else {
                None
            };
            let found = record.is_some();
            if let Some((first, rest)) = record {
                read(first, rest);
            }
            self.consume(next);
            if found {
                return true;
            }
        }
        false
    }

    /// The map, to be put where programs find it.
    pub(super) const fn map(&self) -> &MapData {
        &self.map
    }

    /// Gives the bytes from `start` on, a position in the ring: in two parts if they wrap. Refuses more than the ring
    /// holds.
    fn data(&self, start: u64, length: u64) -> Option<(&[u8], &[u8])> {
        let offset = start & (self.bytes - 1);
        let first = length.min(self.bytes - offset);
        let rest = length - first;
        if length > self.bytes {
            return None;
        }
        let data = self.data.as_ref()?;
        Some((data.slice(offset, first)?, data.slice(0, rest)?))
    }

    /// Reads the header of the record at a position: its length and what became of it.
    fn header(&self, position: u64) -> Option<u32> {
        let offset = position & (self.bytes - 1);
        let place = self.data.as_ref()?.slice(offset, HEADER)?.as_ptr();
        // SAFETY: the slice proves that eight bytes are mapped there; headers are eight bytes apart at the least, so it
        // is aligned. The kernel writes this word with an atomic exchange, and this side only ever loads it.
        let header = unsafe { AtomicU32::from_ptr(place.cast_mut().cast()) };
        // Pairs with the exchange of `bpf_ringbuf_commit`: what the program wrote before is visible after it.
        Some(header.load(Ordering::Acquire))
    }

    /// Lets the kernel use again what lies before a position.
    fn consume(&mut self, position: u64) {
        self.consumed = position;
        // Pairs with the load in `__bpf_ringbuf_reserve`: the record was read before its room is used again.
        self.consumer.position().store(position, Ordering::Release);
    }
}

/// Readable when a program asked for its reader to be woken.
impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.fd().as_fd()
    }
}

/// Pages of a ring, mapped until this is dropped.
#[derive(Debug)]
struct Pages {
    start: NonNull<u8>,
    bytes: usize,
}

impl Pages {
    fn map(fd: BorrowedFd<'_>, offset: usize, bytes: usize, access: ProtFlags) -> io::Result<Self> {
        let offset = u64::try_from(offset).map_err(|_overflow| io::Errno::OVERFLOW)?;
        // SAFETY: a new mapping at an address of the kernel's choice, to which nothing refers yet.
        let start = unsafe { mmap(ptr::null_mut(), bytes, access, MapFlags::SHARED, fd, offset) }?;
        let start = NonNull::new(start.cast()).ok_or(io::Errno::NOMEM)?;
        Ok(Self { start, bytes })
    }

    /// The position that a ring's first two pages begin with.
    const fn position(&self) -> &AtomicU64 {
        // SAFETY: mapped as long as `self` lives, at least a page, and page-aligned. Both sides use atomic operations
        // alone: the kernel's `smp_load_acquire` and `smp_store_release` of an `unsigned long`. The producer's page is
        // read-only here, and its position is only ever loaded.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().cast()) }
    }

    /// Gives the bytes at an offset; `None` beyond the mapping.
    fn slice(&self, offset: u64, length: u64) -> Option<&[u8]> {
        let (offset, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
        if offset.checked_add(length)? > self.bytes {
            return None;
        }
        // SAFETY: the offset was found to lie within the mapping.
        let start = unsafe { self.start.as_ptr().add(offset) };
        // SAFETY: so were all bytes, which are mapped as long as `self` lives. What is handed out beyond this file are
        // records that were committed: no program writes them any more, and their room is used again only after
        // `consume`, which takes `&mut`. Of a header only its address is used.
        Some(unsafe { slice::from_raw_parts(start, length) })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: this mapping is owned, and every reference into it borrowed from `self`. It cannot fail for a whole
        // mapping, and what would stay mapped does no harm.
        let _unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

// SAFETY: the mapping belongs to the process and not to a thread, and whoever has the value is its only user.
unsafe impl Send for Pages {}
