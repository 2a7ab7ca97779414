//! The functions of an image as they call each other: where they begin, and what the dynamic linker makes of a call.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;

use crate::cause::Cause;
use crate::code::bytes::Code;
use crate::code::callee::{Callee, Returns};
use crate::code::calls::stub_slot;
use crate::code::convention::Convention;
use crate::code::fixpoint::{Function, read_arguments};
use crate::code::{Destination, Value};
use crate::elf::address::Vaddr;
use crate::elf::image::{Frames, Image, Presence, Table};
use crate::elf::survey::Survey;
use crate::limits;

/// Functions of the crypto library and the C library that are called while registers still hold what was in them, and
/// how many arguments they take.
const ARITIES: [(&str, u8); 26] = [
    ("ASYNC_get_current_job", 0),
    ("BIO_clear_flags", 2),
    ("BIO_ctrl", 4),
    ("BIO_set_flags", 2),
    ("BIO_snprintf", 6),
    ("CRYPTO_clear_free", 4),
    ("CRYPTO_free", 3),
    ("CRYPTO_malloc", 3),
    ("CRYPTO_zalloc", 3),
    ("ERR_add_error_data", 6),
    ("ERR_clear_error", 0),
    ("ERR_new", 0),
    ("ERR_pop_to_mark", 0),
    ("ERR_put_error", 5),
    ("ERR_set_debug", 3),
    ("ERR_set_mark", 0),
    ("OPENSSL_cleanse", 2),
    ("__errno_location", 0),
    ("__stack_chk_fail", 0),
    ("abort", 0),
    ("free", 1),
    ("malloc", 1),
    ("pthread_getspecific", 1),
    ("pthread_once", 2),
    ("pthread_self", 0),
    ("pthread_setspecific", 2),
];

/// Lists the names of those that may be in the same image.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let names = ARITIES.into_iter().map(|(name, _)| name);
    names.filter(|name| name.starts_with(|letter: char| letter.is_ascii_uppercase()))
}

/// What copies bytes to where its first argument points, and returns that.
const COPIES: [&[u8]; 4] = [b"memcpy", b"memmove", b"__memcpy_chk", b"__memmove_chk"];

/// Returns whether a symbol is that of a function that copies bytes to where its first argument points.
pub(crate) fn copies(name: &[u8]) -> bool {
    COPIES.contains(&name)
}

/// Returns what is known of the function of a name.
fn known(is_name: impl Fn(&str) -> bool) -> Option<Callee> {
    let known = ARITIES.iter().find(|(name, _)| is_name(name));
    known.map(|(_, count)| Callee::of(*count))
}

/// Knows the functions of an image.
pub(crate) struct Linkage<'a, 'data> {
    pub(crate) image: &'a Image<'data>,
    survey: &'a Survey,
    frames: Frames<'data>,
    /// The symbols that the dynamic linker puts the addresses of somewhere, by their indices.
    linked: OnceCell<HashMap<Vaddr, usize>>,
    /// Cache of the symbols that calls lead to.
    symbols: RefCell<HashMap<Vaddr, Option<&'data [u8]>>>,
    /// Cache of the arguments that functions read.
    read: RefCell<HashMap<Vaddr, u32>>,
    /// Depth of nested analyses of functions that call each other.
    depth: Cell<usize>,
    /// How many more instructions are executed.
    budget: Cell<usize>,
}

impl<'a, 'data> Linkage<'a, 'data> {
    pub(crate) fn new(image: &'a Image<'data>, survey: &'a Survey) -> Self {
        Self {
            image,
            survey,
            frames: image.frames(),
            linked: OnceCell::new(),
            symbols: RefCell::default(),
            read: RefCell::default(),
            depth: Cell::new(0),
            budget: Cell::new(limits::ANALYSIS_STEPS),
        }
    }

    /// Analyses the function at an address.
    pub(crate) fn analyse<T>(
        &self,
        entry: Vaddr,
        analysis: impl FnOnce(Function<'_>) -> Result<T, Cause>,
    ) -> Result<T, Cause> {
        analysis(Function {
            code: self.code_around(entry).ok_or(Cause::NotUnderstood(entry))?,
            convention: Convention::of(self.image.machine()),
            is_start: &|at| self.frames.begins(at),
            callee: &|to| self.callee(to),
            never_returns: &|_| false,
            budget: &self.budget,
        })
    }

    /// Returns what is known of a called function.
    fn callee(&self, to: Destination) -> Callee {
        match (self.symbol(to), to) {
            (Some(name), _) if copies(name) => Callee {
                returns: Returns::First,
                ..Callee::of(3)
            },
            (Some(name), _) => known(|known| known.as_bytes() == name).unwrap_or(Callee::ANY),
            (None, Destination::Code(at)) => {
                let own = known(|known| self.survey.names_at(at).any(|name| name == known));
                own.unwrap_or_else(|| Callee {
                    takes: self.read_arguments(at),
                    ..Callee::ANY
                })
            }
            (None, Destination::Slot(_) | Destination::Unknown) => Callee::ANY,
        }
    }

    /// Returns which arguments in registers a function of the image may read, as bits.
    fn read_arguments(&self, at: Vaddr) -> u32 {
        if let Some(known) = self.read.borrow().get(&at) {
            return *known;
        }
        let depth = self.depth.get();
        if depth == limits::READ_DEPTH {
            return u32::MAX;
        }
        // A function that comes back to itself may read all.
        self.read.borrow_mut().insert(at, u32::MAX);
        self.depth.set(depth + 1);
        let read = self.analyse(at, |function| Ok(read_arguments(function, at)));
        self.depth.set(depth);
        let read = read.unwrap_or(u32::MAX);
        self.read.borrow_mut().insert(at, read);
        read
    }

    /// Returns the name of the symbol that the dynamic linker makes a call lead to, directly or by a stub of the
    /// procedure linkage table.
    pub(crate) fn symbol(&self, target: Destination) -> Option<&'data [u8]> {
        let at = match target {
            Destination::Unknown => return None,
            Destination::Slot(at) | Destination::Code(at) => at,
        };
        if let Some(known) = self.symbols.borrow().get(&at) {
            return *known;
        }
        let slot = match target {
            Destination::Code(stub) => self.code_around(stub).and_then(|code| stub_slot(code.starting(stub)?)),
            Destination::Slot(_) | Destination::Unknown => Some(at),
        };
        let name = slot.and_then(|slot| self.name_at(slot));
        self.symbols.borrow_mut().insert(at, name);
        name
    }

    /// Returns the name of the symbol whose address the dynamic linker puts at an address.
    fn name_at(&self, slot: Vaddr) -> Option<&'data [u8]> {
        let linked = self
            .linked
            .get_or_init(|| self.image.linked_places().unwrap_or_default());
        let symbol = self.image.symbols(Table::Dynsym).ok()?.nth(*linked.get(&slot)?)?;
        symbol.name_within(limits::SYMBOL_NAME)
    }

    /// Returns whether a function begins at an address, as far as that is known.
    pub(crate) fn begins(&self, at: Vaddr) -> bool {
        self.frames.begins(at)
    }

    /// Returns the function whose address a value is.
    pub(crate) fn function_at(&self, value: Value) -> Option<Vaddr> {
        value.number().map(Vaddr).filter(|at| self.frames.begins(*at))
    }

    /// Returns the address of a function that the image offers to others, and to itself.
    pub(crate) fn own_function(&self, name: &[u8]) -> Option<Vaddr> {
        let mut symbols = self.image.symbols(Table::Dynsym).ok()?;
        let found = symbols.find(|symbol| {
            symbol.presence == Presence::Defined && symbol.name_within(limits::WANTED_NAME) == Some(name)
        });
        found.map(|symbol| symbol.address)
    }

    /// Returns all code of the segment that an address lies in.
    fn code_around(&self, address: Vaddr) -> Option<Code<'data>> {
        let segment = self.image.segments().containing(address)?;
        Some(Code {
            machine: self.image.machine(),
            bytes: self.image.bytes_from(segment.address)?,
            address: segment.address,
        })
    }
}
