//! Virtual addresses, file offsets, and the one conversion between them.
//!
//! The kernel places a probe by file offset, and symbols speak of addresses. Only program headers relate the two:
//! section headers may be absent. An address that no segment takes from the file has no offset.

use std::fmt;

/// Is an address as the image states it, before the loader moves the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vaddr(pub u64);

/// Is a distance from the first byte of the image's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileOffset(pub u64);

impl Vaddr {
    /// Returns the address `bytes` further on, if there is one.
    #[must_use]
    pub fn checked_add(self, bytes: u64) -> Option<Self> {
        self.0.checked_add(bytes).map(Self)
    }
}

impl FileOffset {
    /// Returns the offset `bytes` further on, if there is one.
    #[must_use]
    pub fn checked_add(self, bytes: u64) -> Option<Self> {
        self.0.checked_add(bytes).map(Self)
    }
}

impl fmt::Display for Vaddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for FileOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// What a segment is mapped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The segment is mapped executable.
    Code,
    /// The segment is not.
    Data,
}

/// Describes one loadable segment (`PT_LOAD`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it is mapped.
    pub address: Vaddr,
    /// Where its bytes begin in the file.
    pub offset: FileOffset,
    /// How many bytes come from the file; the rest of the mapping is zero.
    pub file_size: u64,
    /// Whether it holds code.
    pub access: Access,
}

impl Segment {
    fn offset_of(&self, address: Vaddr) -> Option<FileOffset> {
        let within = address.0.checked_sub(self.address.0)?;
        if within < self.file_size {
            self.offset.checked_add(within)
        } else {
            None
        }
    }

    fn address_of(&self, offset: FileOffset) -> Option<Vaddr> {
        let within = offset.0.checked_sub(self.offset.0)?;
        if within < self.file_size {
            self.address.checked_add(within)
        } else {
            None
        }
    }
}

/// Holds the loadable segments of one image, in the order of its program headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments(Vec<Segment>);

impl Segments {
    /// Takes the segments in the order of the program headers.
    #[must_use]
    pub const fn new(segments: Vec<Segment>) -> Self {
        Self(segments)
    }

    /// Iterates over the segments.
    pub fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.0.iter()
    }

    /// Translates an address to a file offset.
    #[must_use]
    pub fn offset_of(&self, address: Vaddr) -> Option<FileOffset> {
        self.0.iter().find_map(|segment| segment.offset_of(address))
    }

    /// Translates a file offset to an address.
    #[must_use]
    pub fn address_of(&self, offset: FileOffset) -> Option<Vaddr> {
        self.0.iter().find_map(|segment| segment.address_of(offset))
    }

    /// Returns the segment that takes an address from the file.
    #[must_use]
    pub fn containing(&self, address: Vaddr) -> Option<&Segment> {
        self.0.iter().find(|segment| segment.offset_of(address).is_some())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn two_segments() -> Segments {
        let segment = |address, offset, access| Segment {
            address: Vaddr(address),
            offset: FileOffset(offset),
            file_size: 0x100,
            access,
        };
        Segments::new(vec![
            segment(0x40_0000, 0, Access::Data),
            segment(0x40_1000, 0x1000, Access::Code),
        ])
    }

    #[test]
    fn an_address_is_translated_by_the_segment_that_holds_it() {
        assert_eq!(two_segments().offset_of(Vaddr(0x40_1010)), Some(FileOffset(0x1010)));
    }

    #[test]
    fn an_address_past_the_bytes_of_the_file_has_no_offset() {
        assert_eq!(two_segments().offset_of(Vaddr(0x40_00ff)), Some(FileOffset(0xff)));
        assert_eq!(two_segments().offset_of(Vaddr(0x40_0100)), None);
    }

    #[test]
    fn a_segment_at_the_end_of_the_address_space_does_not_wrap() {
        let last = Segment {
            address: Vaddr(u64::MAX - 1),
            offset: FileOffset(u64::MAX - 1),
            file_size: u64::MAX,
            access: Access::Code,
        };
        assert_eq!(last.offset_of(Vaddr(u64::MAX)), Some(FileOffset(u64::MAX)));
        assert_eq!(last.offset_of(Vaddr(0)), None);
        assert_eq!(last.address_of(FileOffset(0)), None);
    }

    proptest! {
        #[test]
        fn every_offset_that_is_mapped_comes_back(offset in 0_u64..0x2000) {
            let segments = two_segments();
            if let Some(address) = segments.address_of(FileOffset(offset)) {
                prop_assert_eq!(segments.offset_of(address), Some(FileOffset(offset)));
            }
        }
    }
}
