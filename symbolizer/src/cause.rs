//! Why a hook of a cheaper kind is not proven.
//!
//! The `Display` of a [`Cause`] finishes the sentence "no tap: …", or that of another kind.

use std::fmt;

use crate::elf::address::Vaddr;

/// Says why a hook of some kind could not be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The code of this machine is not analysed for it.
    MachineUnsupported,
    /// The family of libraries is not analysed for it.
    FamilyUnsupported,
    /// The image holds several copies of a function.
    SeveralCopies,
    /// The image does not have a function that the proof begins or ends at.
    FunctionMissing(&'static str),
    /// A function has more instructions, or more paths that differ, than are followed.
    TooLarge(Vaddr),
    /// Functions call each other too deeply, or there are too many of them.
    TooDeep(Vaddr),
    /// The bytes are no instruction, or one whose effects are not understood.
    NotUnderstood(Vaddr),
    /// Code jumps into the middle of an instruction.
    Overlapping(Vaddr),
    /// A jump leads to an address that is computed.
    ComputedJump(Vaddr),
    /// The stack pointer is not known.
    StackPointer(Vaddr),
    /// The tables of methods cannot be read, or lead to different functions.
    Methods,
    /// A call leads to an address that is not known, or to code that is not there, and takes the buffer along.
    UnknownCall(Vaddr),
    /// The address of the buffer is stored where other code may find it.
    BufferStored(Vaddr),
    /// A call is handed a place on the stack that the buffer's address lies in or above.
    FrameHandedOver(Vaddr),
    /// Bytes are written to the buffer without a call.
    CopiedInline(Vaddr),
    /// A call copies bytes to the buffer, and no probe on it would be emulated.
    NotEmulated(Vaddr),
    /// A call copies bytes to what may be the buffer, or something else.
    BufferUnsure(Vaddr),
    /// A call copies bytes to the buffer that may be handed out again, or are no data of the program.
    SourceUnsure(Vaddr),
    /// No call copies bytes to the buffer.
    NoCopy,
    /// The connection is in no known place there.
    ConnectionLost(Vaddr),
    /// The type of the record is in no known place there.
    TypeLost(Vaddr),
    /// Whether the call only peeks is in no known place there.
    PeekLost(Vaddr),
    /// The function ends with a jump into another image.
    LeavesImage(Vaddr),
    /// The function returns with its stack pointer elsewhere than where it was entered.
    Unbalanced(Vaddr),
    /// The function never returns.
    NoReturn(Vaddr),
    /// A call may return here and have passed no site.
    Missed(Vaddr),
    /// A call may pass two sites, or this one again.
    PassedTwice(Vaddr),
    /// The function returns here by an instruction that checks a signature of the address, which the kernel lets nobody probe.
    SignedReturn(Vaddr),
    /// The function ends at more places than have probes.
    TooManyEnds(Vaddr),
    /// No function compares its arguments with what a connection is sending, or several do.
    NoPending,
    /// No function stores its arguments where they are compared with others.
    PendingNotStored,
    /// Several calls hand over records to be sent.
    SeveralHandovers(Vaddr),
    /// The number of the next record is in no known place.
    NoSequence,
    /// It cannot be known whether a connection writes to a socket of its own.
    NoSocketBio,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MachineUnsupported => f.write_str("the code of this machine is not analysed"),
            Self::FamilyUnsupported => f.write_str("this library is not analysed"),
            Self::SeveralCopies => f.write_str("there are several copies of its functions"),
            Self::FunctionMissing(name) => write!(f, "{name} is not there"),
            Self::TooLarge(at) => write!(f, "the function at {at} is too large"),
            Self::TooDeep(at) => write!(f, "too many functions call each other, down to {at}"),
            Self::NotUnderstood(at) => write!(f, "the instruction at {at} is not understood"),
            Self::Overlapping(at) => write!(f, "code jumps into the instruction at {at}"),
            Self::ComputedJump(at) => write!(f, "the jump at {at} leads to a computed address"),
            Self::StackPointer(at) => write!(f, "the stack pointer is not known at {at}"),
            Self::Methods => f.write_str("the tables of its methods disagree or cannot be read"),
            Self::UnknownCall(at) => write!(f, "the call at {at} takes the buffer to unknown code"),
            Self::BufferStored(at) => write!(f, "the buffer's address is stored at {at}"),
            Self::FrameHandedOver(at) => write!(f, "the call at {at} may find the buffer's address on the stack"),
            Self::CopiedInline(at) => write!(f, "bytes are written to the buffer at {at} without a call"),
            Self::NotEmulated(at) => write!(f, "the kernel does not emulate the call at {at}"),
            Self::BufferUnsure(at) => write!(f, "the call at {at} may copy to the buffer, or elsewhere"),
            Self::SourceUnsure(at) => write!(f, "what the call at {at} copies is in no known place"),
            Self::NoCopy => f.write_str("no call copies bytes to the buffer"),
            Self::ConnectionLost(at) => write!(f, "the connection is in no known place at {at}"),
            Self::TypeLost(at) => write!(f, "the record's type is in no known place at {at}"),
            Self::LeavesImage(at) => write!(f, "the jump at {at} leads to another image"),
            Self::Unbalanced(at) => write!(f, "the stack pointer is elsewhere at {at} than at the entry"),
            Self::NoReturn(at) => write!(f, "the function at {at} never returns"),
            Self::Missed(at) => write!(f, "a call may return at {at} past all sites"),
            Self::SignedReturn(at) => write!(f, "the return at {at} checks a signature, and cannot be probed"),
            Self::TooManyEnds(at) => write!(f, "the function at {at} ends at too many places"),
            Self::PassedTwice(at) => write!(f, "a call may pass {at} and another site"),
            Self::PeekLost(at) => write!(f, "whether it only peeks is in no known place at {at}"),
            Self::NoPending => f.write_str("what a connection is sending is in no known place"),
            Self::PendingNotStored => f.write_str("what a connection is sending is compared, but not stored"),
            Self::SeveralHandovers(at) => write!(f, "several calls of the function at {at} hand over records"),
            Self::NoSequence => f.write_str("the number of the next record is in no known place"),
            Self::NoSocketBio => f.write_str("whether a connection writes to a socket is not known"),
        }
    }
}
