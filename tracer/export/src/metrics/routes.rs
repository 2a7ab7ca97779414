//! Routes, learned from paths.
//!
//! A path becomes a template first (`/users/42` is `/users/{}`), which knows items by their form. Names as items, such as
//! `/users/alice`, are known by their number: where more than a few segments follow the same beginning, the further ones are
//! `{}`. A route that was learned keeps its name, so that a counter never loses what it has counted.

use std::collections::HashMap;

use tracer_observe::stat::template;

use super::labels::{NameId, Names, OTHER, UNKNOWN};
use crate::limits::{MAX_ROUTE_CHILDREN, MAX_ROUTE_NODES};

/// A segment that stands for many.
const ITEM: &str = "{}";

/// The learned routes.
#[derive(Debug)]
pub(super) struct Routes {
    /// The first one is the root.
    nodes: Vec<Node>,
    names: Names,
}

#[derive(Debug, Default)]
struct Node {
    /// The nodes of the segments that follow, by their index.
    children: HashMap<Box<str>, usize>,
    /// The route that ends here.
    route: Option<NameId>,
}

/// Whether a path may become a new route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Learn {
    /// It may.
    Yes,
    /// Its answer says that there is no such path: whoever scans a server for files must not use up the routes.
    No,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            // The nodes bound them.
            names: Names::new(usize::MAX),
        }
    }
}

impl Routes {
    /// Returns the routes' names.
    pub(super) const fn names(&self) -> &Names {
        &self.names
    }

    /// Returns the route of a path; [`OTHER`] if there is none and none may be learned.
    pub(super) fn id(&mut self, path: Option<&str>, learn: Learn) -> NameId {
        let Some(path) = path else { return UNKNOWN };
        self.find(&template(path), learn).unwrap_or(OTHER)
    }

    fn find(&mut self, template: &str, learn: Learn) -> Option<NameId> {
        let mut node = 0;
        let mut taken = Vec::new();
        for segment in template.split('/') {
            let (next, name) = self.step(node, segment, learn)?;
            node = next;
            taken.push(name);
        }
        let known = self.nodes.get(node)?.route;
        if known.is_some() || learn == Learn::No {
            return known;
        }
        let route = self.names.insert(&taken.join("/"));
        self.nodes.get_mut(node)?.route = Some(route);
        Some(route)
    }

    /// Returns the node of a segment that follows another one, and the name under which the segment has it.
    fn step<'a>(&mut self, node: usize, segment: &'a str, learn: Learn) -> Option<(usize, &'a str)> {
        let count = self.nodes.len();
        let children = &mut self.nodes.get_mut(node)?.children;
        if let Some(next) = children.get(segment) {
            return Some((*next, segment));
        }
        // The first segment is empty, and one of `*` or of a whole URI is a route of its own.
        let name = if children.len() < MAX_ROUTE_CHILDREN {
            segment
        } else {
            ITEM
        };
        if let Some(next) = children.get(name) {
            return Some((*next, name));
        }
        if learn == Learn::No || count >= MAX_ROUTE_NODES {
            return children.get(ITEM).map(|next| (*next, ITEM));
        }
        children.insert(name.into(), count);
        self.nodes.push(Node::default());
        Some((count, name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn name(routes: &mut Routes, path: &str, learn: Learn) -> String {
        let id = routes.id(Some(path), learn);
        routes.names().name(id).to_string()
    }

    fn learned(routes: &mut Routes, path: &str) -> String {
        name(routes, path, Learn::Yes)
    }

    #[test]
    fn a_route_is_the_template_of_its_path() {
        let mut routes = Routes::default();
        for (path, route) in [
            ("/", "/"),
            ("/users/42?page=2", "/users/{}"),
            ("/users/alice", "/users/alice"),
            ("/users", "/users"),
            ("*", "*"),
            ("/users/[redacted]", "/users/{}"),
        ] {
            assert_eq!(learned(&mut routes, path), route);
        }
        assert_eq!(routes.id(None, Learn::Yes), UNKNOWN);
    }

    #[test]
    fn names_of_items_become_one_route_and_the_first_ones_keep_theirs() {
        let mut routes = Routes::default();
        let word = |number: usize| {
            number
                .to_string()
                .bytes()
                .map(|digit| char::from(digit + 49))
                .collect::<String>()
        };
        let names: BTreeSet<_> = (0..100_000)
            .map(|number| learned(&mut routes, &format!("/users/{}/posts", word(number))))
            .collect();
        assert_eq!(names.len(), MAX_ROUTE_CHILDREN + 1);
        assert!(names.contains("/users/{}/posts"));
        assert_eq!(
            learned(&mut routes, &format!("/users/{}/posts", word(7))),
            format!("/users/{}/posts", word(7))
        );
        assert_eq!(learned(&mut routes, "/users/new/likes"), "/users/{}/likes");
        assert_eq!(learned(&mut routes, "/health"), "/health");
    }

    #[test]
    fn any_paths_make_a_bounded_number_of_routes() {
        let mut routes = Routes::default();
        let word = |number: usize| {
            ["a", "b", "c", "d", "e", "f", "g"]
                .get(number % 7)
                .copied()
                .unwrap_or_default()
        };
        let paths = (0..100_000_usize).map(|number| {
            let segments = (0..8).map(|place| format!("{}{}", word(number / 7_usize.pow(place)), word(place as usize)));
            format!("/{}", segments.collect::<Vec<_>>().join("/"))
        });
        let names: BTreeSet<_> = paths.map(|path| learned(&mut routes, &path)).collect();
        assert!(
            names.len() <= MAX_ROUTE_NODES && names.contains("other"),
            "{}",
            names.len()
        );
        assert_eq!(routes.nodes.len(), MAX_ROUTE_NODES);
    }

    #[test]
    fn what_is_not_there_is_not_learned() {
        let mut routes = Routes::default();
        assert_eq!(name(&mut routes, "/wp-admin", Learn::No), "other");
        learned(&mut routes, "/a/7");
        assert_eq!(name(&mut routes, "/a", Learn::No), "other");
        assert_eq!(name(&mut routes, "/a/8", Learn::No), "/a/{}");
        assert_eq!(name(&mut routes, "/a/secret", Learn::No), "/a/{}");
        assert_eq!(routes.nodes.len(), 4);
    }
}
