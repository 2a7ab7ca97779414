//! What a gateway changed in a head.
//!
//! Values are compared as they were sent. What is unknown on one side is not compared: a field that was not seen may be there.

use std::collections::BTreeMap;

use http_decode::{Field, Fields, Unredacted};

/// The differences between two lists of fields.
#[derive(Debug, Default)]
pub(crate) struct Diff<'a> {
    /// Fields of the second list only, in its order.
    pub(crate) added: Vec<Field<'a>>,
    /// Fields of the first list only, in its order.
    pub(crate) removed: Vec<Field<'a>>,
    /// Fields of both lists with different values, in the order of the first list.
    pub(crate) changed: Vec<[Field<'a>; 2]>,
    /// The least names that were moved, in the order of the first list.
    pub(crate) reordered: Vec<&'a str>,
}

/// A list of fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'a> {
    pub(crate) fields: &'a Fields,
    /// Whether every field of the head is known.
    pub(crate) complete: bool,
}

/// A field and its place in its list.
type Placed<'a> = (usize, Field<'a>);

impl<'a> Diff<'a> {
    /// Compares two lists. Fields of the name `except` are left out.
    pub(crate) fn of([from, to]: [Side<'a>; 2], except: Option<&str>) -> Self {
        let mut names: BTreeMap<&str, [Vec<Placed<'a>>; 2]> = BTreeMap::new();
        for (side, list) in [from, to].into_iter().enumerate() {
            for (place, field) in list.fields.iter().enumerate() {
                if let Some(name) = field.name.filter(|name| Some(*name) != except) {
                    let placed = names.entry(name).or_default();
                    if let Some(placed) = placed.get_mut(side) {
                        placed.push((place, field));
                    }
                }
            }
        }
        let mut changes = Changes::default();
        for fields in names.into_values() {
            changes.add(fields);
        }
        changes.into_diff(from.complete, to.complete)
    }
}

/// The differences that were found so far, with places.
#[derive(Debug, Default)]
struct Changes<'a> {
    added: Vec<Placed<'a>>,
    removed: Vec<Placed<'a>>,
    changed: Vec<(usize, [Field<'a>; 2])>,
    /// The places of fields that both lists have, and their names.
    both: Vec<(usize, usize, &'a str)>,
}

impl<'a> Changes<'a> {
    /// Compares the fields of one name.
    fn add(&mut self, [mut from, mut to]: [Vec<Placed<'a>>; 2]) {
        if from.iter().chain(&to).any(|(_, field)| field.value.is_none()) {
            return;
        }
        from.retain(|(place, field)| {
            let equal = to.iter().position(|(_, other)| value(other) == value(field));
            let Some((other_place, _)) = equal.map(|equal| to.remove(equal)) else {
                return true;
            };
            self.both.extend(field.name.map(|name| (*place, other_place, name)));
            false
        });
        let (mut from, mut to) = (from.into_iter(), to.into_iter());
        loop {
            match (from.next(), to.next()) {
                (Some((place, before)), Some((other_place, after))) => {
                    self.both.extend(before.name.map(|name| (place, other_place, name)));
                    self.changed.push((place, [before, after]));
                }
                (Some(removed), None) => self.removed.push(removed),
                (None, Some(added)) => self.added.push(added),
                (None, None) => return,
            }
        }
    }

    /// Puts the differences in order. A field that was not found in a list with unknown fields may be there.
    fn into_diff(mut self, from_complete: bool, to_complete: bool) -> Diff<'a> {
        let in_order = |mut placed: Vec<Placed<'a>>| {
            placed.sort_by_key(|(place, _)| *place);
            placed.into_iter().map(|(_, field)| field).collect::<Vec<_>>()
        };
        self.changed.sort_by_key(|(place, _)| *place);
        self.both.sort_unstable();
        Diff {
            added: if from_complete {
                in_order(self.added)
            } else {
                Vec::new()
            },
            removed: if to_complete {
                in_order(self.removed)
            } else {
                Vec::new()
            },
            changed: self.changed.into_iter().map(|(_, fields)| fields).collect(),
            reordered: moved(&self.both),
        }
    }
}

/// Returns the names that are not in the longest run of fields whose order is the same in both lists.
fn moved<'a>(both: &[(usize, usize, &'a str)]) -> Vec<&'a str> {
    let mut kept = vec![true; both.len()];
    if !both.is_sorted_by_key(|(_, to, _)| *to) {
        kept.fill(false);
        for index in longest_increasing(both) {
            if let Some(kept) = kept.get_mut(index) {
                *kept = true;
            }
        }
    }
    let moved = both.iter().zip(kept).filter(|(_, kept)| !kept);
    let mut names: Vec<&str> = moved.map(|((_, _, name), _)| *name).collect();
    names.dedup();
    names
}

/// Returns the indexes of a longest increasing subsequence of the second places, last first.
fn longest_increasing(both: &[(usize, usize, &str)]) -> Vec<usize> {
    let place = |index: usize| both.get(index).map_or(0, |(_, to, _)| *to);
    // The index of the least place at which a subsequence of each length ends.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(both.len());
    for index in 0..both.len() {
        let length = ends.partition_point(|end| place(*end) < place(index));
        before.push(length.checked_sub(1).and_then(|shorter| ends.get(shorter).copied()));
        match ends.get_mut(length) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    std::iter::successors(ends.last().copied(), |index| before.get(*index).copied().flatten()).collect()
}

fn value<'a>(field: &Field<'a>) -> &'a [u8] {
    field.value.map_or(&[], Unredacted::<&[u8]>::expose)
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::any, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::output::sample::{OwnedField, field};

    fn list(fields: &[(&str, &str)]) -> Fields {
        fields.iter().map(|(name, value)| field(name, value)).collect()
    }

    /// Returns what was added, removed, changed and reordered, as text.
    fn compare(from: &Fields, to: &Fields, complete: [bool; 2]) -> [Vec<String>; 4] {
        let [from_complete, to_complete] = complete;
        let sides = [
            Side {
                fields: from,
                complete: from_complete,
            },
            Side {
                fields: to,
                complete: to_complete,
            },
        ];
        let text = |field: &Field<'_>| format!("{}={}", field.name.unwrap(), String::from_utf8_lossy(value(field)));
        let Diff {
            added,
            removed,
            changed,
            reordered,
        } = Diff::of(sides, Some("host"));
        [
            added.iter().map(text).collect(),
            removed.iter().map(text).collect(),
            changed
                .iter()
                .map(|[from, to]| format!("{} {}", text(from), text(to)))
                .collect(),
            reordered.into_iter().map(str::to_owned).collect(),
        ]
    }

    fn diff(from: &[(&str, &str)], to: &[(&str, &str)]) -> [Vec<String>; 4] {
        compare(&list(from), &list(to), [true; 2])
    }

    const NONE: [String; 0] = [];

    #[test]
    fn fields_are_added_removed_changed_and_moved() {
        let from = [
            ("host", "a"),
            ("accept", "*/*"),
            ("x-old", "1"),
            ("te", "a"),
            ("range", "b"),
        ];
        let to = [
            ("x-new", "2"),
            ("range", "b"),
            ("accept", "text"),
            ("host", "b"),
            ("te", "a"),
        ];
        let [added, removed, changed, reordered] = diff(&from, &to);
        assert_eq!(added, ["x-new=2"]);
        assert_eq!(removed, ["x-old=1"]);
        assert_eq!(changed, ["accept=*/* accept=text"]);
        assert_eq!(reordered, ["range"]);
    }

    #[test]
    fn fields_of_one_name_are_paired_by_value_first() {
        let from = [("via", "1"), ("via", "2"), ("via", "3")];
        let to = [("via", "3"), ("via", "4"), ("via", "1")];
        let [added, removed, changed, _] = diff(&from, &to);
        assert_eq!((added, removed), (NONE.to_vec(), NONE.to_vec()));
        assert_eq!(changed, ["via=2 via=4"]);
        assert_eq!(diff(&from, &from[..2])[1], ["via=3"]);
    }

    #[test]
    fn what_is_not_known_is_not_compared() {
        let unknown = || OwnedField {
            value: None,
            ..field("x-tenant", "")
        };
        let from: Fields = [field("a", "1"), unknown()].into_iter().collect();
        let to = list(&[("x-tenant", "1"), ("b", "2")]);
        assert_eq!(
            compare(&from, &to, [false, true]),
            [vec![], vec!["a=1".to_owned()], vec![], vec![]]
        );
        assert_eq!(
            compare(&to, &from, [true, false]),
            [vec!["a=1".to_owned()], vec![], vec![], vec![]]
        );
    }

    proptest! {
        #[test]
        fn equal_heads_do_not_differ(fields in any::<Vec<(u8, u8)>>()) {
            let fields: Fields = fields.iter().map(|(name, value)| field(&format!("x{}", name % 8), &value.to_string())).collect();
            prop_assert_eq!(compare(&fields, &fields, [true; 2]), [const { Vec::<String>::new() }; 4]);
        }

        // The lists are numbers; a move is the only difference of a permutation.
        #[test]
        fn the_rest_is_in_order_without_what_was_moved(keys in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut order: Vec<usize> = (0..keys.len()).collect();
            order.sort_by_key(|index| keys[*index]);
            let name = |index: usize| format!("n{index}");
            let from: Fields = (0..keys.len()).map(|index| field(&name(index), "")).collect();
            let to: Fields = order.iter().map(|index| field(&name(*index), "")).collect();
            let [added, removed, changed, moved] = compare(&from, &to, [true; 2]);
            prop_assert!(added.is_empty() && removed.is_empty() && changed.is_empty());
            let rest: Vec<usize> = order.into_iter().filter(|index| !moved.contains(&name(*index))).collect();
            prop_assert!(rest.is_sorted());
            // Every moved field alone would break the order of the rest.
            for index in moved.iter().map(|name| name.trim_start_matches('n').parse::<usize>().unwrap()) {
                prop_assert!(!rest.contains(&index));
            }
        }
    }
}
