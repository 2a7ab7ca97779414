//! The dynamic table (RFC 7541 section 2.3.2), as far as its entries were seen.
//!
//! An index counts from the newest entry, and the oldest entry is evicted first. So entries that are kept here for longer
//! than the encoder keeps them are behind all that the encoder has: a valid encoder never refers to them, and they shift no
//! index. That is why the limit of the encoder need not be known, nor the size of a name that was not seen. Over the limit
//! given here, the oldest entries are forgotten, as if they had not been seen.

use std::collections::VecDeque;

use super::static_table;

/// The size of an entry besides its octets (RFC 7541 section 4.1). Its memory is less.
const OVERHEAD: usize = 32;
const _: () = assert!(size_of::<Entry>() <= OVERHEAD / 2, "max_held_bytes counts on it");

/// Inserted entries, the newest first, and their octets, the newest last.
pub(super) struct Table {
    entries: VecDeque<Entry>,
    octets: Vec<u8>,
    /// Position of the first held octet. Positions wrap around; held octets are never that far apart.
    origin: u32,
    /// The size of the entries, as far as it is known.
    size: usize,
    /// The encoder's limit, if it is known.
    limit: Option<u32>,
    max_bytes: usize,
}

/// An entry. Its octets are those of its name, if they are stored with it, and then those of its value.
#[derive(Clone, Copy)]
struct Entry {
    position: u32,
    name: Name,
    value: u32,
}

/// The name of an entry.
#[derive(Clone, Copy)]
enum Name {
    /// Not seen.
    Unknown,
    /// That of an entry of the static table.
    Static(u8),
    /// Stored with the entry, before the value: the number of its octets.
    Own(u32),
}

/// The name of an entry to be inserted.
#[derive(Clone, Copy)]
pub(super) enum NewName<'a> {
    /// A literal.
    Literal(&'a [u8]),
    /// The name of the entry with this index, of the static table or of this one.
    Of(u32),
}

impl Table {
    /// The greatest size: positions of 32 bits must distinguish twice as many octets.
    const MAX_BYTES: usize = 1 << 30;

    pub(super) fn new(max_bytes: usize, limit: Option<u32>) -> Self {
        Self {
            entries: VecDeque::new(),
            octets: Vec::new(),
            origin: 0,
            size: 0,
            limit,
            max_bytes: max_bytes.min(Self::MAX_BYTES),
        }
    }

    /// Returns the most memory that a table of a size takes, in bytes: its octets twice, since they are moved only when half of
    /// them are dead, and its entries.
    pub(super) const fn max_held_bytes(max_bytes: usize) -> usize {
        let max_bytes = if max_bytes < Self::MAX_BYTES {
            max_bytes
        } else {
            Self::MAX_BYTES
        };
        2 * max_bytes + Self::max_entries(max_bytes) * size_of::<Entry>()
    }

    /// Returns the memory in use, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.octets.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the name and the value of the entry with this index, as far as they were seen.
    #[inline]
    pub(super) fn get(&self, index: u32) -> (Option<&[u8]>, Option<&[u8]>) {
        if let Some((name, value)) = static_table::get(index) {
            return (Some(name), Some(value));
        }
        let Some(entry) = self.entry(index) else {
            return (None, None);
        };
        let octets = self.octets.get(self.offset(entry)..).unwrap_or_default();
        let (own, rest) = octets.split_at_checked(entry.own() as usize).unwrap_or_default();
        let name = match entry.name {
            Name::Unknown => None,
            Name::Static(index) => static_table::get(index.into()).map(|(name, _)| name),
            Name::Own(_) => Some(own),
        };
        (name, rest.get(..entry.value as usize))
    }

    /// Inserts an entry (RFC 7541 section 4.4). One that is too large leaves the table empty.
    pub(super) fn insert(&mut self, name: NewName<'_>, value: &[u8]) {
        let kept = match name {
            NewName::Literal(literal) => Name::Own(narrow(literal.len())),
            NewName::Of(index) => self.name_of(index),
        };
        let entry = Entry {
            position: 0,
            name: kept,
            value: narrow(value.len()),
        };
        let size = entry.size();
        if size > self.max_size() {
            self.clear();
            return;
        }
        self.make_room(entry.octets());
        let position = self.origin.wrapping_add(narrow(self.octets.len()));
        match name {
            NewName::Literal(literal) => self.octets.extend_from_slice(literal),
            NewName::Of(index) => self.repeat_name(index),
        }
        self.octets.extend_from_slice(value);
        // This comes last: the name may be that of an entry that is evicted.
        self.evict(self.max_size() - size);
        self.push(Entry { position, ..entry });
        self.size += size;
    }

    /// Sets the encoder's limit (RFC 7541 section 4.3).
    pub(super) fn set_limit(&mut self, limit: u32) {
        self.limit = Some(limit);
        self.evict(self.max_size());
    }

    /// Forgets all entries, and the encoder's limit.
    pub(super) fn forget(&mut self) {
        self.clear();
        self.limit = None;
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.octets.clear();
        self.size = 0;
    }

    /// Forgets the oldest entries until the size of the rest is at most `size`.
    #[inline]
    fn evict(&mut self, size: usize) {
        while self.size > size {
            let Some(oldest) = self.entries.pop_back() else { break };
            self.size = self.size.saturating_sub(oldest.size());
        }
    }

    /// Adds an entry. The capacity doubles as it grows, up to the greatest number of entries.
    fn push(&mut self, entry: Entry) {
        if self.entries.len() == self.entries.capacity() {
            let left = Self::max_entries(self.max_bytes).saturating_sub(self.entries.len());
            self.entries.reserve_exact(self.entries.len().max(8).min(left));
        }
        self.entries.push_front(entry);
    }

    /// Returns the size that is kept: that of the encoder if it is known, up to the limit given here.
    #[inline]
    fn max_size(&self) -> usize {
        self.limit
            .map_or(self.max_bytes, |limit| self.max_bytes.min(limit as usize))
    }

    const fn max_entries(max_bytes: usize) -> usize {
        max_bytes / OVERHEAD
    }

    #[inline]
    fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index.checked_sub(static_table::LENGTH + 1)? as usize)
    }

    #[inline]
    fn offset(&self, entry: &Entry) -> usize {
        entry.position.wrapping_sub(self.origin) as usize
    }

    fn name_of(&self, index: u32) -> Name {
        match u8::try_from(index) {
            Ok(index) if static_table::get(index.into()).is_some() => Name::Static(index),
            _ => self.entry(index).map_or(Name::Unknown, |entry| entry.name),
        }
    }

    /// Appends the octets of the name of an entry.
    fn repeat_name(&mut self, index: u32) {
        if let Some(entry) = self.entry(index) {
            let offset = self.offset(entry);
            let own = entry.own() as usize;
            self.octets.extend_from_within(offset..offset + own);
        }
    }

    /// Makes room for the octets of one more entry. Octets in use are moved only when at least as many are dead, so that this
    /// costs no more than one copy of each octet.
    fn make_room(&mut self, octets: usize) {
        if octets <= self.octets.capacity() - self.octets.len() {
            return;
        }
        let dead = self
            .entries
            .back()
            .map_or(self.octets.len(), |oldest| self.offset(oldest));
        let most = 2 * self.max_bytes;
        if dead >= self.octets.len() - dead || self.octets.len() + octets > most {
            self.octets.drain(..dead);
            self.origin = self.origin.wrapping_add(narrow(dead));
        }
        let wanted = self.octets.len() + octets;
        if wanted > self.octets.capacity() {
            let capacity = wanted.max(self.octets.capacity() * 2).min(most);
            self.octets.reserve_exact(capacity - self.octets.len());
        }
    }
}

impl Entry {
    /// Returns the number of octets of the name that are stored with the entry.
    #[inline]
    fn own(&self) -> u32 {
        match self.name {
            Name::Unknown | Name::Static(_) => 0,
            Name::Own(length) => length,
        }
    }

    fn octets(&self) -> usize {
        (self.own() as usize).saturating_add(self.value as usize)
    }

    /// Returns the size (RFC 7541 section 4.1), without a name that was not seen.
    fn size(&self) -> usize {
        let name = match self.name {
            Name::Static(index) => static_table::get(index.into()).map_or(0, |(name, _)| name.len()),
            Name::Unknown | Name::Own(_) => 0,
        };
        OVERHEAD.saturating_add(name).saturating_add(self.octets())
    }
}

/// Narrows a length; one that does not fit is over any size of a table.
#[inline]
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_wrap_around() {
        let mut table = Table {
            origin: u32::MAX - 1000,
            ..Table::new(400, None)
        };
        for round in 0..100_u8 {
            table.insert(NewName::Literal(b"name"), &[round; 60]);
            table.insert(NewName::Of(62), &[round; 70]);
            assert_eq!(table.get(62), (Some(b"name".as_slice()), Some([round; 70].as_slice())));
            assert_eq!(table.get(63), (Some(b"name".as_slice()), Some([round; 60].as_slice())));
        }
        assert!(table.origin < u32::MAX - 1000, "positions did wrap around");
    }
}
