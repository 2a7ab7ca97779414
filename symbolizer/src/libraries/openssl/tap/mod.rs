//! The call that copies what was read to the caller: where one probe brings connection, bytes and count at once.
//!
//! It is found by data flow, not by a table of versions: from `SSL_read` through the method tables to the calls of
//! `memcpy` whose destination comes from the caller's buffer (`ssl3_read_bytes` in OpenSSL 1.1.1 to 4.0). The same call
//! also copies handshake messages and what is only peeked at, so the type of the record and that flag are conditions of
//! a hit. A plan has these hooks only if nothing else is done with the buffer.

pub(super) mod boring;
mod chase;
pub(super) mod linkage;
pub(super) mod methods;

use crate::cause::Cause;
use crate::code::Value;
use crate::code::convention::Convention;
use crate::code::fixpoint::places::{Arguments, arguments_at};
use crate::code::instruction::Instruction;
use crate::code::site::{Site, Tier};
use crate::elf::address::Vaddr;
use crate::elf::image::Image;
use crate::elf::machine::Machine;
use crate::elf::survey::{Survey, SymbolSource};
use crate::hook::{Hook, HookKind, Proof, Role};
use crate::libraries::openssl::functions::{PEEK, READ, READ_BYTES, READ_EX};
use crate::operand::{Guard, Operand, Operands};

use chase::{Chase, Copy};
use linkage::Linkage;
use methods::Methods;

pub(super) use boring::{reading as boring_reading, writing as boring_writing};
pub(super) use linkage::names;

/// The type of records that hold a program's data (RFC 8446, 5.1).
const APPLICATION_DATA: u32 = 0x17;

/// Finds the hooks.
pub(super) fn reading(image: &Image<'_>, survey: &Survey) -> Result<Vec<Hook>, Cause> {
    if image.machine() != Machine::X86_64 {
        return Err(Cause::MachineUnsupported);
    }
    let linkage = &Linkage::new(image, survey);
    let library = Library {
        linkage,
        image,
        survey,
        methods: Methods::find(linkage, survey)?,
        copies: Copies::Records,
        reads: READ,
    };
    let mut copies = library.copies(READ, 3)?;
    if survey.defines(READ_EX) {
        copies.extend(library.copies(READ_EX, 4)?);
    }
    let peeked = library.copies(PEEK, 3)?;
    library.hooks(&copies, &peeked)
}

/// Finds the hooks of a library without tables of methods and without a way to peek, by its functions that read and by how
/// many arguments they take.
pub(crate) fn reading_by(
    image: &Image<'_>,
    survey: &Survey,
    functions: [(&'static str, usize); 2],
) -> Result<Vec<Hook>, Cause> {
    if image.machine() != Machine::X86_64 {
        return Err(Cause::MachineUnsupported);
    }
    let linkage = &Linkage::new(image, survey);
    let [(reads, _), _] = functions;
    let library = Library {
        linkage,
        image,
        survey,
        methods: Methods::none(),
        copies: Copies::Records,
        reads,
    };
    let mut copies = Vec::new();
    for (name, count) in functions {
        copies.extend(library.copies(name, count)?);
    }
    library.hooks(&copies, &[])
}

/// Says what the calls copy that are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copies {
    /// What records hold: data of the program, or messages of a handshake.
    Records,
    /// Data of the program alone.
    Data,
}

struct Library<'a, 'data> {
    linkage: &'a Linkage<'a, 'data>,
    image: &'a Image<'data>,
    survey: &'a Survey,
    methods: Methods,
    copies: Copies,
    /// The function that reads.
    reads: &'static str,
}

impl Library<'_, '_> {
    /// Makes the hooks of all calls that copy, of those that reading comes to; peeking may come to the same.
    fn hooks(&self, copies: &[Copy], peeked: &[Copy]) -> Result<Vec<Hook>, Cause> {
        let mut hooks: Vec<Hook> = Vec::new();
        for copy in copies {
            let hook = self.hook(copy, copies, peeked)?;
            match hooks.iter().find(|known| known.site == hook.site) {
                None => hooks.push(hook),
                Some(known) if *known == hook => {}
                // Which arguments matter depends on the way there.
                Some(_) => return Err(Cause::TypeLost(copy.at)),
            }
        }
        hooks.sort_by_key(|hook| hook.site.address);
        if hooks.is_empty() {
            Err(Cause::NoCopy)
        } else {
            Ok(hooks)
        }
    }

    /// Finds the calls that copy to the buffer that a public function of so many arguments is given.
    fn copies(&self, name: &'static str, count: usize) -> Result<Vec<Copy>, Cause> {
        let functions = self.survey.functions(name);
        match functions.as_slice() {
            [function] => Chase::copies(self.linkage, &self.methods, function.address, count),
            [] => Err(Cause::FunctionMissing(name)),
            _ => Err(Cause::SeveralCopies),
        }
    }

    /// Makes the hook of a call that copies, one of those that reading comes to; peeking may come to the same function.
    fn hook(&self, copy: &Copy, read: &[Copy], peeked: &[Copy]) -> Result<Hook, Cause> {
        let Copy { at, function, .. } = *copy;
        let known = self.arguments_at(function, read)?;
        let connection = copy
            .arguments
            .iter()
            .position(|value| is_connection(*value))
            .and_then(|index| {
                known
                    .place(at, index, POINTER)
                    .or_else(|| known.place_before(at, index))
            })
            .ok_or(Cause::ConnectionLost(at))?;
        let of_type = match self.copies {
            Copies::Records => type_guard(copy, &known)?,
            Copies::Data => None,
        };
        let guards = [of_type, peek_guard(copy, peeked, &known)?];
        let convention = Convention::of(self.image.machine());
        let argument = |index| Some(Operand::at(convention.argument(index), POINTER));
        let named = self.survey.names_at(function).find(|name| *name == READ_BYTES);
        Ok(Hook {
            kind: HookKind::Tap,
            role: Role::Read,
            name: named.map_or_else(|| format!("{}'s copy", self.reads), str::to_owned),
            found: SymbolSource::Callers,
            address: function,
            offset: self
                .image
                .segments()
                .offset_of(function)
                .ok_or(Cause::NotUnderstood(function))?,
            size: 0,
            site: self.site(at)?,
            operands: Operands {
                object: Operand::at(connection, POINTER),
                // What is copied, since the buffer is not filled yet.
                buffer: argument(1),
                length: None,
                count: argument(2),
                transports: [None; 2],
                result: None,
                sequence: None,
                pieces: None,
                guards,
            },
            proof: Proof::DataFlow,
            exits: None,
            returns_to: None,
        })
    }

    fn arguments_at(&self, function: Vaddr, copies: &[Copy]) -> Result<Arguments, Cause> {
        let calls: Vec<_> = copies.iter().map(|copy| copy.at).collect();
        self.linkage
            .analyse(function, |code| arguments_at(code, function, &calls))
    }

    /// Returns the site of a probe on a call, which has to be of the one form that the kernel emulates.
    fn site(&self, address: Vaddr) -> Result<Site, Cause> {
        let not_emulated = Cause::NotEmulated(address);
        let bytes = self.image.bytes_from(address).ok_or(not_emulated)?;
        if bytes.first() != Some(&CALL) {
            return Err(not_emulated);
        }
        Ok(Site {
            tier: Tier::Emulated,
            address,
            offset: self.image.segments().offset_of(address).ok_or(not_emulated)?,
            instruction: Instruction::Call,
        })
    }
}

/// A hit counts if the record holds a program's data; needs no condition if the code compares that before.
fn type_guard(copy: &Copy, known: &Arguments) -> Result<Option<Guard>, Cause> {
    let is_type = |value: &&Value| **value == Value::Constant(APPLICATION_DATA.into());
    let lost = Cause::TypeLost(copy.at);
    if copy.arguments.iter().filter(is_type).count() != 1 {
        return Err(lost);
    }
    let index = copy.arguments.iter().position(|value| is_type(&value)).ok_or(lost)?;
    if known.is_equal(copy.at, index, APPLICATION_DATA.into(), TYPE) {
        return Ok(None);
    }
    let place = known.place(copy.at, index, TYPE).ok_or(lost)?;
    Ok(Some(Guard {
        operand: Operand::at(place, TYPE),
        equals: APPLICATION_DATA,
    }))
}

/// A hit counts if the bytes are not only peeked at; needs no condition if peeking does not come there.
fn peek_guard(copy: &Copy, peeked: &[Copy], known: &Arguments) -> Result<Option<Guard>, Cause> {
    let lost = Cause::PeekLost(copy.at);
    let Some(peek) = peeked.iter().find(|peek| peek.at == copy.at) else {
        return Ok(None);
    };
    if peek.function != copy.function {
        return Err(lost);
    }
    let mut pairs = copy.arguments.iter().zip(&peek.arguments);
    let differs = |(read, peek): (&Value, &Value)| matches!((read, peek), (Value::Constant(0), Value::Constant(flag)) if *flag != 0);
    let index = pairs.position(differs).ok_or(lost)?;
    let place = known.place(copy.at, index, FLAG).ok_or(lost)?;
    Ok(Some(Guard {
        operand: Operand::at(place, FLAG),
        equals: 0,
    }))
}

pub(super) fn is_connection(value: Value) -> bool {
    value.field().and_then(crate::code::Field::as_argument) == Some(0)
}

/// The first byte of a call of a fixed place.
const CALL: u8 = 0xe8;
/// The width of a pointer.
const POINTER: u8 = 8;
/// The width of a record's type.
const TYPE: u8 = 1;
/// The width of an `int`.
const FLAG: u8 = 4;
