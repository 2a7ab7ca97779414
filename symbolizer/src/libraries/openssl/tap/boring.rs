//! BoringSSL and AWS-LC: the copy in `SSL_read`, and the function that encrypts a record.
//!
//! `SSL_read` copies from what the last record of application data has left, and then moves the beginning of that on; so
//! the type of a record need not be looked at. Whatever `SSL_write` takes goes through `tls_seal_record` once, also where
//! the socket takes no more: the call that is repeated only sends what was encrypted.

use super::linkage::Linkage;
use super::methods::Methods;
use super::{APPLICATION_DATA, Chase, Copies, Copy, Library, POINTER, TYPE, is_connection};
use crate::cause::Cause;
use crate::code::convention::Convention;
use crate::code::effects::{Call, Effects, Target, effects_of};
use crate::code::site::{self, Tier};
use crate::code::{Destination, Field, Value};
use crate::elf::address::Vaddr;
use crate::elf::image::{Image, Presence, Symbol, SymbolKind, Table};
use crate::elf::machine::Machine;
use crate::elf::survey::{Finding, Survey, SymbolSource};
use crate::hook::{Hook, HookKind, Proof, Role};
use crate::libraries::hooks::{code_of, needs_of};
use crate::libraries::openssl::functions::{PEEK, READ};
use crate::limits;
use crate::operand::{Guard, Operand, Operands, Place};

/// The function that encrypts a record. Its mangled name has the types of its parameters: the connection, where to put
/// the record, the length of that, how much room there is, the type, the bytes, and their number.
const SEAL: Mangled = Mangled {
    name: "tls_seal_record",
    begins: b"_ZN4bssl15tls_seal_recordEP",
    ends: b"PhPmmhPKhm",
};
/// What `SSL_write` calls with the bytes of the program.
const WRITE: Mangled = Mangled {
    name: "tls_write_app_data",
    begins: b"_ZN4bssl18tls_write_app_dataEP",
    ends: b"",
};

/// Where the type of the record is among the arguments of `tls_seal_record`, and the bytes.
const KIND: u8 = 4;
const BYTES: u8 = 5;
/// Where their number is as the function is entered: above the return address.
const COUNT: Place = Place::Stack(8);

/// Describes the name of a C++ function.
struct Mangled {
    name: &'static str,
    begins: &'static [u8],
    ends: &'static [u8],
}

impl Mangled {
    fn is_of(&self, symbol: &Symbol<'_>) -> bool {
        let is_function = symbol.kind == SymbolKind::Function && symbol.presence == Presence::Defined;
        is_function
            && symbol
                .name_within(limits::SYMBOL_NAME)
                .is_some_and(|name| name.starts_with(self.begins) && name.ends_with(self.ends))
    }

    /// Finds the one function of this name.
    fn find(&self, image: &Image<'_>) -> Result<Finding, Cause> {
        let missing = Cause::FunctionMissing(self.name);
        let symbols = image.symbols(Table::Symtab).map_err(|_unread| missing)?;
        let mut found = symbols.filter(|symbol| self.is_of(symbol));
        let symbol = found.next().ok_or(missing)?;
        if found.any(|other| other.address != symbol.address) {
            return Err(Cause::SeveralCopies);
        }
        Ok(Finding {
            name: self.name,
            source: SymbolSource::of(image, Table::Symtab),
            presence: Presence::Defined,
            kind: SymbolKind::Function,
            address: symbol.address,
            size: symbol.size,
        })
    }
}

/// Finds the hooks of what is read.
pub(crate) fn reading(image: &Image<'_>, survey: &Survey) -> Result<Vec<Hook>, Cause> {
    let linkage = &on_x86_64(image, survey)?;
    let library = library(linkage, survey);
    let copies = library.copies(READ, 3)?;
    for copy in &copies {
        is_of_pending_data(linkage, copy)?;
    }
    let peeked = if survey.defines(PEEK) {
        library.copies(PEEK, 3)?
    } else {
        // It was left out of the image, since nothing calls it.
        Vec::new()
    };
    library.hooks(&copies, &peeked)
}

/// Holds the hooks of what a function reads that has no name.
pub(crate) struct Reading {
    pub(crate) hooks: Vec<Hook>,
    /// Where a connection keeps the pointer to what is left of a record's data, among other things.
    pub(crate) state: u16,
}

/// Finds the hooks of what a function reads that has no name and may be `SSL_read`. It has to copy itself, and to move the
/// beginning of what is left on: `SSL_peek`, which copies the same, leaves it where it is.
pub(crate) fn reading_at(linkage: &Linkage<'_, '_>, survey: &Survey, read: Vaddr) -> Result<Reading, Cause> {
    let library = library(linkage, survey);
    let copies = Chase::copies(linkage, &library.methods, read, 3)?;
    let mut states = Vec::new();
    for copy in &copies {
        if copy.function != read {
            return Err(Cause::PeekLost(copy.at));
        }
        let [state, bytes] = is_of_pending_data(linkage, copy)?;
        let stored = effects(linkage, read)?.stored_behind;
        let moves = |at, width| stored.iter().any(|field| field.two() == Some(([state, at], width)));
        let length = bytes.checked_add(POINTER.into());
        let is_moved = moves(bytes, POINTER) && length.is_some_and(|at| moves(at, POINTER));
        if !is_moved && !moves(bytes, 2 * POINTER) {
            return Err(Cause::PeekLost(copy.at));
        }
        states.push(state);
    }
    states.dedup();
    let hooks = library.hooks(&copies, &[])?;
    match states[..] {
        [state] => Ok(Reading { hooks, state }),
        _ => Err(Cause::NoCopy),
    }
}

fn library<'a, 'data>(linkage: &'a Linkage<'a, 'data>, survey: &'a Survey) -> Library<'a, 'data> {
    Library {
        linkage,
        image: linkage.image,
        survey,
        methods: Methods::none(),
        copies: Copies::Data,
        reads: READ,
    }
}

/// Requires that a call copies from where a field behind a field of the connection leads, and that the function compares
/// how much its caller wants with the field next to it: the two are what is left of a record's data. Returns where the first
/// is.
fn is_of_pending_data(linkage: &Linkage<'_, '_>, copy: &Copy) -> Result<[u16; 2], Cause> {
    let effects = effects(linkage, copy.function)?;
    let mut calls = effects.calls.iter().filter(|call| call.at == copy.at);
    let pending = calls.find_map(|call| {
        let (at, width) = call.arguments[1].field().and_then(Field::two)?;
        (width == POINTER && is_left(&effects, at)).then_some(at)
    });
    pending.ok_or(Cause::SourceUnsure(copy.at))
}

/// Returns whether a function compares the field behind one with the number that is its third argument.
fn is_left(effects: &Effects, [structure, bytes]: [u16; 2]) -> bool {
    let length = bytes.checked_add(POINTER.into()).map(|at| ([structure, at], POINTER));
    let is_length = |value: Value| length.is_some() && value.field().and_then(Field::two) == length;
    let is_wanted = |value: Value| {
        let part = value.field().and_then(Field::as_part_of_argument);
        part.is_some_and(|(argument, _)| argument == 2)
    };
    let mut compared = effects.compared.iter();
    compared.any(|(left, right, _)| is_length(*left) && is_wanted(*right) || is_length(*right) && is_wanted(*left))
}

/// Finds the hook of what is written.
pub(crate) fn writing(image: &Image<'_>, survey: &Survey) -> Result<Hook, Cause> {
    let linkage = &on_x86_64(image, survey)?;
    let seal = SEAL.find(image)?;
    is_called_with_data(linkage, WRITE.find(image)?.address, seal.address)?;
    sealing(linkage, &seal, Proof::Types)
}

/// Makes the hook of the function that encrypts a record.
pub(crate) fn sealing(linkage: &Linkage<'_, '_>, seal: &Finding, proof: Proof) -> Result<Hook, Cause> {
    let image = linkage.image;
    let own = effects(linkage, seal.address)?;
    if !own
        .compared
        .iter()
        .any(|(left, right, width)| compares_type(*left, *right, *width))
    {
        return Err(Cause::TypeLost(seal.address));
    }
    let operands = operands(Convention::of(image.machine()));
    let lost = Cause::NotUnderstood(seal.address);
    let offset = image.segments().offset_of(seal.address).ok_or(lost)?;
    // The stack pointer is where it was at the entry, as for a return probe.
    let needs = needs_of(&operands, HookKind::Return, image.machine());
    let site = site::choose(code_of(image, seal).ok_or(lost)?, offset, &needs);
    if site.tier != Tier::Emulated {
        return Err(Cause::NotEmulated(seal.address));
    }
    Ok(Hook {
        kind: HookKind::Tap,
        role: Role::Write,
        name: SEAL.name.to_owned(),
        found: seal.source,
        address: seal.address,
        offset,
        size: seal.size,
        site,
        operands,
        proof,
        exits: None,
        returns_to: None,
    })
}

/// Where the function that encrypts a record finds what it needs, as it is entered.
fn operands(convention: Convention) -> Operands {
    let argument = |index, width| Operand::at(convention.argument(index), width);
    Operands {
        object: argument(0, POINTER),
        buffer: Some(argument(BYTES, POINTER)),
        length: None,
        count: Some(Operand::at(COUNT, POINTER)),
        transports: [None; 2],
        result: None,
        sequence: None,
        pieces: None,
        guards: [
            Some(Guard {
                operand: argument(KIND, TYPE),
                equals: APPLICATION_DATA,
            }),
            None,
        ],
    }
}

/// Requires that what writes calls the function that encrypts with its own connection, itself or by a function that it
/// calls with that.
fn is_called_with_data(linkage: &Linkage<'_, '_>, write: Vaddr, seal: Vaddr) -> Result<(), Cause> {
    let outer = effects(linkage, write)?;
    if outer.calls.iter().any(|call| seals(call, seal)) {
        return Ok(());
    }
    let callees = outer.calls.iter().filter(|call| is_connection(call.arguments[0]));
    let callees = callees.filter_map(|call| match call.target {
        Target::To(Destination::Code(address)) => Some(address),
        Target::To(_) | Target::Value(_) => None,
    });
    // Those that are not understood are others.
    let mut inner = callees.filter_map(|address| effects(linkage, address).ok());
    let found = inner.any(|effects| effects.calls.iter().any(|call| seals(call, seal)));
    found.then_some(()).ok_or(Cause::UnknownCall(write))
}

/// Recognises a call that encrypts a record of data, or of the type that the caller was given.
pub(crate) fn seals(call: &Call, seal: Vaddr) -> bool {
    let [.., kind, _bytes] = call.arguments;
    let is_kind =
        kind == Value::Constant(APPLICATION_DATA.into()) || kind.field().and_then(Field::as_part_of_argument).is_some();
    call.target == Target::To(Destination::Code(seal)) && is_connection(call.arguments[0]) && is_kind
}

/// Returns whether the lowest byte of the argument that has the type is compared with that of application data.
fn compares_type(left: Value, right: Value, width: u8) -> bool {
    let is_type = |value: Value| {
        let part = value.field().and_then(Field::as_part_of_argument);
        part == Some((KIND.into(), TYPE))
    };
    let is_data = |value| value == Value::Constant(APPLICATION_DATA.into());
    width == TYPE && (is_type(left) && is_data(right) || is_type(right) && is_data(left))
}

fn on_x86_64<'a, 'data>(image: &'a Image<'data>, survey: &'a Survey) -> Result<Linkage<'a, 'data>, Cause> {
    if image.machine() == Machine::X86_64 {
        Ok(Linkage::new(image, survey))
    } else {
        Err(Cause::MachineUnsupported)
    }
}

/// Lists what a function does.
pub(crate) fn effects(linkage: &Linkage<'_, '_>, address: Vaddr) -> Result<Effects, Cause> {
    linkage.analyse(address, |function| effects_of(function, address))
}
