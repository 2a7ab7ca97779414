//! What the rules of a policy ask of the fields of a head, by name and by pattern.
//!
//! The answer for a field depends on its name and its printed value alone, so it is found once and remembered with the text
//! in [`Clean`](super::clean::Clean). An exchange whose fields are those of earlier ones is judged without looking at them.

use regex::bytes::{Regex, RegexSet};

use super::{
    FieldLine,
    fingerprint::has_mask,
    name_table::{MAX_NAMES, NameTable, Names},
    pattern::Pattern,
};

/// A set of patterns: a bit for each of the first 31, and one for all others.
pub type PatternBits = u32;

/// A head that rules are about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Head {
    /// That of the request.
    Request,
    /// That of the final response.
    Response,
}

impl Head {
    /// Returns what of a pair belongs to the head.
    #[inline]
    pub(crate) const fn of<T>(self, [request, response]: &[T; 2]) -> &T {
        match self {
            Self::Request => request,
            Self::Response => response,
        }
    }

    /// Returns its name in alerts.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }

    /// Returns what of a pair belongs to the head.
    #[inline]
    pub(crate) const fn of_mut<T>(self, [request, response]: &mut [T; 2]) -> &mut T {
        match self {
            Self::Request => request,
            Self::Response => response,
        }
    }
}

/// What the rules about one kind of head ask of its fields.
#[derive(Debug, Default)]
pub struct FieldIndex {
    names: NameTable,
    /// Patterns about all fields.
    any: Patterns,
    /// Patterns about the field with each name.
    by_name: Vec<Patterns>,
    patterns: u32,
    /// Numbers of names whose first field is located.
    located: Vec<usize>,
}

/// Patterns about the same fields.
#[derive(Debug, Default)]
struct Patterns {
    /// Those that must not match.
    matches: Vec<(Regex, PatternBits)>,
    /// All of `matches`, if there are several.
    together: Option<RegexSet>,
    /// Those that must match.
    matches_not: Vec<(Pattern, PatternBits)>,
}

/// What rules find in a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FieldClass {
    /// The number of its name, if a rule has it.
    number: u8,
    /// The place of its name among the located ones, if it is one of them.
    located: u8,
    /// The patterns that find something in its value.
    found: PatternBits,
}

/// What rules find in the fields of a head.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// Names that it has.
    pub once: Names,
    /// Names that it has more than once.
    pub twice: Names,
    /// The patterns that find something in a value.
    pub found: PatternBits,
    /// The first fields with the names that are located, counted from 1.
    located: [u16; MAX_LOCATED],
}

/// Maximum names whose first field is located. That of another name is searched for.
const MAX_LOCATED: usize = 4;

impl FieldIndex {
    /// Adds a name, of either case, whose first field is asked for in each head, and returns its number; `None` if there are
    /// too many names.
    pub(crate) fn add_located(&mut self, name: &str) -> Option<usize> {
        let number = self.add(name)?;
        if self.located.len() < MAX_LOCATED && !self.located.contains(&number) {
            self.located.push(number);
        }
        Some(number)
    }

    /// Returns the first field with the name of a number.
    pub(crate) fn first<'f, 'l>(
        &'f self,
        number: usize,
        seen: &Seen,
        fields: &'f [FieldLine<'l>],
    ) -> Option<&'f FieldLine<'l>> {
        if !seen.has(number) {
            return None;
        }
        let place = self.located.iter().position(|located| *located == number);
        let located = place.and_then(|place| seen.located.get(place)).copied().unwrap_or(0);
        match usize::from(located).checked_sub(1) {
            Some(at) => fields.get(at),
            None => self.fields(number, fields).next(),
        }
    }

    /// Adds a name, of either case, and returns its number; `None` if there are too many.
    pub(crate) fn add(&mut self, name: &str) -> Option<usize> {
        self.names.add(name)
    }

    /// Adds a pattern that must not match the values of the field with a number, or of all fields. Returns its bit.
    pub(crate) fn add_matches(&mut self, number: Option<usize>, pattern: &Regex) -> PatternBits {
        let bit = self.next_bit();
        self.patterns_of(number).matches.push((pattern.clone(), bit));
        bit
    }

    /// Adds a pattern that must match the values of the field with a number. Returns its bit.
    pub(crate) fn add_matches_not(&mut self, number: usize, pattern: &Regex) -> PatternBits {
        let bit = self.next_bit();
        self.patterns_of(Some(number))
            .matches_not
            .push((Pattern::new(pattern), bit));
        bit
    }

    /// Prepares the index once all is added. The error is that patterns are too large together.
    pub(crate) fn finish(&mut self) -> Result<(), regex::Error> {
        self.by_name
            .iter_mut()
            .chain([&mut self.any])
            .try_for_each(Patterns::finish)
    }

    /// Returns the set of a name, which is empty if no rule has it.
    pub(crate) fn bit_of(&self, name: &str) -> Names {
        self.names.find(name.as_bytes()).map_or(0, |number| 1 << number)
    }

    /// Returns the name with a number.
    pub(crate) fn name(&self, number: usize) -> &str {
        self.names.name(number)
    }

    /// Returns what rules find in fields as they are printed.
    pub(crate) fn seen(&self, fields: &[FieldLine<'_>]) -> Seen {
        let mut seen = Seen::default();
        for (at, field) in fields.iter().enumerate() {
            seen.add(at, self.class(field));
        }
        seen
    }

    /// Returns the fields with the name of a number, in their order.
    pub(crate) fn fields<'f, 'l>(
        &'f self,
        number: usize,
        fields: &'f [FieldLine<'l>],
    ) -> impl Iterator<Item = &'f FieldLine<'l>> {
        let name = self.name(number).as_bytes();
        let is_it = move |(found, _): &&FieldLine<'l>| found.as_ref().is_some_and(|found| found.bytes() == name);
        fields.iter().filter(is_it)
    }

    /// Returns what rules find in a field as it is printed. Decoders have names in lower case.
    pub(super) fn class(&self, (name, value): &FieldLine<'_>) -> FieldClass {
        let number = name.as_ref().and_then(|name| self.names.find(name.bytes()));
        let of_name = number.and_then(|number| self.by_name.get(number));
        let mut found = 0;
        if let Some(value) = value {
            let value = value.bytes();
            found |= self.any.find(value);
            found |= of_name.map_or(0, |patterns| patterns.find(value));
        }
        let small = |number: Option<usize>| number.and_then(|number| number.try_into().ok());
        let located = number.and_then(|number| self.located.iter().position(|located| *located == number));
        FieldClass {
            number: small(number).unwrap_or(FieldClass::NO_NAME),
            located: small(located).unwrap_or(FieldClass::NO_NAME),
            found,
        }
    }

    fn next_bit(&mut self) -> PatternBits {
        let bit = 1 << self.patterns.min(PatternBits::BITS - 1);
        self.patterns += 1;
        bit
    }

    fn patterns_of(&mut self, number: Option<usize>) -> &mut Patterns {
        let Some(number) = number.filter(|number| *number < MAX_NAMES) else {
            return &mut self.any;
        };
        if self.by_name.len() <= number {
            self.by_name.resize_with(number + 1, Patterns::default);
        }
        self.by_name.get_mut(number).unwrap_or(&mut self.any)
    }
}

impl Patterns {
    fn finish(&mut self) -> Result<(), regex::Error> {
        if let [_, _, ..] = &*self.matches {
            let all = self.matches.iter().map(|(pattern, _)| pattern.as_str());
            self.together = Some(RegexSet::new(all)?);
        }
        Ok(())
    }

    /// Returns the patterns that find something in a value. Bytes of a text match as the text does.
    #[inline]
    fn find(&self, value: &[u8]) -> PatternBits {
        let mut found = 0;
        if self.together.as_ref().is_none_or(|all| all.is_match(value)) {
            for (pattern, bit) in &self.matches {
                if pattern.is_match(value) {
                    found |= bit;
                }
            }
        }
        for (pattern, bit) in &self.matches_not {
            if !pattern.is_match(value) && !has_mask(value) {
                found |= bit;
            }
        }
        found
    }
}

/// Returns whether a value does not match a pattern; one that is masked is not judged.
pub(crate) fn is_unlike(pattern: &Regex, value: &[u8]) -> bool {
    !pattern.is_match(value) && !has_mask(value)
}

impl FieldClass {
    const NO_NAME: u8 = u8::MAX;

    /// Nothing is known yet.
    pub(super) const UNKNOWN: Self = Self {
        number: Self::NO_NAME - 1,
        located: Self::NO_NAME,
        found: 0,
    };

    /// Rules find nothing.
    const NOTHING: Self = Self {
        number: Self::NO_NAME,
        located: Self::NO_NAME,
        found: 0,
    };

    #[inline]
    pub(super) const fn is_unknown(self) -> bool {
        self.number == Self::UNKNOWN.number
    }
}

impl Default for FieldClass {
    fn default() -> Self {
        Self::NOTHING
    }
}

impl Seen {
    /// Returns whether there is a field with the name of a number.
    #[inline]
    pub(crate) fn has(&self, number: usize) -> bool {
        self.once >> (number % MAX_NAMES) & 1 != 0
    }

    /// Adds a field.
    #[inline]
    pub(super) fn add(&mut self, at: usize, class: FieldClass) {
        let FieldClass { number, located, found } = class;
        self.found |= found;
        if number == FieldClass::NO_NAME {
            return;
        }
        if let Some(located) = self.located.get_mut(usize::from(located))
            && *located == 0
        {
            // One too far back is searched for.
            *located = u16::try_from(at + 1).unwrap_or(0);
        }
        if usize::from(number) < MAX_NAMES {
            let bit = 1 << number;
            self.twice |= self.once & bit;
            self.once |= bit;
        }
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
        let mut index = FieldIndex::default();
        assert_eq!(
            ["Host", "x-a", "HOST", "x-b"].map(|name| index.add(name)),
            [0, 1, 0, 2].map(Some)
        );
        let fields = [
            line("x-a", "1"),
            line("accept", "2"),
            line("host", "3"),
            line("x-a", "4"),
            (None, None),
        ];
        let seen = index.seen(&fields);
        assert_eq!((seen.once, seen.twice, seen.found), (0b11, 0b10, 0));
        let values = |number| {
            let found = index.fields(number, &fields);
            found
                .map(|(_, value)| value.as_ref().unwrap().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!([0, 1, 2].map(values), [vec!["3"], vec!["1", "4"], vec![]]);
        assert_eq!(index.seen(&[]), Seen::default());
    }

    #[test]
    fn the_first_field_of_a_name_is_found_whether_it_is_located_or_not() {
        let names = ["x-a", "x-b", "x-c", "x-d", "x-e", "x-f"];
        let mut index = FieldIndex::default();
        let numbers = names.map(|name| index.add_located(name).unwrap());
        assert_eq!(index.add_located("x-a"), Some(0));
        let fields = [
            line("other", "0"),
            line("x-e", "1"),
            line("x-b", "2"),
            line("x-b", "3"),
            line("x-a", "4"),
            line("x-e", "5"),
        ];
        let seen = index.seen(&fields);
        let first = |number| {
            index
                .first(number, &seen, &fields)
                .map(|(_, value)| value.as_ref().unwrap().to_string())
        };
        let expected = [Some("4"), Some("2"), None, None, Some("1"), None];
        assert_eq!(numbers.map(first), expected.map(|value| value.map(str::to_owned)));
    }

    #[test]
    fn each_pattern_has_its_bit_and_those_beyond_31_have_one() {
        let mut index = FieldIndex::default();
        let number = index.add("x-a").unwrap();
        let pattern = |text: &str| Regex::new(text).unwrap();
        let any = index.add_matches(None, &pattern("(?x) b # a comment"));
        let named = index.add_matches(Some(number), &pattern("c"));
        let not = index.add_matches_not(number, &pattern("^[a-c]+$"));
        let other = index.add_matches(None, &pattern("d"));
        index.finish().unwrap();
        let found = |name, value| index.seen(&[line(name, value)]).found;
        assert_eq!(found("x-a", "a"), 0);
        assert_eq!(found("x-a", "bc"), any | named);
        assert_eq!(found("x-a", "c1"), named | not);
        // A mask is not judged by what must match. It has a `c`.
        assert_eq!(found("x-a", "[redacted] d"), other | named);
        assert_eq!(found("x-b", "bcd1"), any | other);
        let last: Vec<_> = (0..40)
            .map(|_| index.add_matches(Some(number), &pattern("z")))
            .collect();
        index.finish().unwrap();
        assert_eq!(last.last(), last.get(30));
        assert_eq!(index.seen(&[line("x-a", "z")]).found.count_ones(), 28 + 1);
    }
}
