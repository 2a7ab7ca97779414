//! What a plan holds: functions, the tables that name them, and their sites.

use object::elf;
use symbolizer::{HookKind, Instruction, Operand, Operands, Outcome, Place, Role, Success, SymbolSource, Tier};

use crate::support::{CODE_BASE, DATA_BASE, Elf, Table};
use crate::{ENDBR64_PUSH, ENDBR64_SUB, PUSH, SUB, planned, xz};

#[test]
fn each_symbol_table_suffices_and_is_named() {
    for (table, source) in [
        (Table::Dynsym, SymbolSource::Dynsym),
        (Table::Symtab, SymbolSource::Symtab),
    ] {
        let plan = planned(&Elf::with_tls(table, &PUSH));
        assert_eq!(
            plan.hooks
                .iter()
                .map(|hook| (hook.role, hook.found))
                .collect::<Vec<_>>(),
            [(Role::Read, source), (Role::Write, source)]
        );
    }
}

#[test]
fn the_compressed_table_is_opened_when_the_others_name_nothing() {
    let code = [PUSH, PUSH].concat();
    let stripped = Elf::new().function(Table::Dynsym, "unrelated", &code).build();
    let mut elf = Elf::new().function(Table::Dynsym, "unrelated", &code);
    let full = Elf::with_tls(Table::Symtab, &PUSH).build();
    assert_eq!(
        symbolizer::Image::parse(&full).unwrap().unwrap().segments(),
        symbolizer::Image::parse(&stripped).unwrap().unwrap().segments()
    );
    elf.debugdata = Some(xz(&full));
    let plan = planned(&elf);
    assert!(plan.hooks.iter().all(|hook| hook.found == SymbolSource::GnuDebugdata));
    assert_eq!(plan.hooks[1].offset.0 - plan.hooks[0].offset.0, 2);
}

#[test]
fn the_site_follows_from_the_first_instructions() {
    let site_of = |code: &[u8]| {
        let function = planned(&Elf::with_tls(Table::Dynsym, code)).hooks.remove(0);
        assert_eq!(function.address.0, function.offset.0 + CODE_BASE);
        assert_eq!(function.site.address.0, function.site.offset.0 + CODE_BASE);
        (
            function.site.tier,
            function.site.offset.0 - function.offset.0,
            function.site.instruction,
        )
    };
    assert_eq!(site_of(&PUSH), (Tier::Emulated, 0, Instruction::Push));
    assert_eq!(site_of(&ENDBR64_PUSH), (Tier::Emulated, 4, Instruction::Push));
    assert_eq!(site_of(&ENDBR64_SUB), (Tier::Stepped, 0, Instruction::Endbr64));
    assert_eq!(site_of(&SUB), (Tier::Stepped, 0, Instruction::SubRsp));
}

#[test]
fn a_site_never_leaves_its_function() {
    // The size says that the function ends with its landing pad; the next function begins with a push.
    let plan = planned(&Elf::with_tls(Table::Dynsym, &ENDBR64_PUSH[..4]).function(Table::Dynsym, "next", &PUSH));
    assert!(plan.hooks.iter().all(|hook| hook.site.tier == Tier::Stepped));
}

#[test]
fn aarch64_is_planned_at_the_first_instruction() {
    let mut elf = Elf::with_tls(Table::Dynsym, &0xd503_233f_u32.to_le_bytes());
    elf.machine = elf::EM_AARCH64;
    let site = planned(&elf).hooks[0].site;
    assert_eq!((site.tier, site.instruction), (Tier::Stepped, Instruction::Paciasp));
}

const FUNCTIONS: [(&str, HookKind, Role); 18] = [
    ("SSL_read", HookKind::Return, Role::Read),
    ("SSL_write", HookKind::Return, Role::Write),
    ("SSL_read_ex", HookKind::Return, Role::Read),
    ("SSL_write_ex", HookKind::Return, Role::Write),
    ("SSL_write_ex2", HookKind::Return, Role::Write),
    ("SSL_set_fd", HookKind::Return, Role::Descriptor),
    ("SSL_set_rfd", HookKind::Return, Role::Descriptor),
    ("SSL_set_wfd", HookKind::Return, Role::Descriptor),
    ("SSL_set_bio", HookKind::Entry, Role::Bio),
    ("SSL_set0_rbio", HookKind::Entry, Role::Bio),
    ("SSL_set0_wbio", HookKind::Entry, Role::Bio),
    ("SSL_free", HookKind::Entry, Role::End),
    ("SSL_clear", HookKind::Entry, Role::Clear),
    ("SSL_do_handshake", HookKind::Return, Role::Handshake),
    ("SSL_sendfile", HookKind::Return, Role::Sendfile),
    ("SSL_write_early_data", HookKind::Return, Role::EarlyWrite),
    ("SSL_read_early_data", HookKind::Entry, Role::EarlyRead),
    ("BIO_write", HookKind::Entry, Role::Ciphertext),
];

#[test]
fn every_function_is_planned_and_peeking_is_not() {
    let elf = FUNCTIONS
        .iter()
        .fold(Elf::new(), |elf, (name, _, _)| elf.function(Table::Dynsym, name, &PUSH));
    let plan = planned(
        &elf.function(Table::Dynsym, "SSL_peek", &PUSH)
            .function(Table::Dynsym, "SSL_peek_ex", &PUSH),
    );
    let hooks = plan.hooks.iter().map(|hook| (hook.name.as_str(), hook.kind, hook.role));
    assert_eq!(hooks.collect::<Vec<_>>(), FUNCTIONS);
    assert!(plan.absent.is_empty());
}

#[test]
fn the_functions_that_are_missing_are_listed() {
    let plan = planned(&Elf::new().function(Table::Dynsym, "SSL_read_ex", &PUSH).function(
        Table::Dynsym,
        "SSL_write_ex",
        &PUSH,
    ));
    assert_eq!(plan.hooks.len(), 2);
    assert_eq!(plan.absent.len(), FUNCTIONS.len() - 2);
    assert!(plan.absent.contains(&"SSL_read") && !plan.absent.contains(&"SSL_read_ex"));
}

/// Returns the operands of a function beside `SSL_read` and `SSL_write`.
fn operands(machine: u16, name: &'static str) -> Operands {
    let mut elf = Elf::with_tls(Table::Dynsym, &[0; 4]);
    elf.machine = machine;
    if !["SSL_read", "SSL_write"].contains(&name) {
        elf = elf.function(Table::Dynsym, name, &[0; 4]);
    }
    let hooks = planned(&elf).hooks;
    hooks.iter().find(|hook| hook.name == name).unwrap().operands
}

const INT_OVER_ZERO: Option<Outcome> = Some(Outcome {
    width: 4,
    success: Success::Positive,
});

#[test]
fn operands_follow_from_the_calling_convention() {
    let at = |register, width| Operand::at(Place::Register(register), width);
    let none = [None; 2];
    let read = Operands {
        object: at(5, 8),
        buffer: Some(at(4, 8)),
        length: Some(at(1, 4)),
        count: Some(Operand::at(Place::Result, 4)),
        transports: none,
        result: INT_OVER_ZERO,
        sequence: None,
        pieces: None,
        guards: [None; 2],
    };
    assert_eq!(operands(elf::EM_X86_64, "SSL_read"), read);
    assert_eq!(operands(elf::EM_X86_64, "SSL_write"), read);
    let counted = |length, count| Operands {
        length: Some(length),
        count: Some(count),
        ..read
    };
    let behind = |register| Operand::loaded(Place::Register(register), 0, 8);
    assert_eq!(operands(elf::EM_X86_64, "SSL_read_ex"), counted(at(1, 8), behind(2)));
    assert_eq!(operands(elf::EM_X86_64, "SSL_write_ex2"), counted(at(1, 8), behind(8)));
    assert_eq!(behind(2).loads, [Some(0), None]);
    let aarch64 = Operands {
        object: at(0, 8),
        buffer: Some(at(1, 8)),
        ..counted(at(2, 8), behind(4))
    };
    assert_eq!(operands(elf::EM_AARCH64, "SSL_write_ex2"), aarch64);
    let sendfile = operands(elf::EM_X86_64, "SSL_sendfile");
    let counted = (sendfile.buffer, sendfile.length, sendfile.count);
    assert_eq!(counted, (None, Some(at(2, 8)), Some(Operand::at(Place::Result, 8))));
}

#[test]
fn operands_name_what_a_connection_reads_from_and_writes_to() {
    let transports = |name| operands(elf::EM_X86_64, name).transports;
    let at = |register, width| Some(Operand::at(Place::Register(register), width));
    assert_eq!(transports("SSL_set_fd"), [at(4, 4), at(4, 4)]);
    assert_eq!(transports("SSL_set_rfd"), [at(4, 4), None]);
    assert_eq!(transports("SSL_set_wfd"), [None, at(4, 4)]);
    assert_eq!(transports("SSL_set_bio"), [at(4, 8), at(1, 8)]);
    assert_eq!(transports("SSL_set0_wbio"), [None, at(4, 8)]);
    assert_eq!(transports("SSL_free"), [None, None]);
}

#[test]
fn an_image_may_begin_at_any_address() {
    let image = Elf::with_tls(Table::Dynsym, &PUSH).build();
    for shift in 0..8 {
        let shifted = [vec![0; shift], image.clone()].concat();
        assert_eq!(symbolizer::plan(&shifted[shift..], None).unwrap().plans.len(), 1);
    }
}

#[test]
fn data_and_code_lie_where_the_builder_puts_them() {
    let image = Elf::with_tls(Table::Dynsym, &PUSH).build();
    let image = symbolizer::Image::parse(&image).unwrap().unwrap();
    let bases: Vec<u64> = image
        .segments()
        .iter()
        .map(|segment| segment.address.0 - segment.offset.0)
        .collect();
    assert_eq!(bases, [DATA_BASE, CODE_BASE]);
}
