//! Makes hooks without a return probe of those that have one, where the ends of their calls are proven.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::cause::Cause;
use crate::code::bytes::Code;
use crate::code::convention::Convention;
use crate::code::exits::{Body, Found, Pointer, Question, Spot, Ways};
use crate::code::site::{self, Site, Tier};
use crate::elf::address::Vaddr;
use crate::elf::image::Image;
use crate::hook::{Caller, ExitResult, ExitSite, Exits, Hook, HookKind, Role};
use crate::libraries::hooks::needs_of;
use crate::libraries::surroundings::Around;
use crate::limits;
use crate::operand::{Operand, Place};

/// Returns where an address may lead that a function has loaded.
pub(crate) type Pointers<'a> = &'a dyn Fn(Pointer) -> Vec<Vaddr>;

/// Holds the functions of an image that were decoded whole.
pub(crate) struct Bodies<'a, 'data> {
    pub(crate) image: &'a Image<'data>,
    around: Around<'a, 'data>,
    pointers: Pointers<'a>,
    known: RefCell<BTreeMap<Vaddr, Result<Rc<Body<'data>>, Cause>>>,
    /// How many more instructions are executed.
    budget: Cell<usize>,
}

impl<'a, 'data> Bodies<'a, 'data> {
    pub(crate) fn new(image: &'a Image<'data>, pointers: Pointers<'a>) -> Self {
        Self {
            image,
            around: Around::new(image),
            pointers,
            known: RefCell::default(),
            budget: Cell::new(limits::EXIT_STEPS),
        }
    }

    /// Decodes a function whole.
    pub(crate) fn body(&self, address: Vaddr) -> Result<Rc<Body<'data>>, Cause> {
        if let Some(known) = self.known.borrow().get(&address) {
            return known.clone();
        }
        let code = segment_of(self.image, address).ok_or(Cause::NotUnderstood(address))?;
        let body = Body::of(code, address, &self.around, self.pointers, &self.budget).map(Rc::new);
        self.known.borrow_mut().insert(address, body.clone());
        body
    }
}

/// Says what is asked of all ends of a library's calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Which calls have to be seen to end, beyond what a role needs.
    pub(crate) ways: Ways,
    /// Whether the first word of an object is zero wherever the functions are called.
    pub(crate) is_typed: bool,
}

/// Makes the hook that does without a return probe what another does with one.
fn exit_of(bodies: &Bodies<'_, '_>, hook: &Hook, asked: Asked) -> Result<Hook, Cause> {
    let unknown = Cause::NotUnderstood(hook.address);
    let code = segment_of(bodies.image, hook.address).ok_or(unknown)?;
    let body = bodies.body(hook.address)?;
    let begin = Code {
        bytes: code.from(hook.address).ok_or(unknown)?,
        address: hook.address,
        ..code
    };
    let needs = needs_of(&hook.operands, HookKind::Exit, code.machine);
    let site = site::choose(begin, hook.offset, &needs);
    let entry_depth = body.depth_at(site.address).ok_or(Cause::StackPointer(site.address))?;
    let ends = body.ends(&Question {
        entry: hook.address,
        size: hook.size,
        noted_at: site.address,
        outcome: hook.operands.result.ok_or(Cause::NoReturn(hook.address))?,
        ways: match asked.ways {
            Ways::All => Ways::All,
            Ways::Successful => needed_ways(hook.role),
        },
        is_typed: asked.is_typed,
        fails_early: needed_ways(hook.role) == Ways::Successful,
    })?;
    Ok(Hook {
        kind: HookKind::Exit,
        site,
        exits: Some(Exits {
            caller: Caller::Thread,
            entry_depth,
            entry_when: None,
            sites: sites(bodies.image, &ends.spots).ok_or(unknown)?,
            ways: ends.ways,
        }),
        ..hook.clone()
    })
}

/// Returns all the code of the segment that an address is in.
fn segment_of<'data>(image: &Image<'data>, address: Vaddr) -> Option<Code<'data>> {
    let segment = image.segments().containing(address)?;
    Some(Code {
        machine: image.machine(),
        bytes: image.bytes_from(segment.address)?,
        address: segment.address,
    })
}

/// Makes the hooks without return probes of all hooks that have one, and says why there is none.
///
/// Reading and writing have such hooks for all their functions, or for none.
pub(crate) fn exits_of(
    bodies: &Bodies<'_, '_>,
    hooks: &[Hook],
    asked: Asked,
) -> (Vec<Hook>, Vec<(HookKind, Role, Cause)>) {
    let (mut exits, mut refused) = (Vec::new(), Vec::new());
    for hook in hooks.iter().filter(|hook| hook.kind == HookKind::Return) {
        match exit_of(bodies, hook, asked) {
            Ok(exit) => exits.push(exit),
            Err(cause) => refused.push((HookKind::Exit, hook.role, cause)),
        }
    }
    let lacks = |role: Role| role.carries_plaintext() && refused.iter().any(|(_, refused, _)| *refused == role);
    exits.retain(|exit| !lacks(exit.role));
    (exits, refused)
}

/// Returns what the sites of a hook cost a call that does not fail by the function's own decision, in twentieths of a hit
/// that the kernel emulates.
pub(crate) fn cost(hook: &Hook) -> u64 {
    let exits = hook.exits.iter().flat_map(|exits| &exits.sites);
    let common = exits.filter(|exit| !exit.is_rare).map(|exit| exit.site.tier);
    let cost = |tier| match tier {
        Tier::Emulated => 20,
        Tier::Stepped => 400,
    };
    common.chain([hook.site.tier]).map(cost).fold(0, u64::saturating_add)
}

/// Returns which calls a hook has to see the end of.
const fn needed_ways(role: Role) -> Ways {
    if role.marks_connection() {
        Ways::All
    } else {
        Ways::Successful
    }
}

/// Describes the ends of a function of an image.
pub(crate) fn sites(image: &Image<'_>, spots: &[Spot]) -> Option<Vec<ExitSite>> {
    let convention = Convention::of(image.machine());
    let site = |spot: &Spot| {
        Some(ExitSite {
            site: Site {
                tier: spot.tier,
                address: spot.at,
                offset: image.segments().offset_of(spot.at)?,
                instruction: spot.instruction,
            },
            depth: spot.depth,
            result: match spot.result {
                Found::Register(register, width) => {
                    let place = Place::Register(convention.dwarf_number(register));
                    ExitResult::In(Operand::at(place, width))
                }
                Found::Number(number) => ExitResult::Always(number),
            },
            when: spot.when,
            is_rare: spot.is_rare,
        })
    };
    spots.iter().map(site).collect()
}
