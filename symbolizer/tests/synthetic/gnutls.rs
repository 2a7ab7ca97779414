//! `GnuTLS`: its functions, where the nested ones meet, and its place beside `OpenSSL`.

use object::elf;
use symbolizer::{Evidence, Family, Operand, Operands, Outcome, Place, Reason, Role, Success};

use crate::support::{Elf, Table};
use crate::{PUSH, planned, refused};

const RECV: &str = "gnutls_record_recv";
const SEND: &str = "gnutls_record_send";
const SEND2: &str = "gnutls_record_send2";

fn with_gnutls(elf: Elf) -> Elf {
    elf.function(Table::Dynsym, RECV, &PUSH)
        .function(Table::Dynsym, SEND, &PUSH)
}

/// xor r8d,r8d; xor ecx,ecx; jmp, as far on as said.
fn handing_on(distance: i32) -> Vec<u8> {
    [&[0x45, 0x31, 0xc0, 0x31, 0xc9, 0xe9][..], &distance.to_le_bytes()].concat()
}

fn names(elf: &Elf) -> Vec<String> {
    planned(elf).hooks.into_iter().map(|hook| hook.name).collect()
}

#[test]
fn the_functions_of_both_directions_make_a_plan() {
    let plan = planned(&with_gnutls(Elf::new()));
    assert_eq!(
        (plan.library.family, plan.library.evidence),
        (Family::GnuTls, Evidence::Symbols)
    );
    assert_eq!(names(&with_gnutls(Elf::new())), [RECV, SEND]);
    assert!(plan.absent.contains(&SEND2) && !plan.absent.contains(&SEND));
}

#[test]
fn each_symbol_table_suffices() {
    let elf = Elf::new().function(Table::Symtab, RECV, &PUSH);
    assert_eq!(names(&elf.function(Table::Symtab, SEND2, &PUSH)), [RECV, SEND2]);
}

#[test]
fn one_direction_is_not_enough() {
    for name in [RECV, SEND, SEND2] {
        let elf = Elf::new().function(Table::Dynsym, name, &PUSH);
        assert_eq!(refused(&elf), Reason::OneDirection, "{name}");
    }
    let elf = Elf::new().function_in_data(RECV).function_in_data(SEND);
    assert_eq!(refused(&elf), Reason::NotInCode);
    assert_eq!(refused(&Elf::new().import(RECV)), Reason::ImportsTls);
}

#[test]
fn what_only_hands_its_arguments_on_is_not_probed() {
    let with = |send: &[u8]| {
        let elf = Elf::new().function(Table::Dynsym, RECV, &PUSH);
        let elf = elf.function(Table::Dynsym, SEND, send);
        elf.function(Table::Dynsym, SEND2, &PUSH)
    };
    assert_eq!(names(&with(&handing_on(0))), [RECV, SEND2]);
    assert_eq!(names(&with(&handing_on(1))), [RECV, SEND, SEND2], "to another place");
    let swapped = [&[0x48, 0x87, 0xf2][..], &handing_on(0)].concat(); // xchg rdx,rsi
    assert_eq!(names(&with(&swapped)), [RECV, SEND, SEND2], "other arguments");
    let twice = [&[0xe8, 10, 0, 0, 0][..], &handing_on(0)].concat();
    assert_eq!(names(&with(&twice)), [RECV, SEND, SEND2], "two calls");
}

#[test]
fn operands_are_words_and_failure_is_negative() {
    let operands = |machine, name: &'static str| {
        let mut elf = with_gnutls(Elf::new());
        elf.machine = machine;
        let elf = if [RECV, SEND].contains(&name) {
            elf
        } else {
            elf.function(Table::Dynsym, name, &[0; 4])
        };
        let hooks = planned(&elf).hooks;
        hooks.into_iter().find(|hook| hook.name == name).unwrap().operands
    };
    let at = |register, width| Operand::at(Place::Register(register), width);
    let result = |width, success| Some(Outcome { width, success });
    let none = [None; 2];
    let moving = Operands {
        object: at(5, 8),
        buffer: Some(at(4, 8)),
        length: Some(at(1, 8)),
        count: Some(Operand::at(Place::Result, 8)),
        transports: none,
        result: result(8, Success::Positive),
        sequence: None,
        pieces: None,
        guards: [None; 2],
    };
    for name in [
        RECV,
        "gnutls_record_recv_seq",
        SEND,
        SEND2,
        "gnutls_record_recv_early_data",
    ] {
        assert_eq!(operands(elf::EM_X86_64, name), moving, "{name}");
    }
    let on_aarch64 = Operands {
        object: at(0, 8),
        buffer: Some(at(1, 8)),
        length: Some(at(2, 8)),
        ..moving
    };
    assert_eq!(operands(elf::EM_AARCH64, SEND), on_aarch64);
    let all_or_nothing = Operands {
        count: moving.length,
        result: result(8, Success::NotNegative),
        ..moving
    };
    assert_eq!(
        operands(elf::EM_X86_64, "gnutls_record_send_early_data"),
        all_or_nothing
    );
    let called = Operands {
        buffer: None,
        length: None,
        count: None,
        result: None,
        ..moving
    };
    let flushing = Operands {
        result: result(4, Success::NotNegative),
        ..called
    };
    assert_eq!(operands(elf::EM_X86_64, "gnutls_record_uncork"), flushing);
    let descriptors = Operands {
        transports: [Some(at(4, 4)), Some(at(1, 4))],
        ..called
    };
    assert_eq!(operands(elf::EM_X86_64, "gnutls_transport_set_int2"), descriptors);
}

#[test]
fn a_session_s_own_fields_say_what_it_reads_and_writes() {
    // mov rax,[rdi+0x60]; mov [rsi],rax; mov rax,[rdi+0x68]; mov [rdx],rax; ret
    let accessor = [
        0x48, 0x8b, 0x47, 0x60, 0x48, 0x89, 0x06, 0x48, 0x8b, 0x47, 0x68, 0x48, 0x89, 0x02, 0xc3,
    ];
    let elf = with_gnutls(Elf::new()).function(Table::Dynsym, "gnutls_transport_get_ptr2", &accessor);
    let hooks = planned(&elf.function(Table::Dynsym, "gnutls_deinit", &PUSH)).hooks;
    let field = |offset| Some(Operand::loaded(Place::Register(5), offset, 8));
    let transports: Vec<_> = hooks.iter().map(|hook| hook.operands.transports).collect();
    let known = [field(0x60), field(0x68)];
    assert_eq!(
        transports,
        [known, known, [None, None]],
        "only what moves bytes has them"
    );
}

#[test]
fn one_image_may_hold_both_libraries() {
    let image = with_gnutls(Elf::with_tls(Table::Dynsym, &PUSH))
        .string("../ssl/ssl_lib.c")
        .string("../ssl/ssl_cert.c")
        .string("../ssl/t1_enc.c")
        .string("master secret")
        .build();
    let plans = symbolizer::plan(&image, None).unwrap();
    let families = plans.plans.iter().map(|plan| plan.library.family);
    assert_eq!(families.collect::<Vec<_>>(), [Family::OpenSsl, Family::GnuTls]);
    assert!(plans.reasons.is_empty());
    let reads = plans.plans.iter().flat_map(|plan| &plan.hooks);
    assert_eq!(reads.filter(|hook| hook.role == Role::Read).count(), 2);
}

#[test]
fn openssl_s_names_around_gnutls_are_no_openssl() {
    let plan = planned(&with_gnutls(Elf::with_tls(Table::Dynsym, &PUSH)));
    assert_eq!(plan.library.family, Family::GnuTls);
}

#[test]
fn half_of_one_library_does_not_hide_the_other() {
    let elf = Elf::with_tls(Table::Dynsym, &PUSH).function(Table::Dynsym, RECV, &PUSH);
    let plans = symbolizer::plan(&elf.build(), None).unwrap();
    assert_eq!(plans.plans.len(), 1);
    assert_eq!(plans.reasons, [Reason::OneDirection]);
}
