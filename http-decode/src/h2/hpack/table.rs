//! The dynamic table (RFC 7541 section 2.3.2), as far as its entries were seen.
//!
//! In: insertions, and the limit once it is known. Out: the k-th newest entry. Refuses to hold more than it was allowed:
//! then the oldest entries are forgotten, as if they had never been seen.
//!
//! An index counts from the newest entry, and a table loses its oldest first. So whatever is kept here beyond what the
//! encoder still has lies behind all that it has, where a valid encoder never points, and moves no index. That is why
//! the limit need not be known, nor the size of a name that was not seen.

use std::collections::VecDeque;

use super::static_table;

/// What an entry counts for besides its octets (RFC 7541 section 4.1). The memory for one is less.
const OVERHEAD: usize = 32;
const _: () = assert!(size_of::<Entry>() <= OVERHEAD / 2, "max_held_bytes counts on it");

/// Entries that were inserted, the newest first, and their octets, the newest last.
pub(super) struct Table {
    entries: VecDeque<Entry>,
    octets: Vec<u8>,
    /// Position of the first octet held. Positions wrap around; no two octets held are that far apart.
    origin: u32,
    /// The entries' sizes, as far as they are known.
    size: usize,
    /// The encoder's limit, unless it is not known.
    limit: Option<u32>,
    max_bytes: usize,
}

/// One entry. Its octets are those of its name, where it has any of its own, and then those of its value.
#[derive(Clone, Copy)]
struct Entry {
    position: u32,
    name: Name,
    value: u32,
}

/// An entry's name.
#[derive(Clone, Copy)]
enum Name {
    /// Not seen.
    Unknown,
    /// That of a static entry.
    Static(u8),
    /// So many octets before the value's.
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
    /// The greatest size there is: positions of 32 bits must tell twice as many octets apart.
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

    /// Returns how much memory a table of a size may take: its octets twice, as they are moved together only once half of
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

    /// Inserts an entry (RFC 7541 section 4.4); one that is too large leaves the table empty.
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
        // Only now, since the name may be that of an entry that goes.
        self.evict(self.max_size() - size);
        self.push(Entry { position, ..entry });
        self.size += size;
    }

    /// Notes the encoder's limit, now that it is known (RFC 7541 section 4.3).
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

    /// Forgets the oldest entries until the rest has no more than `size`.
    #[inline]
    fn evict(&mut self, size: usize) {
        while self.size > size {
            let Some(oldest) = self.entries.pop_back() else { break };
            self.size = self.size.saturating_sub(oldest.size());
        }
    }

    /// Adds an entry, and room for as many again as there are, but for no more than there can be.
    fn push(&mut self, entry: Entry) {
        if self.entries.len() == self.entries.capacity() {
            let left = Self::max_entries(self.max_bytes).saturating_sub(self.entries.len());
            self.entries.reserve_exact(self.entries.len().max(8).min(left));
        }
        self.entries.push_front(entry);
    }

    /// The size that is kept: what the encoder keeps if that is known, but no more than is allowed here.
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

    /// Appends the octets of the name of an entry that is still there.
    fn repeat_name(&mut self, index: u32) {
        if let Some(entry) = self.entry(index) {
            let offset = self.offset(entry);
            let own = entry.own() as usize;
            self.octets.extend_from_within(offset..offset + own);
        }
    }

    /// Makes room for the octets of one more entry. Octets in use are moved together at most once for as many that are
    /// new or dead, so that this costs no more than a copy of each.
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
    /// Octets of the name that were stored for this entry.
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

    /// The size (RFC 7541 section 4.1), without a name that was not seen.
    fn size(&self) -> usize {
        let name = match self.name {
            Name::Static(index) => static_table::get(index.into()).map_or(0, |(name, _)| name.len()),
            Name::Unknown | Name::Own(_) => 0,
        };
        OVERHEAD.saturating_add(name).saturating_add(self.octets())
    }
}

/// Narrows a length; one that does not fit is beyond any size of a table.
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
        assert!(table.origin < u32::MAX - 1000, "they did");
    }
}
