//! Hooks without a return probe, in small libraries that the C compiler makes and in those that are installed.
//!
//! A second decoder, `objdump` of the binutils that the compiler needs, has to find the instructions where the plan has
//! them.

#![cfg(test)]
#![cfg(target_arch = "x86_64")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use symbolizer::{ExitResult, ExitSite, Hook, HookKind, Instruction, Place, ProbePlan, Role, Tier, Ways};

use support::compiled;

/// Compiler flags as distributions choose them.
const BUILDS: [&[&str]; 7] = [
    &["-O2", "-fcf-protection=none"],
    &["-O2", "-fcf-protection=full", "-fstack-protector-strong"],
    &["-O2", "-fno-omit-frame-pointer", "-fstack-clash-protection"],
    &["-O3", "-fno-plt"],
    &["-Os"],
    &["-O1"],
    &["-O0"],
];

fn planned(image: &[u8]) -> ProbePlan {
    let mut plans = symbolizer::plan(image, None).unwrap().plans;
    assert_eq!(plans.len(), 1);
    plans.remove(0)
}

fn exits(plan: &ProbePlan) -> impl Iterator<Item = &Hook> {
    plan.hooks.iter().filter(|hook| hook.kind == HookKind::Exit)
}

/// Returns the instructions of a file by their addresses, as the second decoder writes them.
fn disassembled(path: &Path) -> BTreeMap<u64, String> {
    let output = Command::new("objdump")
        .args(["-d", "-w", "--no-show-raw-insn"])
        .arg(path)
        .output();
    let listing = String::from_utf8_lossy(&output.expect("binutils is installed").stdout).into_owned();
    let instruction = |line: &str| {
        let (address, text) = line.split_once(':')?;
        let address = u64::from_str_radix(address.trim(), 16).ok()?;
        Some((address, text.trim().to_owned()))
    };
    listing.lines().filter_map(instruction).collect()
}

/// The conditional jumps, by the lower bits of their opcodes.
const CONDITIONS: [&str; 16] = [
    "jo", "jno", "jb", "jae", "je", "jne", "jbe", "ja", "js", "jns", "jp", "jnp", "jl", "jge", "jle", "jg",
];

fn assert_is(exit: &ExitSite, text: &str) {
    let mnemonic = text.split_whitespace().next().unwrap();
    let at = exit.site.address;
    match exit.site.instruction {
        Instruction::ConditionalJump => {
            let condition = CONDITIONS.iter().position(|jump| *jump == mnemonic);
            let condition = condition.unwrap_or_else(|| panic!("{at}: {text}"));
            let when = exit.when.map_or(condition, usize::from);
            assert!(when == condition || when == condition ^ 1, "{at}: {text}");
        }
        Instruction::Jump => assert_eq!(mnemonic, "jmp", "{at}"),
        Instruction::Return => assert_eq!(mnemonic, "ret", "{at}"),
        Instruction::Push => assert_eq!(mnemonic, "push", "{at}"),
        Instruction::Nop => assert_eq!(mnemonic, "nop", "{at}"),
        other @ (Instruction::Call
        | Instruction::Endbr64
        | Instruction::SubRsp
        | Instruction::Paciasp
        | Instruction::Bti
        | Instruction::Other
        | _) => panic!("{at}: {other:?} is no site of an exit"),
    }
    assert_eq!(exit.site.tier == Tier::Stepped, mnemonic == "ret", "{at}");
    assert!(
        exit.when.is_none() || exit.site.instruction == Instruction::ConditionalJump,
        "{at}"
    );
    if let ExitResult::In(operand) = exit.result {
        assert!(
            matches!(operand.place, Place::Register(0..=6 | 8..=15)),
            "{at}: {operand:?}"
        );
        assert!(matches!(operand.width, 4 | 8), "{at}: {operand:?}");
    }
}

fn assert_second_decoder_agrees(plan: &ProbePlan, path: &Path) {
    let instructions = disassembled(path);
    for hook in exits(plan) {
        let described = hook.exits.as_ref().unwrap();
        assert!(!described.sites.is_empty(), "{}", hook.name);
        assert!(
            instructions.contains_key(&hook.site.address.0),
            "{}: {:?}",
            hook.name,
            hook.site
        );
        for exit in &described.sites {
            assert_ne!(exit.site.address, hook.site.address, "{}", hook.name);
            let moved = exit.site.address.0.wrapping_sub(exit.site.offset.0);
            assert_eq!(moved, hook.address.0.wrapping_sub(hook.offset.0), "{}", hook.name);
            let text = instructions.get(&exit.site.address.0);
            assert_is(
                exit,
                text.unwrap_or_else(|| panic!("{}: {exit:?} is no instruction", hook.name)),
            );
        }
    }
}

fn directions(plan: &ProbePlan, kind: HookKind) -> Vec<Role> {
    let hooks = plan
        .hooks
        .iter()
        .filter(|hook| hook.kind == kind && hook.role.carries_plaintext());
    let mut roles: Vec<Role> = hooks.map(|hook| hook.role).collect();
    roles.sort_unstable();
    roles.dedup();
    roles
}

#[test]
fn both_directions_have_exits_however_they_are_compiled() {
    for (index, flags) in BUILDS.iter().enumerate() {
        for version in [None, Some("-DFLAGS"), Some("-DINLINED")] {
            let all: Vec<_> = ["-shared", "-fPIC"]
                .iter()
                .chain(*flags)
                .copied()
                .chain(version)
                .collect();
            let name = format!(
                "exits-{index}-{}.so",
                version.unwrap_or("-Dplain").trim_start_matches("-D")
            );
            let (built, image) = compiled("wrappers.c", &name, &all);
            let plan = planned(&image);
            assert_eq!(directions(&plan, HookKind::Exit), [Role::Read, Role::Write], "{all:?}");
            assert_second_decoder_agrees(&plan, &built.0);
        }
    }
}

#[test]
fn a_hook_with_exits_has_the_operands_of_the_one_with_a_return_probe() {
    let (_built, image) = compiled("wrappers.c", "exits-operands.so", &["-shared", "-fPIC", "-O2"]);
    let plan = planned(&image);
    for exit in exits(&plan) {
        let with_return = |hook: &&Hook| hook.kind == HookKind::Return && hook.address == exit.address;
        let returning = plan.hooks.iter().find(with_return).expect("it has the same function");
        assert_eq!(
            (exit.role, &exit.name, exit.proof),
            (returning.role, &returning.name, returning.proof)
        );
        assert_eq!(exit.operands, returning.operands);
        assert!(returning.exits.is_none());
    }
}

#[test]
fn the_installed_libraries_end_their_calls_where_a_second_decoder_has_instructions() {
    for (library, all) in [
        ("libssl.so.3", 8),
        ("libgnutls.so.30", 6),
        ("libmbedtls.so.14", 3),
        ("libwolfssl.so.35", 6),
        ("libssl3.so", 2),
    ] {
        let path = Path::new("/usr/lib/x86_64-linux-gnu").join(library);
        let Ok(image) = std::fs::read(&path) else {
            println!("{library} is not installed");
            continue;
        };
        let plan = planned(&image);
        assert_second_decoder_agrees(&plan, &path);
        assert_eq!(directions(&plan, HookKind::Exit), directions(&plan, HookKind::Return));
        println!("{library}: {} of {all} functions have exits", exits(&plan).count());
    }
}

#[test]
#[ignore = "needs Debian 12's libssl.so.3 for x86-64"]
fn debian_s_openssl_ends_its_calls_at_emulated_instructions() {
    let plan = planned(&std::fs::read("/usr/lib/x86_64-linux-gnu/libssl.so.3").unwrap());
    let hot = |hook: &Hook| {
        hook.exits
            .clone()
            .unwrap()
            .sites
            .iter()
            .map(|exit| exit.site.tier)
            .max()
    };
    let found: Vec<_> = exits(&plan)
        .map(|hook| (hook.role, hook.exits.as_ref().unwrap().ways, hot(hook).unwrap()))
        .collect();
    let expected = [
        (Role::Descriptor, Ways::Successful, Tier::Stepped),
        (Role::Descriptor, Ways::Successful, Tier::Stepped),
        (Role::Descriptor, Ways::Successful, Tier::Stepped),
        (Role::Handshake, Ways::All, Tier::Emulated),
        (Role::Sendfile, Ways::All, Tier::Emulated),
        (Role::EarlyWrite, Ways::All, Tier::Emulated),
        (Role::Read, Ways::All, Tier::Emulated),
        (Role::Write, Ways::All, Tier::Emulated),
    ];
    assert_eq!(found, expected);
    assert!(
        plan.refused.iter().all(|(kind, ..)| *kind != HookKind::Exit),
        "{:?}",
        plan.refused
    );
}
