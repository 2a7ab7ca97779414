//! The instructions of a function as a graph.
//!
//! It is decoded by recursive descent from the entry, never by scanning bytes. Jumps are followed wherever they lead in
//! the segment: to the part of the function that the compiler moved away, and into functions that it ends by jumping
//! to, which are a part of it then. What cannot be followed refuses the whole.

use std::collections::BTreeMap;

use super::bytes::Code;

use super::lift::lift;
use super::operation::{Destination, Lifted, Operation, Target, Way};
use crate::cause::Cause;
use crate::elf::address::Vaddr;
use crate::limits;

/// What a graph asks of the image that its code is in.
pub(crate) trait Surroundings {
    /// Returns where the address leads that the dynamic linker puts here, if that is in the image.
    fn linked(&self, slot: Vaddr) -> Option<Vaddr>;

    /// Returns whether a call that leads there never comes back.
    fn never_returns(&self, to: Destination) -> bool;

    /// Returns whether a function begins there, or a part of one.
    fn begins(&self, at: Vaddr) -> bool;

    /// Reads a distance in a jump table.
    fn offset_at(&self, place: Vaddr) -> Option<i32>;

    /// Reads an address in a jump table.
    fn address_at(&self, place: Vaddr) -> Option<Vaddr>;
}

/// Says how an instruction ends a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It returns to the caller.
    Return,
    /// It jumps out of what is followed.
    Jump(Destination),
    /// Nothing comes after it.
    Stop,
}

/// An instruction of a graph. Its successors are indexes.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Vaddr,
    pub(super) lifted: Lifted,
    /// The next instruction, if it may be executed after this one.
    pub(super) next: Option<usize>,
    /// Where it may jump; more than one for a jump by a table.
    pub(super) jumps: Vec<usize>,
    /// Whether it jumps to an address that is loaded from a structure.
    pub(super) is_by_pointer: bool,
    pub(super) end: Option<End>,
}

impl Node {
    pub(super) fn successors(&self) -> impl Iterator<Item = usize> {
        self.next.into_iter().chain(self.jumps.iter().copied())
    }
}

/// Holds the instructions that a function may execute.
#[derive(Debug)]
pub(crate) struct Graph<'data> {
    pub(super) code: Code<'data>,
    entry: Vaddr,
    /// The first is the entry.
    pub(super) nodes: Vec<Node>,
    index: BTreeMap<Vaddr, usize>,
}

impl<'data> Graph<'data> {
    /// Decodes a function. `code` reaches from the first byte of its segment to the last.
    pub(crate) fn of(code: Code<'data>, entry: Vaddr, around: &impl Surroundings) -> Result<Self, Cause> {
        let mut graph = Self {
            code,
            entry,
            nodes: Vec::new(),
            index: BTreeMap::new(),
        };
        let _entry = graph.node(entry)?;
        graph.decode(0, around)?;
        graph.is_sound()?;
        Ok(graph)
    }

    /// Adds code that nothing in the function leads to.
    pub(super) fn add_root(&mut self, at: Vaddr, around: &impl Surroundings) -> Result<(), Cause> {
        let first_new = self.nodes.len();
        let _root = self.node(at)?;
        self.decode(first_new, around)?;
        self.is_sound()
    }

    /// Adds where an indirect jump leads: by a table, or to functions by a pointer.
    pub(super) fn add_jumps(
        &mut self,
        from: usize,
        targets: &[Vaddr],
        is_by_pointer: bool,
        around: &impl Surroundings,
    ) -> Result<(), Cause> {
        let first_new = self.nodes.len();
        let mut jumps = targets
            .iter()
            .map(|target| self.node(*target))
            .collect::<Result<Vec<_>, _>>()?;
        jumps.sort_unstable();
        jumps.dedup();
        if let Some(node) = self.nodes.get_mut(from) {
            node.jumps = jumps;
            node.is_by_pointer = is_by_pointer;
            node.end = None;
        }
        self.decode(first_new, around)?;
        self.is_sound()
    }

    /// Lists the nodes that may be executed right before each.
    pub(super) fn predecessors(&self) -> Vec<Vec<usize>> {
        let mut before = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for next in node.successors() {
                if let Some(list) = before.get_mut(next) {
                    list.push(index);
                }
            }
        }
        before
    }

    pub(super) const fn entry(&self) -> Vaddr {
        self.entry
    }

    pub(super) fn node_at(&self, at: Vaddr) -> Option<usize> {
        self.index.get(&at).copied()
    }

    /// Returns the index of the instruction at an address, which is decoded if it is new.
    fn node(&mut self, at: Vaddr) -> Result<usize, Cause> {
        if let Some(index) = self.index.get(&at) {
            return Ok(*index);
        }
        if self.nodes.len() >= limits::GRAPH_INSTRUCTIONS {
            return Err(Cause::TooLarge(at));
        }
        let lifted = lift(self.code, at).ok_or(Cause::NotUnderstood(at))?;
        let index = self.nodes.len();
        self.index.insert(at, index);
        self.nodes.push(Node {
            at,
            lifted,
            next: None,
            jumps: Vec::new(),
            is_by_pointer: false,
            end: None,
        });
        Ok(index)
    }

    /// Decodes what can be reached from the instructions that are new.
    fn decode(&mut self, first_new: usize, around: &impl Surroundings) -> Result<(), Cause> {
        let mut current = first_new;
        while let Some(node) = self.nodes.get(current) {
            let (at, length) = (node.at, node.lifted.length);
            let after = at.checked_add(length).ok_or(Cause::NotUnderstood(at))?;
            let last = node.lifted.operations.last().copied();
            let (falls, target, end) = ways(last, at, after, around)?;
            let next = falls.then(|| self.node(after)).transpose()?;
            let jump = target.map(|target| self.node(target)).transpose()?;
            if let Some(node) = self.nodes.get_mut(current) {
                node.next = next;
                node.jumps.extend(jump);
                node.end = end;
            }
            current = current.saturating_add(1);
        }
        Ok(())
    }

    /// Refuses instructions that share bytes: one of them is read from the wrong place.
    fn is_sound(&self) -> Result<(), Cause> {
        let mut end = Vaddr(0);
        for (at, index) in &self.index {
            if *at < end {
                return Err(Cause::Overlapping(*at));
            }
            let length = self.nodes.get(*index).map_or(0, |node| node.lifted.length);
            end = at.checked_add(length).ok_or(Cause::NotUnderstood(*at))?;
        }
        Ok(())
    }
}

/// Returns whether the next instruction may come after one, where it jumps, and how it ends the path.
fn ways(
    last: Option<Operation>,
    at: Vaddr,
    after: Vaddr,
    around: &impl Surroundings,
) -> Result<(bool, Option<Vaddr>, Option<End>), Cause> {
    if matches!(last, Some(Operation::Odd | Operation::Opaque)) {
        return Err(Cause::NotUnderstood(at));
    }
    Ok(match last.map_or(Way::On, Operation::way) {
        Way::Call(Target::Fixed(to)) if around.never_returns(to) => (false, None, Some(End::Stop)),
        // Nor does a call that nothing of the function follows.
        Way::Call(_) if around.begins(after) => (false, None, Some(End::Stop)),
        Way::On | Way::Call(_) => (true, None, None),
        Way::Branch(target) => (true, Some(target), None),
        Way::Jump(Target::Fixed(Destination::Code(target))) => (false, Some(target), None),
        Way::Jump(Target::Fixed(to @ Destination::Slot(slot))) => match around.linked(slot) {
            Some(target) => (false, Some(target), None),
            None => (false, None, Some(End::Jump(to))),
        },
        Way::Jump(Target::Fixed(Destination::Unknown) | Target::Through(_)) => {
            (false, None, Some(End::Jump(Destination::Unknown)))
        }
        Way::Return => (false, None, Some(End::Return)),
        Way::End => (false, None, Some(End::Stop)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::around::{Around, bytes, code};

    fn graph(listing: &str, around: &Around) -> Result<Vec<(u64, Option<End>)>, Cause> {
        let bytes = bytes(listing);
        let graph = Graph::of(code(&bytes, 0x1000), Vaddr(0x1000), around)?;
        let mut nodes: Vec<_> = graph.nodes.iter().map(|node| (node.at.0, node.end)).collect();
        nodes.sort_by_key(|(at, _)| *at);
        Ok(nodes)
    }

    fn alone(listing: &str) -> Result<Vec<(u64, Option<End>)>, Cause> {
        graph(listing, &Around::default())
    }

    #[test]
    fn only_what_can_be_reached_is_decoded() {
        // je; jmp over bytes that are no code; ret
        let found = alone("85 ff 74 02 eb 02 06 06 c3").unwrap_err();
        assert_eq!(found, Cause::NotUnderstood(Vaddr(0x1006)), "the branch leads to them");
        let found = alone("85 ff 74 03 eb 01 06 c3").unwrap();
        assert_eq!(
            found,
            [
                (0x1000, None),
                (0x1002, None),
                (0x1004, None),
                (0x1007, Some(End::Return))
            ]
        );
    }

    #[test]
    fn a_jump_is_followed_out_of_the_function_and_through_a_stub() {
        let around = Around {
            linked: vec![(0x3000, 0x1008)],
            ..Around::default()
        };
        let stub = "ff 25 fa 1f 00 00 06 06 c3"; // jmp [rip]
        let found = graph(stub, &around).unwrap();
        assert_eq!(found, [(0x1000, None), (0x1008, Some(End::Return))]);
        let elsewhere = End::Jump(Destination::Slot(Vaddr(0x3000)));
        assert_eq!(alone(stub).unwrap(), [(0x1000, Some(elsewhere))]);
        let found = alone("eb 02 06 06 ff e0").unwrap();
        let open = End::Jump(Destination::Unknown);
        assert_eq!(found, [(0x1000, None), (0x1004, Some(open))]);
    }

    #[test]
    fn nothing_comes_after_a_call_that_never_returns() {
        let around = Around {
            last: vec![0x2000],
            ..Around::default()
        };
        assert_eq!(graph("e8 fb 0f 00 00", &around).unwrap(), [(0x1000, Some(End::Stop))]);
        assert_eq!(alone("e8 fb 0f 00 00"), Err(Cause::NotUnderstood(Vaddr(0x1005))));
        assert_eq!(alone("0f 0b").unwrap(), [(0x1000, Some(End::Stop))]);
        let around = Around {
            begins: vec![0x1005],
            ..Around::default()
        };
        let found = graph("e8 fb 0f 00 00 90 c3", &around).unwrap();
        assert_eq!(found, [(0x1000, Some(End::Stop))], "another function is behind it");
    }

    #[test]
    fn what_is_added_is_decoded_as_well() {
        let around = Around::default();
        let bytes = bytes("ff e0 06 90 c3 90 c3");
        let mut graph = Graph::of(code(&bytes, 0x1000), Vaddr(0x1000), &around).unwrap();
        let targets = [0x1005, 0x1003, 0x1003].map(Vaddr);
        graph.add_jumps(0, &targets, true, &around).unwrap();
        let addresses = graph.nodes[0].jumps.iter().map(|index| graph.nodes[*index].at.0);
        assert_eq!(addresses.collect::<Vec<_>>(), [0x1005, 0x1003]);
        assert_eq!((graph.nodes.len(), graph.nodes[0].end), (5, None));
        assert!(graph.nodes[0].is_by_pointer);
        let inside = graph.add_jumps(0, &[Vaddr(0x1001)], false, &around);
        assert!(inside.is_err(), "a jump into an instruction");
    }

    #[test]
    fn the_instructions_may_fill_their_limit_and_no_more() {
        let nops = |count: usize| format!("{} c3", "90 ".repeat(count));
        assert!(alone(&nops(limits::GRAPH_INSTRUCTIONS - 1)).is_ok());
        let refused = alone(&nops(limits::GRAPH_INSTRUCTIONS));
        assert!(matches!(refused, Err(Cause::TooLarge(_))), "{refused:?}");
    }
}
