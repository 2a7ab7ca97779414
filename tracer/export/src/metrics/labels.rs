//! The values of labels, each kind of which is bounded.

use std::{collections::HashMap, sync::Arc};

use tracer_observe::stat::shortened;

/// The index of a name among those of its kind.
pub(super) type NameId = u16;

/// What is not known has an empty label, which is no label.
pub(super) const UNKNOWN: NameId = 0;

/// What is beyond the bound.
pub(super) const OTHER: NameId = 1;

/// The text of [`OTHER`].
pub(super) const OTHER_TEXT: &str = "other";

/// Names in the order in which they were met.
#[derive(Debug)]
pub(super) struct Names {
    ids: HashMap<Arc<str>, NameId>,
    texts: Vec<Arc<str>>,
    bound: usize,
}

impl Names {
    /// Creates names, of which `bound` are told apart.
    pub(super) fn new(bound: usize) -> Self {
        Self {
            ids: HashMap::new(),
            texts: vec!["".into(), OTHER_TEXT.into()],
            bound,
        }
    }

    /// Returns the index of a name; [`OTHER`] if it is new and there is no room.
    pub(super) fn id(&mut self, name: &str) -> NameId {
        match self.ids.get(name) {
            Some(id) => *id,
            None if name.is_empty() => UNKNOWN,
            None if self.ids.len() >= self.bound => OTHER,
            None => self.insert(name),
        }
    }

    /// Returns the index of a name whose number somebody else bounds.
    pub(super) fn insert(&mut self, name: &str) -> NameId {
        let Ok(id) = NameId::try_from(self.texts.len()) else {
            return OTHER;
        };
        let shown: Arc<str> = printable(name).into();
        self.texts.push(shown);
        self.ids.insert(name.into(), id);
        id
    }

    /// Returns a name.
    pub(super) fn name(&self, id: NameId) -> Arc<str> {
        let name = self.texts.get(usize::from(id)).map(Arc::clone);
        name.unwrap_or_else(|| OTHER_TEXT.into())
    }
}

/// Returns a text for a label: short, and without characters that control a terminal.
fn printable(name: &str) -> String {
    let shown = |character: char| {
        if character.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        }
    };
    shortened(name).chars().map(shown).collect()
}

/// Returns the label of a method. A client can invent any number of methods, so there are labels for the known ones only.
pub(super) fn method(method: Option<&str>) -> &'static str {
    let Some(method) = method else { return "" };
    let known = METHODS.iter().find(|known| **known == method);
    known.copied().unwrap_or(OTHER_TEXT)
}

const METHODS: [&str; 9] = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "CONNECT", "TRACE",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_are_other() {
        let mut names = Names::new(2);
        let ids = ["a", "b", "c", "a", ""].map(|name| names.id(name));
        assert_eq!(ids, [2, 3, OTHER, 2, UNKNOWN]);
        assert_eq!(
            ["a", "other", ""],
            [2, OTHER, UNKNOWN]
                .map(|id| names.name(id))
                .each_ref()
                .map(|name| &**name)
        );
    }

    #[test]
    fn a_name_cannot_control_a_terminal_and_is_short() {
        let mut names = Names::new(2);
        let id = names.id("a\x1b[31m\n");
        assert_eq!(&*names.name(id), "a\u{fffd}[31m\u{fffd}");
        assert_eq!(names.id("a\x1b[31m\n"), id);
        let long = names.id(&"x".repeat(10_000));
        assert!(names.name(long).len() < 300);
    }

    #[test]
    fn an_invented_method_is_other() {
        assert_eq!(
            [Some("GET"), Some("get"), Some("BREW"), None].map(method),
            ["GET", "other", "other", ""]
        );
    }
}
