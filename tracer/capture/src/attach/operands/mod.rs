//! Converts the hooks of a plan to the ABI of the BPF programs.

use symbolizer::{Hook, HookKind, Operands, Role, Success};
use tracer_ebpf::{Guard, SiteOperands, Width};

use super::ends::call_end;

/// Returns the role in which the programs serve a hook; `None` if none can.
pub(super) fn role_of(hook: &Hook) -> Option<Role> {
    let mut guards = hook.operands.guards.iter().flatten();
    if guards.any(|guard| operand_of(&guard.operand) == tracer_ebpf::Operand::NONE) {
        return None;
    }
    let mut exits = hook.exits.iter().flat_map(|exits| &exits.sites);
    if exits.any(|exit| call_end(exit).is_none()) {
        return None;
    }
    match (hook.kind, hook.role) {
        (HookKind::Entry | HookKind::Return | HookKind::Exit, _)
        | (HookKind::Tap, Role::Read | Role::EarlyRead | Role::Write | Role::Ciphertext)
        | (HookKind::Lift, Role::Write) => {}
        (HookKind::Tap | HookKind::Lift, _) => return None,
    }
    match (hook.role, hook.operands.buffer.is_some()) {
        // Early data that a server reads has been accepted, so it is read like other data.
        (Role::EarlyRead, true) => Some(Role::Read),
        (Role::EarlyWrite, true) => None,
        (role, _) => Some(role),
    }
}

/// Returns the operands of a hook.
pub(super) fn operands_of(hook: &Hook) -> SiteOperands {
    let Operands {
        object,
        buffer,
        length,
        count,
        transports: [read, written],
        result,
        sequence,
        pieces,
        guards,
    } = &hook.operands;
    let descriptor = read.as_ref().or(written.as_ref());
    let buffer = if hook.role == Role::Descriptor {
        descriptor
    } else {
        buffer.as_ref()
    };
    let maybe = |operand: Option<&symbolizer::Operand>| operand.map_or(tracer_ebpf::Operand::NONE, operand_of);
    SiteOperands {
        object: operand_of(object),
        buffer: maybe(buffer),
        length: maybe(length.as_ref()),
        count: maybe(count.as_ref()),
        result: result.as_ref().map_or(tracer_ebpf::Operand::NONE, |result| {
            tracer_ebpf::Operand::result(signed(result.width))
        }),
        success: match result.as_ref().map(|result| result.success) {
            Some(Success::NotNegative) => tracer_ebpf::Success::NOT_NEGATIVE,
            Some(Success::Positive) | None => tracer_ebpf::Success::POSITIVE,
        },
        sequence: maybe(sequence.as_ref()),
        pieces: maybe(pieces.as_ref()),
        guards: guards.map(|guard| {
            guard.map_or(Guard::NONE, |guard| {
                Guard::new(operand_of(&guard.operand), guard.equals)
            })
        }),
        reserved: 0,
        window: tracer_ebpf::Operand::UNKNOWN,
        code_distance: 0,
    }
    .with_window(match hook.kind {
        HookKind::Tap => tracer_ebpf::Place::register(STACK_POINTER),
        HookKind::Lift => tracer_ebpf::Place::CONNECTION,
        HookKind::Entry | HookKind::Exit | HookKind::Return => tracer_ebpf::Place::NONE,
    })
}

/// Converts an operand; [`tracer_ebpf::Operand::NONE`] if it needs more than the two loads that the programs do.
fn operand_of(operand: &symbolizer::Operand) -> tracer_ebpf::Operand {
    let symbolizer::Operand { place, loads, width } = *operand;
    let offset = |load: Option<u16>| match load {
        None => Some(tracer_ebpf::Operand::UNKNOWN),
        Some(offset) => i16::try_from(offset).ok(),
    };
    let (place, loads) = match place {
        symbolizer::Place::Register(number) | symbolizer::Place::Before(number, _) => {
            (place_of_register(number), loads)
        }
        symbolizer::Place::Result => return tracer_ebpf::Operand::result(signed(width)),
        symbolizer::Place::Connection => (tracer_ebpf::Place::CONNECTION, loads),
        symbolizer::Place::Stack(above) | symbolizer::Place::Frame(above) => match loads {
            [first, None] => (base_of(place), [Some(above), first]),
            [_, Some(_)] => return tracer_ebpf::Operand::NONE,
        },
    };
    let [Some(first), Some(second)] = loads.map(offset) else {
        return tracer_ebpf::Operand::NONE;
    };
    tracer_ebpf::Operand {
        place,
        width: match width {
            1 => Width::U8,
            2 => Width::U16,
            // Four bytes are a C `int`, eight a size or an address.
            4 => Width::S32,
            _ => Width::U64,
        },
        loads: [first, second],
        before: match operand.place {
            symbolizer::Place::Before(_, bytes) => bytes,
            symbolizer::Place::Register(_)
            | symbolizer::Place::Stack(_)
            | symbolizer::Place::Result
            | symbolizer::Place::Connection
            | symbolizer::Place::Frame(_) => 0,
        },
    }
}

/// Returns the place that holds the address which a slot of the stack, or of a frame, is counted from.
const fn base_of(place: symbolizer::Place) -> tracer_ebpf::Place {
    match place {
        symbolizer::Place::Frame(_) => tracer_ebpf::Place::FRAME,
        symbolizer::Place::Register(_)
        | symbolizer::Place::Before(..)
        | symbolizer::Place::Stack(_)
        | symbolizer::Place::Result
        | symbolizer::Place::Connection => tracer_ebpf::Place::register(STACK_POINTER),
    }
}

const fn signed(width: u8) -> Width {
    if width == 4 { Width::S32 } else { Width::S64 }
}

/// DWARF number of the stack pointer.
const STACK_POINTER: u8 = if cfg!(target_arch = "aarch64") { 31 } else { 7 };

/// Returns the place of a register, given its DWARF number. A register that passes an argument has the argument's place.
fn place_of_register(number: u8) -> tracer_ebpf::Place {
    let argument = ARGUMENTS.iter().position(|register| *register == number);
    match argument.and_then(|argument| u8::try_from(argument).ok()) {
        Some(argument) => tracer_ebpf::Place::argument(argument),
        None => tracer_ebpf::Place::register(number),
    }
}

/// DWARF numbers of the registers that pass arguments: `rdi`, `rsi`, `rdx`, `rcx`, `r8`, `r9`, or `x0` to `x7`.
const ARGUMENTS: &[u8] = if cfg!(target_arch = "aarch64") {
    &[0, 1, 2, 3, 4, 5, 6, 7]
} else {
    &[5, 4, 1, 2, 8, 9]
};

#[cfg(test)]
pub(super) mod tests;
