//! A BPF ring buffer that is read in place.
//!
//! aya's reader does not show the positions of producer and consumer, which are needed to know until when a batch is
//! complete. The layout is the kernel's (`kernel/bpf/ringbuf.c`, v6.18): a page with the consumer's position, a page with
//! the producer's, the data. libbpf and aya map the data twice in a row, so that no record wraps. Here it is mapped once,
//! because mapped pages count as resident memory, and a record that wraps is returned in two parts.
//!
//! Minimum kernel version: 5.8.

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

/// Size of a record's header in bytes.
const HEADER: u64 = BPF_RINGBUF_HDR_SZ as u64;

/// A ring buffer, with its pages mapped. It must have one reader only, so reading takes `&mut`.
#[derive(Debug)]
pub struct Ring {
    map: MapData,
    consumer: Pages,
    producer: Pages,
    /// The data; absent until [`Self::map_data`].
    data: Option<Pages>,
    bytes: u64,
    /// The consumer's position.
    consumed: u64,
}

impl Ring {
    /// Creates a ring of `bytes` bytes: a power of two, and whole pages.
    pub(super) fn make(bytes: u32) -> Result<Self, MapError> {
        let kind = bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32;
        let definition = aya_obj::Map::new_from_params(kind, 0, 0, bytes, 0);
        Self::over(MapData::create(definition, "ring", None)?, bytes).map_err(|source| MapError::IoError(source.into()))
    }

    /// Wraps an existing ring of `bytes` bytes. It yields no records before [`map_data`](Self::map_data).
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

    /// Maps the data, which counts as resident memory from then on. Rings are created before images are analysed and read
    /// after that; mapping them in between keeps the two peaks apart.
    pub fn map_data(&mut self) -> io::Result<()> {
        if self.data.is_none() {
            let bytes = usize::try_from(self.bytes).map_err(|_overflow| io::Errno::OVERFLOW)?;
            let offset = page_size().saturating_mul(2);
            self.data = Some(Pages::map(self.map.fd().as_fd(), offset, bytes, ProtFlags::READ)?);
        }
        Ok(())
    }

    /// Returns the producer's position: bytes since the ring was created.
    pub fn produced(&self) -> u64 {
        // Pairs with the release store of `__bpf_ringbuf_reserve`: the headers of all earlier records are visible.
        self.producer.position().load(Ordering::Acquire)
    }

    /// Returns the consumer's position: bytes since the ring was created.
    pub const fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Returns the size of the data in bytes.
    pub const fn capacity(&self) -> u64 {
        self.bytes
    }

    /// Passes the next committed record that begins before the position `end` to `read`, and consumes it. A record that
    /// wraps has two parts; the second part of others is empty. Returns false if there is none, or if the next record is
    /// not committed yet.
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

    /// Returns the map, to be inserted where the programs find it.
    pub(super) const fn map(&self) -> &MapData {
        &self.map
    }

    /// Returns `length` bytes from the position `start`, in two parts if they wrap; `None` if the ring is smaller.
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

    /// Reads the header of the record at a position: its length, and the flags busy and discarded.
    fn header(&self, position: u64) -> Option<u32> {
        let offset = position & (self.bytes - 1);
        let place = self.data.as_ref()?.slice(offset, HEADER)?.as_ptr();
        // SAFETY: the slice proves that eight bytes are mapped there for as long as `self` lives, and positions of
        // records are multiples of eight, so the word is aligned. The kernel writes it with an atomic exchange, and this
        // side only loads it. The slice is not read, so no reference to plain memory aliases the atomic.
        let header = unsafe { AtomicU32::from_ptr(place.cast_mut().cast()) };
        // Pairs with the exchange of `bpf_ringbuf_commit`: the record is visible if the busy bit is clear.
        Some(header.load(Ordering::Acquire))
    }

    /// Frees the bytes before a position for the kernel.
    fn consume(&mut self, position: u64) {
        self.consumed = position;
        // Pairs with the load in `__bpf_ringbuf_reserve`: the record has been read before its bytes are reused.
        self.consumer.position().store(position, Ordering::Release);
    }
}

/// Readable when a program submits a record with a wakeup.
impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.fd().as_fd()
    }
}

/// A mapping of a ring's pages, unmapped on drop.
#[derive(Debug)]
struct Pages {
    start: NonNull<u8>,
    bytes: usize,
}

impl Pages {
    fn map(fd: BorrowedFd<'_>, offset: usize, bytes: usize, access: ProtFlags) -> io::Result<Self> {
        let offset = u64::try_from(offset).map_err(|_overflow| io::Errno::OVERFLOW)?;
        // SAFETY: the kernel chooses the address, so no existing mapping is replaced and no reference into it exists.
        let start = unsafe { mmap(ptr::null_mut(), bytes, access, MapFlags::SHARED, fd, offset) }?;
        let start = NonNull::new(start.cast()).ok_or(io::Errno::NOMEM)?;
        Ok(Self { start, bytes })
    }

    /// Returns the position at the beginning of the page.
    const fn position(&self) -> &AtomicU64 {
        // SAFETY: the mapping is page-aligned, at least a page, and lives as long as `self`, which the reference borrows.
        // Both sides use only atomic operations: the kernel `smp_load_acquire` and `smp_store_release` of an `unsigned
        // long`. The producer's page is mapped read-only, and its position is only loaded.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().cast()) }
    }

    /// Returns the bytes at an offset; `None` beyond the mapping.
    fn slice(&self, offset: u64, length: u64) -> Option<&[u8]> {
        let (offset, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
        if offset.checked_add(length)? > self.bytes {
            return None;
        }
        // SAFETY: `offset + length` is at most the size of the mapping, so the result is in bounds.
        let start = unsafe { self.start.as_ptr().add(offset) };
        // SAFETY: `length` bytes from there are within the mapping, which lives as long as `self`. The slice is read only
        // for a committed record: no program writes to it any more, and the kernel reuses its bytes only after `consume`,
        // which takes `&mut self` and so ends the borrow. Of a header only the address is used.
        Some(unsafe { slice::from_raw_parts(start, length) })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: `self` owns the mapping, and every reference into it borrows from `self`. Unmapping a whole mapping
        // cannot fail.
        let _unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

// SAFETY: a mapping belongs to the process and not to a thread, and the pointer is not shared outside of this value.
unsafe impl Send for Pages {}
