//! The cheapest set of edges that every way through a network passes, and of such sets the last.
//!
//! A network that carries as much as fits between its ends is full at exactly such a set (Ford and Fulkerson, 1956).

use std::collections::VecDeque;

/// What an edge costs that cannot be in the set.
pub(super) const NEVER: u64 = u64::MAX;

/// A network of edges with costs. The first vertex is the source, the last the sink.
#[derive(Debug)]
pub(super) struct Network {
    /// Each edge is followed by its reverse.
    edges: Vec<Edge>,
    /// The edges from each vertex.
    from: Vec<Vec<usize>>,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    from: usize,
    to: usize,
    left: u64,
    cost: u64,
}

impl Network {
    pub(super) fn new(vertices: usize) -> Self {
        Self {
            edges: Vec::new(),
            from: vec![Vec::new(); vertices],
        }
    }

    /// Adds an edge; returns its number.
    pub(super) fn add(&mut self, from: usize, to: usize, cost: u64) -> usize {
        let edge = self.edges.len();
        self.edges.push(Edge {
            from,
            to,
            left: cost,
            cost,
        });
        self.edges.push(Edge {
            from: to,
            to: from,
            left: 0,
            cost: 0,
        });
        for (vertex, number) in [(from, edge), (to, edge.saturating_add(1))] {
            if let Some(edges) = self.from.get_mut(vertex) {
                edges.push(number);
            }
        }
        edge
    }

    /// Returns the edges of the set; `None` if some way has none that can be in it.
    pub(super) fn cut(mut self) -> Option<Vec<usize>> {
        while let Some(path) = self.path() {
            let left = path.iter().filter_map(|edge| Some(self.edges.get(*edge)?.left));
            let amount = left.min().filter(|amount| *amount != NEVER)?;
            for edge in path {
                self.carry(edge, amount);
            }
        }
        let behind = self.reaches_sink();
        let is_behind = |vertex: usize| behind.get(vertex) == Some(&true);
        let is_cut = |(_, edge): &(usize, &Edge)| edge.cost != 0 && !is_behind(edge.from) && is_behind(edge.to);
        let cut = self.edges.iter().enumerate().filter(is_cut);
        Some(cut.map(|(number, _)| number).collect())
    }

    fn carry(&mut self, edge: usize, amount: u64) {
        if let Some(edge) = self.edges.get_mut(edge).filter(|edge| edge.left != NEVER) {
            edge.left = edge.left.saturating_sub(amount);
        }
        if let Some(reverse) = self.edges.get_mut(edge ^ 1).filter(|edge| edge.left != NEVER) {
            reverse.left = reverse.left.saturating_add(amount);
        }
    }

    /// Finds a way from the source to the sink that can carry more.
    fn path(&self) -> Option<Vec<usize>> {
        let sink = self.from.len().checked_sub(1)?;
        let mut reached_by: Vec<Option<usize>> = vec![None; self.from.len()];
        let mut ahead = VecDeque::from([0]);
        while let Some(vertex) = ahead.pop_front() {
            if vertex == sink {
                break;
            }
            for number in self.from.get(vertex)? {
                let edge = self.edges.get(*number)?;
                let reached = reached_by.get_mut(edge.to)?;
                if edge.left != 0 && edge.to != 0 && reached.is_none() {
                    *reached = Some(*number);
                    ahead.push_back(edge.to);
                }
            }
        }
        let (mut path, mut vertex) = (Vec::new(), sink);
        while vertex != 0 {
            let number = (*reached_by.get(vertex)?)?;
            path.push(number);
            vertex = self.edges.get(number)?.from;
        }
        Some(path)
    }

    /// For each vertex, whether more could be carried from there to the sink.
    fn reaches_sink(&self) -> Vec<bool> {
        let mut reaches = vec![false; self.from.len()];
        let mut ahead = Vec::from_iter(self.from.len().checked_sub(1));
        while let Some(vertex) = ahead.pop() {
            match reaches.get_mut(vertex) {
                Some(known @ false) => *known = true,
                Some(true) | None => continue,
            }
            for number in self.from.get(vertex).into_iter().flatten() {
                // The edge here is the reverse of the one from here.
                if let Some(edge) = self.edges.get(*number ^ 1).filter(|edge| edge.left != 0) {
                    ahead.push(edge.from);
                }
            }
        }
        reaches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(vertices: usize, edges: &[(usize, usize, u64)]) -> Option<Vec<(usize, usize)>> {
        let mut network = Network::new(vertices);
        for (from, to, cost) in edges {
            network.add(*from, *to, *cost);
        }
        let numbers = network.cut()?;
        let ends = |number: usize| edges.get(number / 2).map(|(from, to, _)| (*from, *to));
        Some(numbers.into_iter().filter_map(ends).collect())
    }

    #[test]
    fn the_cheapest_set_is_found() {
        let edges = [(0, 1, NEVER), (0, 2, NEVER), (1, 3, 3), (2, 3, 3), (3, 4, 5)];
        assert_eq!(cut(5, &edges).unwrap(), [(3, 4)]);
        let edges = [(0, 1, NEVER), (0, 2, NEVER), (1, 3, 2), (2, 3, 2), (3, 4, 5)];
        assert_eq!(cut(5, &edges).unwrap(), [(1, 3), (2, 3)]);
    }

    #[test]
    fn of_sets_that_cost_the_same_the_last_is_found() {
        let edges = [(0, 1, 5), (1, 2, 5), (2, 3, NEVER)];
        assert_eq!(cut(4, &edges).unwrap(), [(1, 2)]);
    }

    #[test]
    fn a_way_without_an_edge_that_can_be_cut_has_no_set() {
        let edges = [(0, 1, 5), (1, 2, 5), (0, 2, NEVER)];
        assert_eq!(cut(3, &edges), None);
    }

    #[test]
    fn what_leads_nowhere_needs_no_edge() {
        let edges = [(0, 1, NEVER), (1, 0, NEVER), (1, 2, 1)];
        assert_eq!(cut(4, &edges).unwrap(), []);
    }

    #[test]
    fn a_way_that_was_taken_too_soon_is_taken_back() {
        // The first path found goes 0-1-4-5; the set needs both 0-1 and 3-5 or the like.
        let edges = [
            (0, 1, 2),
            (0, 2, 1),
            (1, 3, 1),
            (1, 4, 1),
            (2, 4, 1),
            (3, 5, 1),
            (4, 5, 1),
        ];
        let found = cut(6, &edges).unwrap();
        assert_eq!(found, [(3, 5), (4, 5)]);
    }
}
