//! Where the caller's buffer goes, from a public function down to the calls that copy into it.
//!
//! Each function that is given the buffer's address is analysed for all that it does with it. A function that is given
//! it only because a register was not cleared does nothing with it.

use std::collections::HashSet;

use super::linkage::{Linkage, copies};
use super::methods::Methods;
use crate::cause::Cause;
use crate::code::fixpoint::Function;
use crate::code::fixpoint::uses::{ARGUMENTS, Passed, RECORDED, Record, Target, Use, uses};
use crate::code::{Destination, Field, Value};
use crate::elf::address::Vaddr;
use crate::limits;

/// The buffer among the arguments of every public function that reads.
const BUFFER: usize = 1;

/// What calls a function with what it is given, on another stack.
const JOB: &[u8] = b"ASYNC_start_job";

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

/// The state at the entry of a function: its arguments, and what is known of the memory that one of them points to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entered {
    function: Vaddr,
    arguments: [Value; ARGUMENTS],
    record: Record,
}

impl Entered {
    /// A function that a call enters: addresses on its caller's stack mean nothing to it.
    fn by_call(passed: &Passed, function: Vaddr) -> Self {
        Self {
            function,
            arguments: passed.arguments.map(Value::in_callee),
            record: Record::new(),
        }
    }

    /// A function that is given only what a call finds on the stack.
    fn with_found(passed: &Passed, function: Vaddr) -> Self {
        let mut arguments = [Value::Unknown; ARGUMENTS];
        arguments[0] = RECORDED;
        let found = passed.found.iter();
        Self {
            function,
            arguments,
            record: found
                .map(|(at, value, width)| (*at, value.in_callee(), *width))
                .collect(),
        }
    }

    fn is_given_buffer(&self) -> bool {
        let found = self.record.iter().map(|(_, value, _)| value);
        self.arguments
            .iter()
            .chain(found)
            .any(|value| value.may_be(Some(BUFFER)))
    }
}

/// Looks for all that becomes of the buffer.
pub(crate) struct Chase<'a, 'data> {
    linkage: &'a Linkage<'a, 'data>,
    methods: &'a Methods,
    copies: Vec<Copy>,
    seen: HashSet<Entered>,
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
        let record = Record::new();
        let entered = Entered {
            function: entry,
            arguments,
            record,
        };
        chase.enter(&entered, 0)?;
        Ok(chase.copies)
    }

    /// Follows the buffer through a function.
    fn enter(&mut self, entered: &Entered, depth: usize) -> Result<(), Cause> {
        if !entered.is_given_buffer() || !self.seen.insert(entered.clone()) {
            return Ok(());
        }
        let Entered {
            function,
            arguments,
            record,
        } = entered;
        if depth == limits::CHASED_DEPTH {
            return Err(Cause::TooDeep(*function));
        }
        let uses = |code: Function<'_>| uses(code, (*function, arguments, record), BUFFER);
        for used in self.linkage.analyse(*function, uses)? {
            match used {
                Use::Passed(passed) => self.pass(entered, &passed, depth)?,
                Use::Stored(at) => return Err(Cause::BufferStored(at)),
                Use::Written(at) => return Err(Cause::CopiedInline(at)),
            }
        }
        Ok(())
    }

    fn pass(&mut self, caller: &Entered, passed: &Passed, depth: usize) -> Result<(), Cause> {
        let unknown = Cause::UnknownCall(passed.at);
        if passed.on_stack {
            return Err(unknown);
        }
        if !passed.found.is_empty() {
            self.defer(passed, depth)?;
        }
        match passed.target {
            Target::Fixed(to @ (Destination::Code(_) | Destination::Slot(_))) => match self.linkage.symbol(to) {
                Some(name) => self.pass_to_symbol(caller, passed, name, depth),
                None => match to {
                    Destination::Code(target) => self.enter(&Entered::by_call(passed, target), depth + 1),
                    Destination::Slot(_) | Destination::Unknown => Err(unknown),
                },
            },
            Target::Fixed(Destination::Unknown) => Err(unknown),
            Target::Value(value) => {
                let slot = self.slot(value).ok_or(unknown)?;
                let target = self.methods.function(self.linkage.image, slot)?;
                self.enter(&Entered::by_call(passed, target), depth + 1)
            }
        }
    }

    /// Follows the buffer through what a call finds on the stack. With `SSL_MODE_ASYNC`, a function of the same call is
    /// given all that, on another stack.
    fn defer(&mut self, passed: &Passed, depth: usize) -> Result<(), Cause> {
        let mut functions = passed
            .arguments
            .iter()
            .filter_map(|value| self.linkage.function_at(*value));
        let (Some(function), None) = (functions.next(), functions.next()) else {
            return Err(Cause::FrameHandedOver(passed.at));
        };
        self.enter(&Entered::with_found(passed, function), depth + 1)
    }

    fn pass_to_symbol(
        &mut self,
        caller: &Entered,
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
                    function: caller.function,
                    arguments: caller.arguments,
                });
            } else if destination.may_be(Some(BUFFER)) {
                return Err(Cause::BufferUnsure(at));
            }
            return Ok(());
        }
        let entered = Entered::by_call(passed, Vaddr(0));
        if name == JOB && !entered.is_given_buffer() {
            return Ok(());
        }
        let own = self.linkage.own_function(name).ok_or(Cause::UnknownCall(at))?;
        self.enter(&Entered::by_call(passed, own), depth + 1)
    }

    /// Returns the slot of a method table that an address was loaded from.
    fn slot(&mut self, target: Value) -> Option<u16> {
        let ([method, slot], _) = target.field()?.two().filter(|(_, width)| *width == 8)?;
        let is_method = METHOD.contains(&method) && *self.method.get_or_insert(method) == method;
        is_method.then_some(slot)
    }
}
