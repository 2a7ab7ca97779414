//! Where the caller's buffer goes, from a public function down to the calls that copy into it.
//!
//! Each function that is given the buffer's address is analysed for all that it does with it. A function that is given
//! it only because a register was not cleared does nothing with it.

use std::collections::HashSet;

use super::linkage::{Linkage, copies};
use super::methods::Methods;
use crate::cause::Cause;
use crate::code::fixpoint::uses::{ARGUMENTS, Passed, Target, Use, uses};
use crate::code::{Destination, Field, Value};
use crate::elf::address::Vaddr;
use crate::limits;

/// The buffer among the arguments of every public function that reads.
const BUFFER: usize = 1;

/// Where a connection keeps its method: behind its version (`struct ssl_st` of OpenSSL 1.1.1 and 3.0), or behind its
/// kind, its context and its first method (3.2 to 4.0, `ssl/ssl_local.h`).
const METHOD: [u16; 2] = [0x8, 0x18];

/// Describes a call that copies to the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    /// Where the call is.
    pub(crate) at: Vaddr,
    /// The function that it is in.
    pub(crate) function: Vaddr,
    /// What that function was entered with, by the arguments of the public one.
    pub(crate) arguments: [Value; ARGUMENTS],
}

/// Looks for all that becomes of the buffer.
pub(crate) struct Chase<'a, 'data> {
    linkage: &'a Linkage<'a, 'data>,
    methods: &'a Methods,
    copies: Vec<Copy>,
    seen: HashSet<(Vaddr, [Value; ARGUMENTS])>,
    /// Where the connection keeps its method.
    method: Option<u16>,
}

impl<'a, 'data> Chase<'a, 'data> {
    /// Finds the calls that copy to the second argument of a public function, which takes so many.
    pub(crate) fn copies(
        linkage: &'a Linkage<'a, 'data>,
        methods: &'a Methods,
        entry: Vaddr,
        count: usize,
    ) -> Result<Vec<Copy>, Cause> {
        let mut chase = Self {
            linkage,
            methods,
            copies: Vec::new(),
            seen: HashSet::new(),
            method: None,
        };
        let argument = |index| Value::Field(Field::argument(index));
        let arguments = std::array::from_fn(|index| if index < count { argument(index) } else { Value::Unknown });
        chase.enter(entry, arguments, 0)?;
        Ok(chase.copies)
    }

    /// Follows the buffer through a function.
    fn enter(&mut self, entry: Vaddr, arguments: [Value; ARGUMENTS], depth: usize) -> Result<(), Cause> {
        let is_given = arguments.iter().any(|value| value.may_be(Some(BUFFER)));
        if !is_given || !self.seen.insert((entry, arguments)) {
            return Ok(());
        }
        if depth == limits::CHASED_DEPTH {
            return Err(Cause::TooDeep(entry));
        }
        let linkage = self.linkage;
        for used in linkage.analyse(entry, |function| uses(function, entry, &arguments, BUFFER))? {
            match used {
                Use::Passed(passed) => self.pass((entry, arguments), &passed, depth)?,
                Use::Stored(at) => return Err(Cause::BufferStored(at)),
                Use::Written(at) => return Err(Cause::CopiedInline(at)),
            }
        }
        Ok(())
    }

    fn pass(&mut self, caller: (Vaddr, [Value; ARGUMENTS]), passed: &Passed, depth: usize) -> Result<(), Cause> {
        let unknown = Cause::UnknownCall(passed.at);
        if passed.on_stack {
            return Err(unknown);
        }
        if !passed.found.is_empty() && !self.is_deferred(passed) {
            return Err(Cause::FrameHandedOver(passed.at));
        }
        match passed.target {
            Target::Fixed(to @ (Destination::Code(_) | Destination::Slot(_))) => match self.linkage.symbol(to) {
                Some(name) => self.pass_to_symbol(caller, passed, name, depth),
                None => match to {
                    Destination::Code(target) => self.enter(target, entered(passed), depth + 1),
                    Destination::Slot(_) | Destination::Unknown => Err(unknown),
                },
            },
            Target::Fixed(Destination::Unknown) => Err(unknown),
            Target::Value(value) => {
                let slot = self.slot(value).ok_or(unknown)?;
                let target = self.methods.function(self.linkage.image, slot)?;
                self.enter(target, entered(passed), depth + 1)
            }
        }
    }

    fn pass_to_symbol(
        &mut self,
        (function, arguments): (Vaddr, [Value; ARGUMENTS]),
        passed: &Passed,
        name: &'data [u8],
        depth: usize,
    ) -> Result<(), Cause> {
        let at = passed.at;
        if copies(name) {
            let [destination, ..] = passed.arguments;
            if destination.is_from(BUFFER) {
                self.copies.push(Copy {
                    at,
                    function,
                    arguments,
                });
            } else if destination.may_be(Some(BUFFER)) {
                return Err(Cause::BufferUnsure(at));
            }
            return Ok(());
        }
        let own = self.linkage.own_function(name).ok_or(Cause::UnknownCall(at))?;
        self.enter(own, entered(passed), depth + 1)
    }

    /// Returns the slot of a method table that an address was loaded from.
    fn slot(&mut self, target: Value) -> Option<u16> {
        let ([method, slot], _) = target.field()?.two().filter(|(_, width)| *width == 8)?;
        let is_method = METHOD.contains(&method) && *self.method.get_or_insert(method) == method;
        is_method.then_some(slot)
    }

    /// Returns whether a call that finds the buffer on the stack also finds the function there that fills it: it is
    /// for another stack of the same thread (`SSL_MODE_ASYNC`).
    fn is_deferred(&mut self, passed: &Passed) -> bool {
        passed.found.iter().any(|value| self.slot(*value).is_some())
    }
}

/// What a function is entered with: addresses on its caller's stack mean nothing to it.
fn entered(passed: &Passed) -> [Value; ARGUMENTS] {
    passed.arguments.map(Value::in_callee)
}
