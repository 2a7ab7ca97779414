//! Hooks: where a probe goes, when it is hit, and what it finds there.

pub use tracer_ebpf::Role;

use crate::code::exits::Ways;
use crate::code::site::Site;
use crate::elf::address::{FileOffset, Vaddr};
use crate::elf::survey::SymbolSource;
use crate::operand::{Operand, Operands};

/// Describes one hook in a function of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// When the probe is hit.
    pub kind: HookKind,
    /// What the function does for its caller.
    pub role: Role,
    /// The function's name, or whose callee it is.
    pub name: String,
    /// What the function was found by.
    pub found: SymbolSource,
    /// Where the function begins in memory, before the loader moves the image.
    pub address: Vaddr,
    /// Where the function begins in the file.
    pub offset: FileOffset,
    /// How many bytes the function covers; zero if the symbol table does not say.
    pub size: u64,
    /// Where the probe goes.
    pub site: Site,
    /// Where the probe finds the connection, its bytes and their number.
    pub operands: Operands,
    /// What makes sure that the operands are right.
    pub proof: Proof,
    /// Where calls end, for a hook of the kind [`HookKind::Exit`]. For a [`HookKind::Lift`] whose operands are in a frame:
    /// where the call at its site returns to, by which the frame is found.
    pub exits: Option<Exits>,
    /// The address that the call at the site returns to, for a lift whose operands are in the frame of that call's
    /// function.
    pub returns_to: Option<Vaddr>,
}

/// Says where a function's calls are noted and where they end, without a return probe.
///
/// A call is known by the stack pointer that it was entered with, so each site says how far that has come down. The
/// first hit of a call's sites is its end; a hit for which no call is noted means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exits {
    /// Whose calls they are.
    pub caller: Caller,
    /// How many bytes the stack pointer is below where it was at the function's entry when the hook's site is hit.
    pub entry_depth: u16,
    /// The condition on the flags under which a hit of the hook's site is a call that begins, as that of an end: at a jump that
    /// leads back to the entry when it is taken. Without a condition every hit is one.
    pub entry_when: Option<u8>,
    /// The sites of which every way out of the function passes exactly one, once, if it is among `ways`.
    pub sites: Vec<ExitSite>,
    /// Which ways out pass a site.
    pub ways: Ways,
}

/// Says what enters a function and leaves it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A thread, or a coroutine whose stack stays where it is.
    Thread,
    /// A goroutine, which may move to another thread and have its stack moved in between: its calls are known by how far they
    /// are below the top of its stack.
    Goroutine(GoroutinePlace),
}

/// Says where the address is of the goroutine that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoroutinePlace {
    /// In a register that holds nothing else: `r14`, or `x28`.
    Register,
    /// In memory of the thread: so many bytes below the base of its segment `fs`.
    BelowThread(u8),
}

/// Describes one end of a function: a site that is hit when the result is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitSite {
    /// Where the probe goes.
    pub site: Site,
    /// How many bytes the stack pointer is below where it was at the function's entry.
    pub depth: u16,
    /// What the call returns.
    pub result: ExitResult,
    /// The condition on the flags under which the hit is an end: the lower four bits of an x86-64 conditional jump's
    /// opcode, such as 4 for equal (Intel SDM, volume 1, appendix B). The site is a conditional jump then, of which the
    /// call ends one way only. Without a condition every hit is an end.
    pub when: Option<u8>,
    /// Whether only calls come here that fail by the function's own decision, with a constant for a result. What such a
    /// site costs matters little.
    pub is_rare: bool,
}

/// Says what a call returns that ends at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitResult {
    /// What a register or a slot of the stack holds; it has a sign. An operand whose place is the result has this for its place.
    In(Operand),
    /// This number, whatever the registers hold.
    Always(i32),
}

/// Says when a probe is hit, and what is known then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookKind {
    /// At the function's entry: the arguments are at hand, the work is not done.
    Entry,
    /// At the function's entry, which notes the arguments, and at instructions of which every successful way out passes
    /// one with the result at hand: no return probe.
    Exit,
    /// At one instruction where the connection, the bytes and their number are all at hand: one hit brings all.
    Tap,
    /// Nowhere in the process: the bytes are read where the kernel already is, when the connection's socket sends.
    Lift,
    /// At the function's entry, which notes the arguments, and at its end by the kernel's return probe. Both have the
    /// same site.
    Return,
}

impl HookKind {
    /// Lists every kind.
    pub const ALL: [Self; 5] = [Self::Entry, Self::Exit, Self::Tap, Self::Lift, Self::Return];

    /// Returns a short lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Exit => "exit",
            Self::Tap => "tap",
            Self::Lift => "lift",
            Self::Return => "return",
        }
    }

    /// Returns whether hooks of the kind do what others of the same plan do, at a lower price.
    #[must_use]
    pub const fn is_alternative(self) -> bool {
        match self {
            Self::Exit | Self::Tap | Self::Lift => true,
            Self::Entry | Self::Return => false,
        }
    }
}

/// Says what makes sure that the operands of a hook are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The function is one of the library's public interface, which lays its arguments down.
    Interface,
    /// The code of every public function that calls it hands over its own arguments.
    Callers,
    /// The data flow from the public functions: all bytes for their caller pass the site, and on every path to it the
    /// operands are where they are said to be.
    DataFlow,
    /// The functions that the public ones lead to store their arguments in the fields, and compare them with these.
    Fields,
    /// A table of the library's own has the function in a known slot, and code in the slots beside it calls it.
    Table,
    /// The mangled name of a C++ function has the types of its parameters, and what writes calls it.
    Types,
}

impl Proof {
    /// Returns what it is, in a few words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interface => "public interface",
            Self::Callers => "code of its callers",
            Self::DataFlow => "data flow from the public functions",
            Self::Fields => "what its code does with the fields",
            Self::Table => "its slot in a table of the library, and code beside it",
            Self::Types => "types in its name, and code of its callers",
        }
    }
}
