//! What a rule says of a head, or of how often something happens.

use regex::Regex;

use super::{
    key::{Property, Request, hash_of, text_of},
    names::{NameTable, Names, Seen},
    state::State,
};
use crate::redact::{EvidenceLine, ExchangeLine, FieldLine, Printable, Sizes};

/// The head that a rule is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Head {
    /// That of the request.
    Request,
    /// That of the final response.
    Response,
}

impl Head {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// What a rule is alerted of.
#[derive(Debug)]
pub(super) enum Check {
    /// One of these fields is missing. A head of which a field is unknown is not judged.
    Required(NameList),
    /// There is one of these fields.
    Forbidden(NameList),
    /// One of these fields is there more than once.
    Duplicates(NameList),
    /// A value of a field, or of any field, matches a pattern.
    Matches(Option<usize>, Regex),
    /// A value of a field does not match a pattern. One that is masked is not judged.
    MatchesNot(usize, Regex),
    /// The head is not well-formed.
    Malformed,
    /// A value is longer, masks not counted.
    MaxFieldBytes(u64),
    /// The names and values of a head are longer, masks not counted.
    MaxHeadBytes(u64),
    /// There are more fields.
    MaxFields(u64),
    /// There are more exchanges of a key within a time.
    Rate(Bound),
    /// There are more different values of a property in exchanges of a key within a time.
    Distinct(Bound, Vec<Property>),
}

/// The names of a rule.
#[derive(Debug, Default)]
pub(super) struct NameList {
    pub(super) all: Names,
    /// In the order of the rule.
    pub(super) order: Vec<usize>,
}

impl NameList {
    /// Returns the first of those that are in a set.
    fn first_in(&self, set: Names) -> usize {
        let mut numbers = self.order.iter().copied();
        numbers.find(|number| set & (1 << number) != 0).unwrap_or(0)
    }
}

/// How many there may be of a key within a time.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) per: Vec<Property>,
    pub(super) most: u64,
    pub(super) within_ns: u64,
}

/// A head, as rules see it.
pub(super) struct View<'v, 'l> {
    pub(super) head: Head,
    pub(super) fields: &'v [FieldLine<'l>],
    pub(super) seen: &'v Seen,
    pub(super) table: &'v NameTable,
    /// Names that are there in another form: the host, in `:authority` or the target.
    pub(super) implied: Names,
    pub(super) complete: bool,
    pub(super) unknown: u64,
    pub(super) malformed: Option<&'static str>,
    pub(super) sizes: Option<Sizes>,
    /// Whether a value matches the pattern of any rule about all fields.
    pub(super) may_match: bool,
}

impl Check {
    /// Returns what the check finds in a head; nothing for one that counts.
    pub(super) fn find(&self, view: &View<'_, '_>, state: &mut State) -> Option<EvidenceLine<'static>> {
        match self {
            Self::Required(names) => {
                let missing = names.all & !(view.seen.once | view.implied);
                (view.complete && missing != 0).then(|| view.named(names.first_in(missing)))
            }
            Self::Forbidden(names) => {
                let present = names.all & view.seen.once;
                (present != 0).then(|| view.first(names.first_in(present)))
            }
            Self::Duplicates(names) => {
                let present = names.all & view.seen.twice;
                (present != 0).then(|| view.repeated(names.first_in(present)))
            }
            Self::Matches(Some(field), pattern) => view.find_value(*field, state, |value| pattern.is_match(value)),
            Self::Matches(None, pattern) => {
                let is_wrong = |value: &Printable<'_>| pattern.is_match(value);
                let mut fields = view.fields.iter().filter(|_| view.may_match);
                let found = fields.find(|(_, value)| value.as_ref().is_some_and(is_wrong));
                found.map(|field| view.evidence(field))
            }
            Self::MatchesNot(field, pattern) => {
                view.find_value(*field, state, |value| !pattern.is_match(value) && !value.contains(MASK))
            }
            Self::Malformed => view.malformed.map(|part| EvidenceLine {
                malformed: Some(part),
                ..view.of_head()
            }),
            Self::MaxFieldBytes(most) => {
                let sizes = view.sizes.filter(|sizes| sizes.longest > *most)?;
                let longest = view.fields.get(sizes.longest_at);
                let field = longest.and_then(|(name, _)| name.as_ref()).map(cut);
                Some(EvidenceLine {
                    field,
                    ..view.counted(sizes.longest, *most)
                })
            }
            Self::MaxHeadBytes(most) => {
                let sizes = view.sizes.filter(|sizes| sizes.bytes > *most)?;
                Some(view.counted(sizes.bytes, *most))
            }
            Self::MaxFields(most) => {
                let count = view.unknown.saturating_add(view.fields.len() as u64);
                (count > *most).then(|| view.counted(count, *most))
            }
            Self::Rate(_) | Self::Distinct(..) => None,
        }
    }

    /// Counts an exchange, and returns what the check finds.
    pub(super) fn count(
        &self,
        exchange: &ExchangeLine<'_>,
        request: Request<'_>,
        state: &mut State,
        now_ns: u64,
    ) -> Option<EvidenceLine<'static>> {
        let windows = &mut state.windows;
        let (bound, count) = match self {
            Self::Rate(bound) => {
                let key = hash_of(&bound.per, exchange, request)?;
                (bound, windows.count(key, bound.within_ns, bound.most, now_ns)?)
            }
            Self::Distinct(bound, of) => {
                let value = hash_of(of, exchange, request)?;
                let key = hash_of(&bound.per, exchange, request)?;
                let count = windows.count_values(key, value, bound.within_ns, bound.most, now_ns)?;
                (bound, count)
            }
            Self::Required(_)
            | Self::Forbidden(_)
            | Self::Duplicates(_)
            | Self::Matches(..)
            | Self::MatchesNot(..)
            | Self::Malformed
            | Self::MaxFieldBytes(_)
            | Self::MaxHeadBytes(_)
            | Self::MaxFields(_) => return None,
        };
        Some(EvidenceLine {
            key: Some(cut(&text_of(&bound.per, exchange, request).into())),
            count: Some(count),
            limit: Some(bound.most),
            ..EvidenceLine::default()
        })
    }

    /// Returns whether it counts exchanges, and has nothing to do with a head.
    pub(super) const fn counts(&self) -> bool {
        matches!(self, Self::Rate(_) | Self::Distinct(..))
    }

    /// Returns whether it needs the sizes of heads.
    pub(super) const fn needs_sizes(&self) -> bool {
        matches!(self, Self::MaxFieldBytes(_) | Self::MaxHeadBytes(_))
    }
}

impl<'l> View<'_, 'l> {
    fn of_head(&self) -> EvidenceLine<'static> {
        EvidenceLine {
            head: Some(self.head.name()),
            ..EvidenceLine::default()
        }
    }

    fn counted(&self, count: u64, limit: u64) -> EvidenceLine<'static> {
        EvidenceLine {
            count: Some(count),
            limit: Some(limit),
            ..self.of_head()
        }
    }

    /// Returns evidence with a name.
    fn named(&self, number: usize) -> EvidenceLine<'static> {
        EvidenceLine {
            field: Some(Printable::from(self.table.name(number).to_owned())),
            ..self.of_head()
        }
    }

    /// Returns evidence with the first field of a name.
    fn first(&self, number: usize) -> EvidenceLine<'static> {
        let mut fields = self.seen.fields(self.table, number, self.fields);
        let first = fields.next().map(|field| self.evidence(field));
        first.unwrap_or_else(|| self.named(number))
    }

    fn repeated(&self, number: usize) -> EvidenceLine<'static> {
        EvidenceLine {
            count: Some(self.seen.fields(self.table, number, self.fields).count() as u64),
            ..self.named(number)
        }
    }

    fn evidence(&self, (name, value): &FieldLine<'l>) -> EvidenceLine<'static> {
        EvidenceLine {
            field: name.as_ref().map(cut),
            value: value.as_ref().map(cut),
            ..self.of_head()
        }
    }

    /// Returns evidence with the first value of a field that is wrong. Values that were found to be right before are not asked
    /// of again.
    fn find_value(
        &self,
        number: usize,
        state: &mut State,
        is_wrong: impl Fn(&str) -> bool,
    ) -> Option<EvidenceLine<'static>> {
        if self.seen.once & (1 << number) == 0 {
            return None;
        }
        let mut fields = self.seen.fields(self.table, number, self.fields);
        let found = fields.find(|field| state.right.is_wrong(field, &is_wrong));
        found.map(|field| self.evidence(field))
    }
}

/// The beginning of every mask.
const MASK: &str = "[redacted";

/// Maximum bytes of a name or a value in an alert.
const MAX_EVIDENCE_BYTES: usize = 256;

/// Copies a text, cut.
pub(super) fn cut(text: &Printable<'_>) -> Printable<'static> {
    if text.bytes().len() <= MAX_EVIDENCE_BYTES {
        return text.to_static();
    }
    let mut cut = String::new();
    let room = MAX_EVIDENCE_BYTES - '…'.len_utf8();
    for character in text.chars() {
        if cut.len() + character.len_utf8() > room {
            break;
        }
        cut.push(character);
    }
    cut.push('…');
    cut.into()
}
