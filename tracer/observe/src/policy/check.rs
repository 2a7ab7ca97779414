//! What a rule says of a head, or of how often something happens.

use regex::bytes::Regex;

use super::{
    key::{Counted, Property},
    view::{View, cut},
    windows::Windows,
};
use crate::redact::{EvidenceLine, Names, PatternBits, is_unlike};

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
    Matches(Option<usize>, Regex, PatternBits),
    /// A value of a field does not match a pattern. One that is masked is not judged.
    MatchesNot(usize, Regex, PatternBits),
    /// The request is for another host than the client asked for in its handshake.
    OtherServerName,
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

impl Check {
    /// Returns what the check finds in a head; nothing for one that counts.
    pub(super) fn find(&self, view: &View<'_, '_>) -> Option<EvidenceLine<'static>> {
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
            Self::Matches(Some(field), pattern, _) => {
                let fields = view.index.fields(*field, view.fields);
                view.find_value(fields, |value| pattern.is_match(value))
            }
            Self::Matches(None, pattern, _) => view.find_value(view.fields.iter(), |value| pattern.is_match(value)),
            Self::MatchesNot(field, pattern, _) => {
                let fields = view.index.fields(*field, view.fields);
                view.find_value(fields, |value| is_unlike(pattern, value))
            }
            Self::OtherServerName => view.server_name.map(|name| EvidenceLine {
                server_name: Some(cut(name)),
                ..view.of_head()
            }),
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
                let count = view.count();
                (count > *most).then(|| view.counted(count, *most))
            }
            Self::Rate(_) | Self::Distinct(..) => None,
        }
    }

    /// Counts an exchange, and returns what the check finds.
    pub(super) fn count(
        &self,
        counted: &mut Counted<'_, '_>,
        windows: &mut Windows,
        now_ns: u64,
    ) -> Option<EvidenceLine<'static>> {
        let (bound, count) = match self {
            Self::Rate(bound) => {
                let key = counted.hash_of(&bound.per)?;
                (bound, windows.count(key, bound.within_ns, bound.most, now_ns)?)
            }
            Self::Distinct(bound, of) => {
                let key = counted.hash_of(&bound.per)?;
                let value = counted.hash_of(of)?;
                let count = windows.count_values(key, value, bound.within_ns, bound.most, now_ns)?;
                (bound, count)
            }
            Self::Required(_)
            | Self::Forbidden(_)
            | Self::Duplicates(_)
            | Self::Matches(..)
            | Self::MatchesNot(..)
            | Self::OtherServerName
            | Self::Malformed
            | Self::MaxFieldBytes(_)
            | Self::MaxHeadBytes(_)
            | Self::MaxFields(_) => return None,
        };
        Some(EvidenceLine {
            key: Some(cut(&counted.text_of(&bound.per).into())),
            count: Some(count),
            limit: Some(bound.most),
            ..EvidenceLine::default()
        })
    }

    /// Returns whether it counts exchanges, and has nothing to do with a head.
    pub(super) const fn counts(&self) -> bool {
        matches!(self, Self::Rate(_) | Self::Distinct(..))
    }

    /// Returns whether it counts no exchange without a credential.
    pub(super) fn counts_credentials(&self) -> bool {
        let has_credential = |properties: &[Property]| {
            properties
                .iter()
                .any(|property| matches!(property, Property::Credential(_)))
        };
        match self {
            Self::Rate(bound) => has_credential(&bound.per),
            Self::Distinct(bound, of) => has_credential(&bound.per) || has_credential(of),
            Self::Required(_)
            | Self::Forbidden(_)
            | Self::Duplicates(_)
            | Self::Matches(..)
            | Self::MatchesNot(..)
            | Self::OtherServerName
            | Self::Malformed
            | Self::MaxFieldBytes(_)
            | Self::MaxHeadBytes(_)
            | Self::MaxFields(_) => false,
        }
    }

    /// Returns the size in bytes beyond which it needs the sizes of a head.
    pub(super) const fn least_size(&self) -> Option<u64> {
        match self {
            Self::MaxFieldBytes(most) | Self::MaxHeadBytes(most) => Some(*most),
            Self::Required(_)
            | Self::Forbidden(_)
            | Self::Duplicates(_)
            | Self::Matches(..)
            | Self::MatchesNot(..)
            | Self::OtherServerName
            | Self::Malformed
            | Self::MaxFields(_)
            | Self::Rate(_)
            | Self::Distinct(..) => None,
        }
    }
}
