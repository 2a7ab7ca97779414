//! The part of a plan's object that describes one hook.

use serde::Serialize;
use symbolizer::{Guard, Operand, Operands, Place, Tier};
use tracer_capture::attach::Chosen;

#[derive(Debug, Serialize)]
pub(super) struct FunctionLine {
    name: String,
    found: &'static str,
    address: String,
    offset: String,
    site: String,
    cost: &'static str,
    kind: &'static str,
    role: &'static str,
    operands: OperandsLine,
    proof: &'static str,
    /// Where calls end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exits: Vec<String>,
    /// How many of them the kernel single-steps.
    #[serde(skip_serializing_if = "is_zero")]
    stepped_exits: usize,
    /// Whether the hook is only for connections that a tap or a lift does not serve.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fallback: bool,
}

/// Where a probe reads the operands of its hook.
#[derive(Debug, Serialize)]
struct OperandsLine {
    object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    buffer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pieces: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    guards: Vec<String>,
}

impl FunctionLine {
    pub(super) fn text(&self) -> String {
        let Self {
            name,
            found,
            address: _,
            offset,
            site,
            cost,
            kind,
            role: _,
            operands: _,
            proof: _,
            exits,
            stepped_exits,
            fallback,
        } = self;
        let exits = match (exits.len(), stepped_exits) {
            (0, _) => String::new(),
            (exits, 0) => format!("; ends at {exits} others"),
            (exits, stepped) => format!("; ends at {exits} others, {stepped} of them single-stepped"),
        };
        let fallback = if *fallback {
            "; only where the cheaper hook does not serve"
        } else {
            ""
        };
        format!("{kind:<10} {name:<18} at file offset {offset:<10} by {found}; {site}, {cost}{exits}{fallback}")
    }

    pub(super) fn new(chosen: &Chosen<'_>) -> Self {
        let function = chosen.hook;
        let exits = || function.exits.iter().flat_map(|exits| &exits.sites);
        Self {
            name: function.name.clone(),
            found: function.found.name(),
            address: format!("{:#x}", function.address.0),
            offset: format!("{:#x}", function.offset.0),
            site: format!(
                "probed at {:#x}: {}",
                function.site.offset.0,
                function.site.instruction.name()
            ),
            cost: match function.site.tier {
                Tier::Emulated => "emulated by the kernel",
                Tier::Stepped => "single-stepped by the kernel, which is slower",
            },
            kind: function.kind.name(),
            role: function.role.name(),
            operands: OperandsLine::new(&function.operands),
            proof: function.proof.name(),
            exits: exits().map(|exit| format!("{:#x}", exit.site.offset.0)).collect(),
            stepped_exits: exits().filter(|exit| exit.site.tier == Tier::Stepped).count(),
            fallback: chosen.is_fallback,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl OperandsLine {
    fn new(operands: &Operands) -> Self {
        let Operands {
            object,
            buffer,
            length,
            count,
            transports: [read, written],
            result: _,
            sequence,
            pieces,
            guards,
        } = operands;
        let shown = |operand: &Option<Operand>| operand.as_ref().map(shown_operand);
        Self {
            object: shown_operand(object),
            buffer: shown(buffer),
            length: shown(length),
            count: shown(count),
            read_from: shown(read),
            written_to: shown(written),
            sequence: shown(sequence),
            pieces: shown(pieces),
            guards: guards.iter().flatten().map(shown_guard).collect(),
        }
    }
}

/// Formats an operand as its place, the loads from there, and its width: `[r1+0x0]:8`.
fn shown_operand(operand: &Operand) -> String {
    let place = match operand.place {
        Place::Register(number) => format!("r{number}"),
        Place::Before(number, bytes) => format!("r{number}-{bytes:#x}"),
        Place::Stack(offset) => format!("sp+{offset:#x}"),
        Place::Result => "result".to_owned(),
        Place::Connection => "connection".to_owned(),
        Place::Frame(offset) => format!("frame+{offset:#x}"),
    };
    let loads = operand.loads.iter().flatten();
    let address = loads.fold(place, |from, offset| format!("[{from}+{offset:#x}]"));
    format!("{address}:{}", operand.width)
}

/// Shows a guard as its operand and the value that it must have.
fn shown_guard(guard: &Guard) -> String {
    format!("{}={:#x}", shown_operand(&guard.operand), guard.equals)
}
