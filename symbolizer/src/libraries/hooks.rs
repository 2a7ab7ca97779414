//! Makes hooks of functions that were found in an image.

use super::function::Function;
use crate::code::Needs;
use crate::code::bytes::Code;
use crate::code::convention::Convention;
use crate::code::site;
use crate::elf::address::Access;
use crate::elf::image::Image;
use crate::elf::machine::Machine;
use crate::elf::survey::{Finding, Survey};
use crate::hook::{Hook, HookKind, Proof};
use crate::operand::Operands;

/// Makes the hooks of a public function, one for each address that it has.
pub(crate) fn hooks_of(image: &Image<'_>, survey: &Survey, function: &Function) -> Vec<Hook> {
    let found = survey.functions(function.name);
    let hooks = found
        .iter()
        .filter_map(|finding| hook(image, function, finding, Proof::Interface));
    hooks.collect()
}

/// Makes the hook of one function; `None` if it does not lie in executable bytes of the file.
pub(crate) fn hook(image: &Image<'_>, function: &Function, finding: &Finding, proof: Proof) -> Option<Hook> {
    let Finding {
        source: found,
        address,
        size,
        ..
    } = *finding;
    let segments = image.segments();
    let offset = segments.offset_of(address)?;
    segments
        .containing(address)
        .filter(|segment| segment.access == Access::Code)?;
    let code = code_of(image, finding).filter(|code| !code.bytes.is_empty())?;
    Some(Hook {
        kind: function.kind,
        role: function.role,
        name: function.name.to_owned(),
        found,
        address,
        offset,
        size,
        site: site::choose(code, offset, &needs(function, image.machine())),
        operands: function.operands(Convention::of(image.machine())),
        proof,
        exits: None,
        returns_to: None,
    })
}

/// Returns what the probe of a function needs to find as it was at the entry.
pub(crate) fn needs(function: &Function, machine: Machine) -> Needs {
    let operands = function.operands(Convention::of(machine));
    needs_of(&operands, function.kind, machine)
}

/// Returns what a probe at the entry needs for operands and a kind of hook.
pub(crate) fn needs_of(operands: &Operands, kind: HookKind, machine: Machine) -> Needs {
    let convention = Convention::of(machine);
    let registers = operands.registers().into_iter();
    let (stack, calls) = match kind {
        HookKind::Return => (true, false),
        HookKind::Exit => (false, true),
        HookKind::Entry | HookKind::Tap | HookKind::Lift => (false, false),
    };
    Needs {
        registers: registers.map(|number| convention.register(number)).collect(),
        stack,
        calls,
    }
}

/// Returns the code of a function, or all to the end of its segment if its size is not stated.
pub(crate) fn code_of<'data>(image: &Image<'data>, finding: &Finding) -> Option<Code<'data>> {
    let bytes = image.bytes_from(finding.address)?;
    let size = usize::try_from(finding.size).ok()?;
    Some(Code {
        machine: image.machine(),
        bytes: if size == 0 { bytes } else { bytes.get(..size)? },
        address: finding.address,
    })
}
