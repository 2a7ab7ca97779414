//! What a plan holds: functions, the tables that name them, and their sites.

use object::elf;
use symbolizer::{Instruction, Role, SymbolSource, Tier};

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
            plan.functions.iter().map(|f| (f.role, f.found)).collect::<Vec<_>>(),
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
    assert!(
        plan.functions
            .iter()
            .all(|function| function.found == SymbolSource::GnuDebugdata)
    );
    assert_eq!(plan.functions[1].offset.0 - plan.functions[0].offset.0, 2);
}

#[test]
fn the_site_follows_from_the_first_instructions() {
    let site_of = |code: &[u8]| {
        let function = planned(&Elf::with_tls(Table::Dynsym, code)).functions.remove(0);
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
    assert!(
        plan.functions
            .iter()
            .all(|function| function.site.tier == Tier::Stepped)
    );
}

#[test]
fn aarch64_is_planned_at_the_first_instruction() {
    let mut elf = Elf::with_tls(Table::Dynsym, &0xd503_233f_u32.to_le_bytes());
    elf.machine = elf::EM_AARCH64;
    let site = planned(&elf).functions[0].site;
    assert_eq!((site.tier, site.instruction), (Tier::Stepped, Instruction::Paciasp));
}

#[test]
fn every_role_is_planned_and_peeking_is_not() {
    let elf = Role::ALL.iter().fold(Elf::new(), |elf, role| {
        elf.function(Table::Dynsym, role.symbol(), &PUSH)
    });
    let plan = planned(
        &elf.function(Table::Dynsym, "SSL_peek", &PUSH)
            .function(Table::Dynsym, "SSL_peek_ex", &PUSH),
    );
    assert_eq!(
        plan.functions.iter().map(|function| function.role).collect::<Vec<_>>(),
        Role::ALL
    );
    assert_eq!(plan.absent, []);
}

#[test]
fn the_roles_that_are_missing_are_listed() {
    let plan = planned(&Elf::new().function(Table::Dynsym, "SSL_read_ex", &PUSH).function(
        Table::Dynsym,
        "SSL_write_ex",
        &PUSH,
    ));
    assert_eq!(plan.functions.len(), 2);
    assert_eq!(plan.absent.len(), Role::ALL.len() - 2);
    assert!(plan.absent.contains(&Role::Read) && !plan.absent.contains(&Role::ReadEx));
}

#[test]
fn an_image_may_begin_at_any_address() {
    let image = Elf::with_tls(Table::Dynsym, &PUSH).build();
    for shift in 0..8 {
        let shifted = [vec![0; shift], image.clone()].concat();
        assert!(symbolizer::plan(&shifted[shift..], None).unwrap().is_ok());
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
