//! The instructions of the BPF programs: they do not write to user memory, and their stack frames are small.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind, SymbolKind};

/// `bpf_probe_write_user` (`include/uapi/linux/bpf.h`).
const PROBE_WRITE_USER: i32 = 36;
/// Since Linux 6.13, programs with larger frames have a private stack, which a preempting program may share.
const FRAME_LIMIT: i64 = 64;

const LOAD_IMMEDIATE_64: u8 = 0x18;
const CALL: u8 = 0x85;
const MOVE_REGISTER_64: u8 = 0xbf;
const ADD_IMMEDIATE_64: u8 = 0x07;
const FRAME_POINTER: u8 = 10;

/// An instruction (`struct bpf_insn`).
#[derive(Clone, Copy, Debug)]
struct Instruction {
    code: u8,
    destination: u8,
    source: u8,
    offset: i16,
    immediate: i32,
}

impl Instruction {
    fn parse(bytes: [u8; 8]) -> Self {
        let [code, registers, offset_low, offset_high, immediate @ ..] = bytes;
        Self {
            code,
            destination: registers & 15,
            source: registers >> 4,
            offset: i16::from_le_bytes([offset_low, offset_high]),
            immediate: i32::from_le_bytes(immediate),
        }
    }

    /// Loads and stores are classes 1 to 3.
    const fn is_memory_access(self) -> bool {
        matches!(self.code & 7, 1..=3)
    }

    const fn calls_helper(self) -> bool {
        self.code == CALL && self.source == 0
    }
}

/// Maps the names of functions to their instructions.
fn functions() -> Result<BTreeMap<String, Vec<Instruction>>> {
    let object = object::File::parse(tracer_capture::attach::object())?;
    let mut functions = BTreeMap::new();
    for symbol in object
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
    {
        let section = object.section_by_index(symbol.section_index().context("the symbol has no section")?)?;
        let code = section
            .data_range(symbol.address(), symbol.size())?
            .context("the symbol has no code")?;
        functions.insert(symbol.name()?.to_owned(), instructions(code));
    }
    Ok(functions)
}

fn instructions(code: &[u8]) -> Vec<Instruction> {
    let (words, _) = code.as_chunks::<8>();
    let mut instructions: Vec<Instruction> = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let instruction = Instruction::parse(*word);
        if instruction.code == LOAD_IMMEDIATE_64 {
            // The second half is not an instruction.
            words.next();
        }
        instructions.push(instruction);
    }
    instructions
}

/// Returns how far below the frame pointer a function reaches, from its accesses and the addresses that it computes.
fn frame(function: &[Instruction]) -> i64 {
    let memory = function.iter().filter(|one| one.is_memory_access());
    let through_pointer = |one: &&Instruction| match one.code & 7 {
        1 => one.source == FRAME_POINTER,
        _ => one.destination == FRAME_POINTER,
    };
    let reached = memory.filter(through_pointer).map(|one| -i64::from(one.offset));
    let copies = function.windows(2).filter_map(|pair| match pair {
        [copy, add]
            if is_copied_pointer(*copy) && add.code == ADD_IMMEDIATE_64 && add.destination == copy.destination =>
        {
            Some(-i64::from(add.immediate))
        }
        _ => None,
    });
    reached.chain(copies).max().unwrap_or(0)
}

fn is_copied_pointer(instruction: Instruction) -> bool {
    instruction.code == MOVE_REGISTER_64 && instruction.source == FRAME_POINTER
}

#[test]
fn the_object_contains_the_examined_programs() -> Result<()> {
    let functions = functions()?;
    for name in ["call_entry", "call_return", "connection_end"] {
        assert!(
            functions.get(name).is_some_and(|code| code.len() > 5),
            "{name} is not among {:?}",
            functions.keys()
        );
    }
    let object = object::File::parse(tracer_capture::attach::object())?;
    let code: u64 = object
        .sections()
        .filter(|section| section.kind() == SectionKind::Text)
        .map(|text| text.size())
        .sum();
    let seen: usize = functions
        .values()
        .flatten()
        .map(|one| if one.code == LOAD_IMMEDIATE_64 { 16 } else { 8 })
        .sum();
    assert_eq!(u64::try_from(seen)?, code, "every instruction belongs to a function");
    Ok(())
}

#[test]
fn no_program_writes_to_user_memory() -> Result<()> {
    let helpers: Vec<_> = functions()?
        .into_values()
        .flatten()
        .filter(|one| one.calls_helper())
        .collect();
    assert!(!helpers.is_empty(), "helpers are called");
    assert!(
        helpers.iter().all(|call| call.immediate != PROBE_WRITE_USER),
        "bpf_probe_write_user is called"
    );
    Ok(())
}

#[test]
fn no_stack_frame_reaches_the_private_stack_size() -> Result<()> {
    for (name, code) in functions()? {
        assert!(
            frame(&code) < FRAME_LIMIT,
            "{name} has a frame of {} bytes",
            frame(&code)
        );
        // The sum above does not cover a frame pointer that is copied and adjusted in several steps.
        let copies = code
            .windows(2)
            .filter(|pair| pair.first().is_some_and(|one| is_copied_pointer(*one)));
        assert!(
            copies
                .into_iter()
                .all(|pair| pair.get(1).is_some_and(|add| add.code == ADD_IMMEDIATE_64)),
            "{name}"
        );
    }
    Ok(())
}
