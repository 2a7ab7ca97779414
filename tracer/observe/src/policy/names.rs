//! The names of fields that rules are about, and which of them a head has.
//!
//! Most fields of a head are of no interest to any rule. One look into a small table tells, so that the rules of a policy need
//! not search a head one by one.

use crate::redact::FieldLine;

/// A set of names: a bit for each.
pub(super) type Names = u128;

/// Maximum names in the rules about one kind of head.
pub(super) const MAX_NAMES: usize = 128;

/// The names that the rules about one kind of head mention.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    names: Vec<Box<str>>,
    /// The names of each hash, as a set.
    buckets: Vec<Names>,
}

const BUCKETS: usize = 512;

impl NameTable {
    /// Adds a name, in lower case, and returns its number; `None` if there are too many.
    pub(super) fn add(&mut self, name: &str) -> Option<usize> {
        let name = name.to_ascii_lowercase();
        if let Some(known) = self.names.iter().position(|known| **known == *name) {
            return Some(known);
        }
        let number = Some(self.names.len()).filter(|number| *number < MAX_NAMES)?;
        self.buckets.resize(BUCKETS, 0);
        if let Some(bucket) = self.buckets.get_mut(hash(name.as_bytes())) {
            *bucket |= 1 << number;
        }
        self.names.push(name.into());
        Some(number)
    }

    /// Returns the set of a name, which is empty if no rule has it.
    pub(super) fn bit_of(&self, name: &str) -> Names {
        self.find(name.as_bytes()).map_or(0, |number| 1 << number)
    }

    /// Returns the name with a number.
    pub(super) fn name(&self, number: usize) -> &str {
        self.names.get(number).map_or("", |name| &**name)
    }

    pub(super) const fn len(&self) -> usize {
        self.names.len()
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        let mut candidates = self.buckets.get(hash(name)).copied().unwrap_or(0);
        while candidates != 0 {
            let number = candidates.trailing_zeros() as usize;
            if self.names.get(number).is_some_and(|known| known.as_bytes() == name) {
                return Some(number);
            }
            candidates &= candidates - 1;
        }
        None
    }
}

const fn hash(name: &[u8]) -> usize {
    match name {
        [first, .., last] => (name.len() + *first as usize * 7 + *last as usize * 31) % BUCKETS,
        _ => 0,
    }
}

/// Which names of a table a head has, and where.
#[derive(Debug)]
pub(super) struct Seen {
    /// Names that it has.
    pub(super) once: Names,
    /// Names that it has more than once.
    pub(super) twice: Names,
    /// The first field of each name in `once`.
    first: Vec<u32>,
}

impl Seen {
    pub(super) fn new(table: &NameTable) -> Self {
        Self {
            once: 0,
            twice: 0,
            first: vec![0; table.len()],
        }
    }

    /// Looks at the fields of a head. Decoders have their names in lower case.
    pub(super) fn scan(&mut self, table: &NameTable, fields: &[FieldLine<'_>]) {
        (self.once, self.twice) = (0, 0);
        if table.len() == 0 {
            return;
        }
        for (at, (name, _)) in (0..).zip(fields) {
            let Some(number) = name.as_ref().and_then(|name| table.find(name.bytes())) else {
                continue;
            };
            let bit = 1 << number;
            if self.once & bit == 0
                && let Some(first) = self.first.get_mut(number)
            {
                *first = at;
            }
            self.twice |= self.once & bit;
            self.once |= bit;
        }
    }

    /// Returns the fields with a name, in their order.
    pub(super) fn fields<'f, 'l>(
        &self,
        table: &'f NameTable,
        number: usize,
        fields: &'f [FieldLine<'l>],
    ) -> impl Iterator<Item = &'f FieldLine<'l>> {
        let bit = 1 << number;
        let first = self.first.get(number).copied().unwrap_or(0) as usize;
        let count = match (self.once & bit, self.twice & bit) {
            (0, _) => 0,
            (_, 0) => 1,
            _ => usize::MAX,
        };
        let name = table.name(number).as_bytes();
        let rest = fields.get(first..).unwrap_or_default().iter();
        let is_it = move |(found, _): &&FieldLine<'l>| found.as_ref().is_some_and(|found| found.bytes() == name);
        rest.filter(move |field| count == 1 || is_it(field)).take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Printable;

    fn line<'a>(name: &'a str, value: &'a str) -> FieldLine<'a> {
        (Some(Printable::from(name)), Some(Printable::from(value)))
    }

    #[test]
    fn names_are_found_once_and_twice_in_their_order() {
        let mut table = NameTable::default();
        assert_eq!(
            ["Host", "x-a", "HOST", "x-b"].map(|name| table.add(name)),
            [0, 1, 0, 2].map(Some)
        );
        let fields = [
            line("x-a", "1"),
            line("accept", "2"),
            line("host", "3"),
            line("x-a", "4"),
            (None, None),
        ];
        let mut seen = Seen::new(&table);
        seen.scan(&table, &fields);
        assert_eq!((seen.once, seen.twice), (0b11, 0b10));
        let values = |number| {
            let found = seen.fields(&table, number, &fields);
            found
                .map(|(_, value)| value.as_ref().unwrap().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!([0, 1, 2].map(values), [vec!["3"], vec!["1", "4"], vec![]]);
        seen.scan(&table, &[]);
        assert_eq!((seen.once, seen.twice), (0, 0));
    }

    #[test]
    fn there_is_a_bound_on_names() {
        let mut table = NameTable::default();
        assert!((0..MAX_NAMES).all(|number| table.add(&format!("x-{number}")) == Some(number)));
        assert_eq!(table.add("one-more"), None);
        assert!((0..MAX_NAMES).all(|number| table.find(format!("x-{number}").as_bytes()) == Some(number)));
    }
}
