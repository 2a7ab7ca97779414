//! Mbed TLS, wolfSSL and s2n-tls: known by the names of their functions.

use object::elf;
use symbolizer::{Family, Guard, HookKind, Operand, Outcome, Place, Reason, Role, Success};

use crate::support::{Elf, Table};
use crate::{PUSH, planned, refused};

/// Each library, with a function that reads and one that writes.
const LIBRARIES: [(Family, [&str; 2]); 3] = [
    (Family::MbedTls, ["mbedtls_ssl_read", "mbedtls_ssl_write"]),
    (Family::WolfSsl, ["wolfSSL_read", "wolfSSL_write"]),
    (Family::S2n, ["s2n_recv", "s2n_send"]),
];

fn with(names: &[&'static str], table: Table) -> Elf {
    names
        .iter()
        .fold(Elf::new(), |elf, name| elf.function(table, name, &PUSH))
}

#[test]
fn the_functions_of_both_directions_make_a_plan_in_each_symbol_table() {
    for (family, names) in LIBRARIES {
        for table in [Table::Dynsym, Table::Symtab] {
            let plan = planned(&with(&names, table));
            assert_eq!(plan.library.family, family);
            let entered = plan.hooks.iter().filter(|hook| hook.kind == HookKind::Return);
            let found: Vec<_> = entered.map(|hook| (hook.name.as_str(), hook.role)).collect();
            assert_eq!(found, [(names[0], Role::Read), (names[1], Role::Write)]);
            assert!(plan.sending.within_calls, "its sockets are learned from what is sent");
        }
    }
}

#[test]
fn one_direction_is_not_enough() {
    for (_, names) in LIBRARIES {
        for name in names {
            assert_eq!(refused(&with(&[name], Table::Dynsym)), Reason::OneDirection, "{name}");
            assert_eq!(refused(&Elf::new().import(name)), Reason::ImportsTls, "{name}");
        }
        let outside = names.into_iter().fold(Elf::new(), Elf::function_in_data);
        assert_eq!(refused(&outside), Reason::NotInCode);
    }
}

#[test]
fn a_plan_has_what_ends_and_what_clears_a_connection() {
    for (family, names, others) in [
        (
            Family::MbedTls,
            LIBRARIES[0].1,
            [
                ("mbedtls_ssl_set_bio", Role::Bio),
                ("mbedtls_ssl_session_reset", Role::Clear),
                ("mbedtls_ssl_free", Role::End),
            ],
        ),
        (
            Family::WolfSsl,
            LIBRARIES[1].1,
            [
                ("wolfSSL_set_fd", Role::Descriptor),
                ("wolfSSL_clear", Role::Clear),
                ("wolfSSL_free", Role::End),
            ],
        ),
        (
            Family::S2n,
            LIBRARIES[2].1,
            [
                ("s2n_connection_set_fd", Role::Descriptor),
                ("s2n_connection_wipe", Role::Clear),
                ("s2n_connection_free", Role::End),
            ],
        ),
    ] {
        let elf = others.iter().fold(with(&names, Table::Dynsym), |elf, (name, _)| {
            elf.function(Table::Dynsym, name, &PUSH)
        });
        let plan = planned(&elf);
        let entered = plan.hooks.iter().filter(|hook| hook.kind == HookKind::Entry);
        let found: Vec<_> = entered.map(|hook| (hook.name.as_str(), hook.role)).collect();
        assert_eq!((plan.library.family, found), (family, others.to_vec()));
    }
}

#[test]
fn operands_have_the_widths_of_each_interface() {
    // The length, and the result.
    let widths = [(8, 4), (4, 4), (8, 8)];
    for ((_, names), (length, result)) in LIBRARIES.into_iter().zip(widths) {
        for (machine, registers) in [(elf::EM_X86_64, [5, 4, 1]), (elf::EM_AARCH64, [0, 1, 2])] {
            let mut elf = with(&names, Table::Dynsym);
            elf.machine = machine;
            let [object, buffer, size] = registers.map(Place::Register);
            for hook in planned(&elf).hooks.iter().filter(|hook| hook.kind == HookKind::Return) {
                assert_eq!(hook.operands.object, Operand::at(object, 8), "{}", hook.name);
                assert_eq!(hook.operands.buffer, Some(Operand::at(buffer, 8)), "{}", hook.name);
                assert_eq!(hook.operands.length, Some(Operand::at(size, length)), "{}", hook.name);
                assert_eq!(hook.operands.count, Some(Operand::at(Place::Result, result)));
                let outcome = Outcome {
                    width: result,
                    success: Success::Positive,
                };
                assert_eq!(hook.operands.result, Some(outcome), "{}", hook.name);
            }
        }
    }
}

#[test]
fn the_first_piece_of_what_is_gathered_is_seen_unless_bytes_of_it_are_left_out() {
    let elf = with(
        &["s2n_recv", "s2n_send", "s2n_sendv", "s2n_sendv_with_offset"],
        Table::Symtab,
    );
    let hooks = planned(&elf).hooks;
    let operands = |name: &str| hooks.iter().find(|hook| hook.name == name).unwrap().operands;
    let pieces = Place::Register(4);
    for name in ["s2n_sendv", "s2n_sendv_with_offset"] {
        assert_eq!(operands(name).buffer, Some(Operand::loaded(pieces, 0, 8)), "{name}");
        assert_eq!(operands(name).length, Some(Operand::loaded(pieces, 8, 8)), "{name}");
    }
    let whole = Guard {
        operand: Operand::at(Place::Register(2), 8),
        equals: 0,
    };
    assert_eq!(operands("s2n_sendv_with_offset").guards, [Some(whole), None]);
    assert_eq!(operands("s2n_sendv").guards, [None; 2]);
}
