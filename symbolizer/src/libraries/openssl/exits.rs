//! The hooks of the family that need no return probe.
//!
//! Bytes are read, and written, by the function behind the public ones, which calls that of the connection's table; the
//! cheaper of the two is taken. Where neither is proven, the public functions may be.

use super::functions::{self, PEEK, READ, READ_EX, WRITE, WRITE_EX};
use super::internal::{is_buffer, is_local, is_size_or_length};
use super::methods::Methods;
use crate::cause::Cause;
use crate::code::convention::Convention;
use crate::code::exits::{Pointer, Ways};
use crate::code::{Field, Value};
use crate::elf::address::Vaddr;
use crate::elf::image::{Image, Presence, SymbolKind};
use crate::elf::survey::{Finding, Survey, SymbolSource};
use crate::hook::{Hook, HookKind, Proof, Role};
use crate::libraries::exit::{Asked, Bodies, cost, exits_of};
use crate::libraries::hooks::hook;

/// A call that fails needs no end in most roles.
const ANY: Asked = Asked {
    ways: Ways::Successful,
    is_typed: false,
};
/// The functions of the tables are those of connections that are TLS alone; since OpenSSL 3.2 there are others.
const TYPED: Asked = Asked { is_typed: true, ..ANY };

/// How many arguments of a call are of interest.
const ARGUMENTS: usize = 5;

/// Makes the hooks. `hooks` are those of the plan, `public` those of the public functions.
pub(super) fn exits(
    image: &Image<'_>,
    survey: &Survey,
    hooks: &[Hook],
    public: &[Hook],
) -> (Vec<Hook>, Vec<(HookKind, Role, Cause)>) {
    let methods = Methods::new(image, survey);
    let pointers = |pointer| methods.targets(pointer);
    let bodies = &Bodies::new(image, &pointers);
    let of_role = |hooks: &[Hook], role| {
        hooks
            .iter()
            .filter(|hook| hook.role == role)
            .cloned()
            .collect::<Vec<_>>()
    };
    let others: Vec<Hook> = hooks
        .iter()
        .filter(|hook| !hook.role.carries_plaintext())
        .cloned()
        .collect();
    let (mut exits, mut refused) = exits_of(bodies, &others, ANY);
    for role in [Role::Read, Role::Write] {
        let planned = of_role(hooks, role);
        let (first, causes) = exits_of(bodies, &planned, ANY);
        let behind = method_function(bodies, survey, &methods, &planned);
        let (second, _) = exits_of(bodies, behind.as_slice(), TYPED);
        let sets = [first, second].into_iter().filter(|set| !set.is_empty());
        let cheapest = sets.min_by_key(|set| set.iter().map(cost).max());
        // The public functions alone leave out what calls those behind them.
        let public = || exits_of(bodies, &of_role(public, role), ANY).0;
        let set = cheapest.unwrap_or_else(public);
        if set.is_empty() {
            refused.extend(causes);
        }
        exits.extend(set);
    }
    (exits, refused)
}

/// Makes the hook of the function of the connection's table that some functions call with their own arguments.
fn method_function(bodies: &Bodies<'_, '_>, survey: &Survey, methods: &Methods<'_>, callers: &[Hook]) -> Option<Hook> {
    let mut slots = callers.iter().map(|caller| slot_of(bodies, caller));
    let slot = slots.next()??;
    if slots.any(|other| other != Some(slot)) || peeks(bodies, survey, slot) {
        return None;
    }
    let [address] = methods.targets(Pointer::Field(slot))[..] else {
        return None;
    };
    let caller = callers.first()?;
    let (name, like) = if caller.role == Role::Read {
        (READ, READ_EX)
    } else {
        (WRITE, WRITE_EX)
    };
    let finding = Finding {
        name,
        source: SymbolSource::Callers,
        presence: Presence::Defined,
        kind: SymbolKind::Function,
        address,
        size: 0,
    };
    let (_, function) = functions::function(like)?;
    let name = format!("{name}'s method");
    hook(bodies.image, function, &finding, Proof::Callers).map(|hook| Hook { name, ..hook })
}

/// Returns which pointer to a function a function calls with its own buffer; `None` if there are several.
fn slot_of(bodies: &Bodies<'_, '_>, caller: &Hook) -> Option<Field> {
    let calls = bodies.body(caller.address).ok()?.calls_by_pointer::<ARGUMENTS>();
    // The count is returned, or stored where an argument points to.
    let counted = caller.operands.count.map(|count| count.place);
    let convention = Convention::of(bodies.image.machine());
    let counted = (0..6)
        .find(|index| counted == Some(convention.argument(*index)))
        .map(usize::from);
    let is_data = |arguments: &[Value; ARGUMENTS]| {
        let [.., count, _] = *arguments;
        is_buffer(arguments, is_size_or_length)
            && match counted {
                Some(index) => count.field().and_then(Field::as_argument) == Some(index),
                None => is_local(count),
            }
    };
    let mut fields = calls
        .into_iter()
        .filter(|(_, arguments)| is_data(arguments))
        .map(|(field, _)| field);
    let first = fields.next()?;
    fields.all(|field| field == first).then_some(first)
}

/// Returns whether `SSL_peek` may call a pointer by itself: it does, or it is not understood; an absent one does not.
fn peeks(bodies: &Bodies<'_, '_>, survey: &Survey, slot: Field) -> bool {
    let peeks = |address: Vaddr| {
        bodies.body(address).map_or(true, |body| {
            let mut calls = body.calls_by_pointer::<ARGUMENTS>().into_iter();
            calls.any(|(field, _)| field == slot)
        })
    };
    let mut found = survey.functions(PEEK).into_iter();
    found.any(|peek| peeks(peek.address))
}
