//! rustls: what its functions prove, and why it is refused.

use symbolizer::{Cause, Family, HookKind, Image, Operand, Place, Reason, Role, RustlsRefusal, Tier};

use crate::support::{DATA_BASE, Elf, Table};
use crate::{PUSH, planned, refused};

const FILES: [&str; 3] = [
    "/registry/rustls-0.23.31/src/conn.rs",
    "/registry/rustls-0.23.31/src/client/hs.rs",
    "/registry/rustls-0.23.31/src/tls13/mod.rs",
];
const LABEL: &str = "key expansion";

const ENCRYPT: &str = "_ZN111_$LT$rustls..crypto..ring..tls13..Tls13MessageEncrypter$u20$as$u20$rustls..crypto..cipher..\
                       MessageEncrypter$GT$7encrypt17h4f1f6884ecbf22b7E";
const ENCRYPTER: &str = "_ZN6rustls6crypto4ring5tls1313AeadAlgorithm9encrypter17hdf1d195eb1bf87a1E";
const TAKE: &str = "_ZN6rustls12common_state11CommonState23take_received_plaintext17h5c4bd1cd0e9bd2b2E";
const SEND: &str = "_ZN6rustls12common_state11CommonState20send_appdata_encrypt17h5c4bd1cd0e9bd2b2E";
const DROP: &str = "_ZN4core3ptr54drop_in_place$LT$rustls..common_state..CommonState$GT$17h5c4bd1cd0e9bd2b2E";

/// push rbx; sub rsp,0x80; mov rbx,rdi; movb [rsp+0x58],KIND; movw [rsp+0x5a],4; mov rsi,[rbx+0x10]; mov rax,[rbx+0x18];
/// mov rdi,rsp; lea rdx,[rsp+0x38]; call [rax+0x18]; cmpb [rsp],0x16; jne +0; add rsp,0x80; pop rbx; ret
fn sending(kind: u8) -> Vec<u8> {
    let mut code = vec![0x53, 0x48, 0x81, 0xec, 0x80, 0, 0, 0, 0x48, 0x89, 0xfb];
    code.extend([0xc6, 0x44, 0x24, 0x58, kind, 0x66, 0xc7, 0x44, 0x24, 0x5a, 4, 0]);
    code.extend([0x48, 0x8b, 0x73, 0x10, 0x48, 0x8b, 0x43, 0x18, 0x48, 0x89, 0xe7]);
    code.extend([
        0x48, 0x8d, 0x54, 0x24, 0x38, 0xff, 0x50, 0x18, 0x80, 0x3c, 0x24, 0x16, 0x75, 0,
    ]);
    code.extend([0x48, 0x81, 0xc4, 0x80, 0, 0, 0, 0x5b, 0xc3]);
    code
}

/// push rbx; mov rbx,rdi; mov rdx,[rsi+0x10]; mov rsi,[rsi+8]; call, elsewhere; pop rbx; ret
const TAKING: [u8; 19] = [
    0x53, 0x48, 0x89, 0xfb, 0x48, 0x8b, 0x56, 0x10, 0x48, 0x8b, 0x76, 8, 0xe8, 0, 1, 0, 0, 0x5b, 0xc3,
];
/// push rbx; pop rbx; ret
const NOTHING: [u8; 3] = [0x53, 0x5b, 0xc3];

/// What drops an object, which is not looked at, and by which the table is found in the image.
const DROPS: u64 = 0x1122_3344_5566_7788;

/// mov edx,TABLE; ret
fn making(table: u64) -> Vec<u8> {
    [&[0xba][..], &u32::try_from(table).unwrap().to_le_bytes(), &[0xc3]].concat()
}

fn with(functions: &[(&'static str, &[u8])], method: u64) -> Elf {
    let mut elf = Elf::new();
    elf.data = [DROPS, 0x230, 16, method, 0].map(u64::to_le_bytes).concat();
    let elf = FILES.into_iter().fold(elf.string(LABEL), Elf::string);
    let add = |elf: Elf, (name, code): &(&'static str, &[u8])| elf.function(Table::Symtab, name, code);
    functions.iter().fold(elf, add)
}

fn whole() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (ENCRYPT, PUSH.to_vec()),
        (ENCRYPTER, making(0)),
        (TAKE, TAKING.to_vec()),
        (SEND, sending(3)),
        (DROP, PUSH.to_vec()),
    ]
}

/// Builds an image whose function that makes objects returns a table with the function that encrypts.
fn image(functions: &[(&'static str, Vec<u8>)]) -> Elf {
    let build = |table: u64, method: u64| {
        let code = |(name, code): &(&'static str, Vec<u8>)| {
            (
                *name,
                if *code == making(0) {
                    making(table)
                } else {
                    code.clone()
                },
            )
        };
        let functions: Vec<_> = functions.iter().map(code).collect();
        let functions: Vec<_> = functions.iter().map(|(name, code)| (*name, &code[..])).collect();
        with(&functions, method)
    };
    let bytes = build(0, 0).build();
    let table = memmem(&bytes, &DROPS.to_le_bytes()) + DATA_BASE;
    let parsed = Image::parse(&bytes).unwrap().unwrap();
    let mut symbols = parsed.symbols(symbolizer::Table::Symtab).unwrap();
    let encrypts = symbols.find(|symbol| symbol.name_within(ENCRYPT.len()) == Some(ENCRYPT.as_bytes()));
    build(table, encrypts.map_or(0, |symbol| symbol.address.0))
}

fn memmem(bytes: &[u8], part: &[u8]) -> u64 {
    let at = bytes.windows(part.len()).position(|window| window == part);
    u64::try_from(at.unwrap()).unwrap()
}

fn why(elf: &Elf) -> RustlsRefusal {
    let reason = refused(elf);
    let Reason::Rustls { versions, why } = reason else {
        panic!("{reason}")
    };
    assert_eq!(versions, ["0.23.31"]);
    why
}

#[test]
fn its_functions_make_a_plan() {
    let plan = planned(&image(&whole()));
    assert_eq!(plan.library.family, Family::Rustls);
    assert_eq!(plan.library.version.unwrap().text, "rustls 0.23.31");
    let register = Place::Register;
    let [received, written, begun, ended, record] = &plan.hooks[..] else {
        panic!("{:?}", plan.hooks)
    };
    assert_eq!((received.kind, received.role), (HookKind::Tap, Role::Read));
    assert_eq!(received.site.tier, Tier::Emulated);
    assert_eq!(received.operands.object, Operand::loaded(register(5), 0x10, 8));
    assert_eq!(received.operands.buffer, Some(Operand::loaded(register(4), 8, 8)));
    assert_eq!(received.operands.count, Some(Operand::loaded(register(4), 0x10, 8)));
    assert_eq!((written.kind, written.role), (HookKind::Tap, Role::Write));
    assert_eq!(written.operands.object, Operand::at(register(4), 8));
    assert_eq!(written.operands.pieces, Some(Operand::at(register(1), 8)));
    let guard = written.operands.guards[0].unwrap();
    assert_eq!(
        (guard.operand, guard.equals),
        (Operand::loaded(register(1), 0x20, 1), 3)
    );
    assert_eq!((begun.kind, begun.role), (HookKind::Entry, Role::Clear));
    assert_eq!(begun.site.address.0, begun.address.0 + 5, "at its return");
    assert_eq!(begun.operands.object, Operand::at(register(0), 8));
    assert_eq!((ended.kind, ended.role), (HookKind::Entry, Role::End));
    assert_eq!((record.kind, record.role), (HookKind::Tap, Role::Ciphertext));
    assert_eq!(record.operands.object, Operand::loaded(register(3), 0x10, 8));
    assert_eq!(record.operands.buffer, Some(Operand::at(Place::Stack(0x10), 8)));
    assert_eq!(record.operands.length, Some(Operand::at(Place::Stack(0x18), 8)));
}

#[test]
fn what_a_missing_function_would_prove_is_not_guessed() {
    let without = |name: &str| {
        let functions: Vec<_> = whole().into_iter().filter(|(other, _)| *other != name).collect();
        why(&image(&functions))
    };
    assert!(matches!(
        without(ENCRYPT),
        RustlsRefusal::WriteNotProven(Cause::FunctionMissing(_))
    ));
    assert!(matches!(
        without(SEND),
        RustlsRefusal::WriteNotProven(Cause::FunctionMissing(_))
    ));
    assert!(matches!(
        without(TAKE),
        RustlsRefusal::ReadNotProven(Cause::FunctionMissing(_))
    ));
    assert!(matches!(
        without(ENCRYPTER),
        RustlsRefusal::BeginningNotProven(Cause::FunctionMissing(_))
    ));
}

#[test]
fn code_that_does_otherwise_is_refused() {
    let other = |name: &str, code: &[u8]| {
        let mut functions = whole();
        functions.iter_mut().find(|(other, _)| *other == name).unwrap().1 = code.to_vec();
        why(&image(&functions))
    };
    assert!(matches!(
        other(SEND, &sending(2)),
        RustlsRefusal::WriteNotProven(Cause::TypeLost(_))
    ));
    assert!(matches!(
        other(SEND, &NOTHING),
        RustlsRefusal::WriteNotProven(Cause::NoCopy)
    ));
    assert!(matches!(
        other(TAKE, &NOTHING),
        RustlsRefusal::ReadNotProven(Cause::NoCopy)
    ));
    assert_eq!(
        other(ENCRYPTER, &NOTHING),
        RustlsRefusal::BeginningNotProven(Cause::Methods)
    );
    // jmp, elsewhere
    assert!(matches!(
        other(ENCRYPTER, &[0xe9, 0, 1, 0, 0]),
        RustlsRefusal::BeginningNotProven(Cause::LeavesImage(_))
    ));
}

#[test]
fn two_copies_are_not_told_apart() {
    let other = "_ZN6rustls12common_state11CommonState20send_appdata_encrypt17h0000000000000000E";
    let mut functions = whole();
    functions.push((other, sending(3)));
    assert_eq!(
        why(&image(&functions)),
        RustlsRefusal::WriteNotProven(Cause::SeveralCopies)
    );
    let versions = image(&whole()).string("/registry/rustls-0.21.12/src/conn.rs");
    let reason = refused(&versions);
    assert_eq!(
        reason.to_string(),
        "its rustls 0.21.12, 0.23.31 cannot be traced: there are several versions of it"
    );
}

#[test]
fn without_names_it_is_refused_with_its_version() {
    let reason = refused(&with(&[], 0));
    assert_eq!(
        reason.to_string(),
        "its rustls 0.23.31 has been stripped of the names of its functions, and these are not found for certain without"
    );
}
