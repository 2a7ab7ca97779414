//! What the registers hold, as far as it is known.
//!
//! In: one instruction after the other. Out: the [`Value`] of each register. Only copies, constants and addresses of
//! the stack are followed; any other instruction makes what it writes unknown. Memory is not followed at all.

use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::ARGUMENTS;

/// Says what a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    /// An argument of the function, counted from 0.
    Argument(u8),
    /// The lower 32 bits of an argument, extended.
    Half(u8),
    /// A number.
    Constant(u64),
    /// The stack pointer at the function's entry, plus so many bytes.
    Stack(i64),
    /// Anything.
    Unknown,
}

impl Value {
    fn low_half(self) -> Self {
        match self {
            Self::Argument(index) | Self::Half(index) => Self::Half(index),
            Self::Constant(number) => Self::Constant(number & u64::from(u32::MAX)),
            Self::Stack(_) | Self::Unknown => Self::Unknown,
        }
    }

    fn moved(self, bytes: i64) -> Self {
        match self {
            Self::Stack(at) => at.checked_add(bytes).map_or(Self::Unknown, Self::Stack),
            Self::Argument(_) | Self::Half(_) | Self::Constant(_) | Self::Unknown => Self::Unknown,
        }
    }
}

/// Holds the values of the general registers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State([Value; 16]);

impl State {
    /// Returns what holds when a function is entered.
    pub(super) fn at_entry() -> Self {
        let mut state = Self([Value::Unknown; 16]);
        state.set(Register::RSP, Value::Stack(0));
        for (index, register) in (0..).zip(ARGUMENTS) {
            state.set(register, Value::Argument(index));
        }
        state
    }

    pub(super) fn get(&self, register: Register) -> Value {
        let known = register.is_gpr().then(|| self.0.get(register.number())).flatten();
        known.copied().unwrap_or(Value::Unknown)
    }

    pub(super) fn arguments(&self) -> [Value; 5] {
        ARGUMENTS.map(|register| self.get(register))
    }

    /// Follows one instruction that is no branch.
    pub(super) fn step(&mut self, instruction: &Instruction, factory: &mut InstructionInfoFactory) {
        let result = self.result(instruction);
        let stack = self.stack_after(instruction);
        for used in factory.info(instruction).used_registers() {
            if writes(used.access()) {
                self.set(used.register(), Value::Unknown);
            }
        }
        self.set(Register::RSP, stack.unwrap_or_else(|| self.get(Register::RSP)));
        if let Some((register, value)) = result {
            self.set(register, value);
        }
    }

    /// Forgets what a called function may change.
    pub(super) fn forget_call_clobbered(&mut self) {
        const CLOBBERED: [Register; 9] = [
            Register::RAX,
            Register::RCX,
            Register::RDX,
            Register::RSI,
            Register::RDI,
            Register::R8,
            Register::R9,
            Register::R10,
            Register::R11,
        ];
        for register in CLOBBERED {
            self.set(register, Value::Unknown);
        }
    }

    fn set(&mut self, register: Register, value: Value) {
        let full = register.full_register();
        if !full.is_gpr() {
            return;
        }
        if let Some(slot) = self.0.get_mut(full.number()) {
            *slot = value;
        }
    }

    /// Returns the register whose new value is known, and that value.
    fn result(&self, instruction: &Instruction) -> Option<(Register, Value)> {
        let register = instruction.op0_register();
        let is_wide = register.is_gpr64();
        if !is_wide && !register.is_gpr32() {
            return None;
        }
        let source = (instruction.op1_kind() == OpKind::Register).then(|| instruction.op1_register());
        let value = match (instruction.mnemonic(), source) {
            (Mnemonic::Mov, Some(source)) if is_wide => self.get(source),
            (Mnemonic::Mov, Some(source)) => self.get(source.full_register()).low_half(),
            (Mnemonic::Mov, None) => Value::Constant(instruction.try_immediate(1).ok()?),
            // The sign of a constant is not followed.
            (Mnemonic::Movsxd, Some(source)) if is_wide => match self.get(source.full_register()).low_half() {
                half @ Value::Half(_) => half,
                Value::Argument(_) | Value::Constant(_) | Value::Stack(_) | Value::Unknown => return None,
            },
            (Mnemonic::Xor | Mnemonic::Sub, Some(source)) if source == register => Value::Constant(0),
            (Mnemonic::Lea, _) if is_wide => self.loaded_address(instruction)?,
            (Mnemonic::Add, None) if is_wide => self.get(register).moved(immediate(instruction)?),
            (Mnemonic::Sub, None) if is_wide => self.get(register).moved(immediate(instruction)?.checked_neg()?),
            _ => return None,
        };
        Some((register, value))
    }

    fn loaded_address(&self, instruction: &Instruction) -> Option<Value> {
        let is_plain = instruction.memory_index() == Register::None && instruction.memory_base().is_gpr64();
        let distance = instruction.memory_displacement64().cast_signed();
        is_plain.then(|| self.get(instruction.memory_base()).moved(distance))
    }

    /// Returns the stack pointer after an instruction that pushes or pops.
    fn stack_after(&self, instruction: &Instruction) -> Option<Value> {
        if instruction.mnemonic() == Mnemonic::Leave {
            return Some(self.get(Register::RBP).moved(8));
        }
        match instruction.stack_pointer_increment() {
            0 => None,
            bytes => Some(self.get(Register::RSP).moved(bytes.into())),
        }
    }
}

/// Says whether an access may change the register.
pub(super) fn writes(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

fn immediate(instruction: &Instruction) -> Option<i64> {
    instruction.try_immediate(1).ok().map(u64::cast_signed)
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions};

    use super::*;

    /// Returns what registers hold after straight code.
    fn after(code: &[u8]) -> State {
        let mut state = State::at_entry();
        let mut factory = InstructionInfoFactory::new();
        for instruction in &mut Decoder::new(64, code, DecoderOptions::NONE) {
            assert!(!instruction.is_invalid());
            state.step(&instruction, &mut factory);
        }
        state
    }

    #[test]
    fn arguments_are_followed_through_copies() {
        let state = after(&[0x48, 0x89, 0xfd, 0x48, 0x63, 0xd2, 0x49, 0x89, 0xc8]); // mov rbp,rdi; movsxd rdx,edx; mov r8,rcx
        assert_eq!(state.get(Register::RBP), Value::Argument(0));
        assert_eq!(state.get(Register::RDX), Value::Half(2));
        assert_eq!(state.get(Register::R8), Value::Argument(3));
    }

    #[test]
    fn the_stack_pointer_is_followed_through_frames_and_pointers_to_them() {
        // push rbp; mov rbp,rsp; sub rsp,0x10; lea rcx,[rbp-8]
        let frame = [0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x10, 0x48, 0x8d, 0x4d, 0xf8];
        assert_eq!(after(&frame).get(Register::RSP), Value::Stack(-24));
        assert_eq!(after(&frame).get(Register::RCX), Value::Stack(-16));
        let left = [&frame[..], &[0xc9]].concat(); // leave
        assert_eq!(after(&left).get(Register::RSP), Value::Stack(0));
        assert_eq!(after(&[0x53, 0x5b]).get(Register::RSP), Value::Stack(0)); // push rbx; pop rbx
        assert_eq!(after(&[0x48, 0x83, 0xc4, 0x08]).get(Register::RSP), Value::Stack(8)); // add rsp,8
    }

    #[test]
    fn a_stack_pointer_that_is_aligned_is_unknown() {
        assert_eq!(after(&[0x48, 0x83, 0xe4, 0xf0]).get(Register::RSP), Value::Unknown); // and rsp,-16
        assert_eq!(after(&[0xc9]).get(Register::RSP), Value::Unknown); // leave, of an unknown frame
    }

    #[test]
    fn whatever_is_not_followed_is_unknown() {
        assert_eq!(after(&[0x48, 0x8b, 0x3f]).get(Register::RDI), Value::Unknown); // mov rdi,[rdi]
        assert_eq!(after(&[0x40, 0xb7, 0x01]).get(Register::RDI), Value::Unknown); // mov dil,1
        assert_eq!(after(&[0x48, 0x0f, 0x44, 0xfe]).get(Register::RDI), Value::Unknown); // cmove rdi,rsi
        assert_eq!(after(&[0x48, 0x87, 0xfe]).get(Register::RSI), Value::Unknown); // xchg rsi,rdi
        assert_eq!(after(&[0x48, 0xff, 0xc6]).get(Register::RSI), Value::Unknown); // inc rsi
        assert_eq!(after(&[0x48, 0x83, 0xc7, 0x01]).get(Register::RDI), Value::Unknown); // add rdi,1
        assert_eq!(after(&[0x5f]).get(Register::RDI), Value::Unknown); // pop rdi
    }

    #[test]
    fn constants_are_followed_and_their_signs_are_not() {
        assert_eq!(after(&[0x31, 0xc9]).get(Register::RCX), Value::Constant(0)); // xor ecx,ecx
        assert_eq!(after(&[0x33, 0xca]).get(Register::RCX), Value::Unknown); // xor ecx,edx
        assert_eq!(after(&[0xb9, 7, 0, 0, 0]).get(Register::RCX), Value::Constant(7)); // mov ecx,7
        assert_eq!(
            after(&[0xb9, 7, 0, 0, 0, 0x48, 0x63, 0xc9]).get(Register::RCX),
            Value::Unknown
        ); // movsxd rcx,ecx
    }

    #[test]
    fn half_an_argument_is_not_the_argument() {
        assert_eq!(after(&[0x89, 0xd2]).get(Register::RDX), Value::Half(2)); // mov edx,edx
        assert_eq!(
            after(&[0x89, 0xff, 0x48, 0x89, 0xf9]).get(Register::RCX),
            Value::Half(0)
        ); // mov edi,edi; mov rcx,rdi
    }

    #[test]
    fn a_call_leaves_only_what_it_must_preserve() {
        let mut state = after(&[0x48, 0x89, 0xfd]); // mov rbp,rdi
        state.forget_call_clobbered();
        assert_eq!(state.arguments(), [Value::Unknown; 5]);
        assert_eq!(state.get(Register::RBP), Value::Argument(0));
    }
}
