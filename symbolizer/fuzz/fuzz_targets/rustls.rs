//! Any bytes are the code of functions that lead to places in rustls's source, in an image without names.
#![no_main]

mod image;

use image::{CODE, DATA, call, image};
use libfuzzer_sys::fuzz_target;

/// What each function leads to, and whom it calls behind its code.
const FUNCTIONS: [(Leads, usize); 8] = [
    (Leads::To(RECORD_LAYER), 1),
    (Leads::To(RECORD_LAYER), 7),
    (Leads::ToTable(TLS13), 7),
    (Leads::ToTable(TLS12), 7),
    (Leads::Counts, 6),
    (Leads::Nowhere, 7),
    (Leads::Nowhere, 7),
    (Leads::Nowhere, 5),
];

#[derive(Clone, Copy)]
enum Leads {
    Nowhere,
    /// A place in a file.
    To(usize),
    /// A place in a file and the table of methods.
    ToTable(usize),
    /// A counter gets its first value.
    Counts,
}

const FILES: [&[u8]; 3] = [
    b"/i/rustls-0.23.46/src/record_layer.rs",
    b"/i/rustls-0.23.46/src/crypto/ring/tls13.rs",
    b"/i/rustls-0.23.46/src/crypto/ring/tls12.rs",
];
const RECORD_LAYER: usize = 0;
const TLS13: usize = 1;
const TLS12: usize = 2;
const LABEL: &[u8] = b"key expansion\0";

/// Bytes of a place in a file: address and length of the path, line and column.
const PLACE: u64 = 24;
/// Where the table of methods is.
const TABLE: u64 = DATA + FILES.len() as u64 * PLACE;
/// lea rax,[rsi+0x11]; ret
const ADDS_OVERHEAD: [u8; 5] = [0x48, 0x8d, 0x46, 0x11, 0xc3];

fuzz_target!(|bytes: &[u8]| {
    let (code, begins, overhead) = code(bytes);
    drop(symbolizer::plan(
        &image(&code, &data(begins[5], overhead), &begins),
        None,
    ));
});

/// Makes the functions of one part of the bytes each, and the method that says how long a record gets.
fn code(bytes: &[u8]) -> (Vec<u8>, Vec<u64>, u64) {
    let size = bytes.len() / FUNCTIONS.len();
    // The calls lead to where functions began when they were made without bytes between them.
    let (_, begins) = functions(bytes, size, &[CODE; FUNCTIONS.len()]);
    let (mut code, mut begins) = functions(bytes, size, &begins);
    let overhead = CODE + code.len() as u64;
    begins.push(overhead);
    code.extend(ADDS_OVERHEAD);
    (code, begins, overhead)
}

fn functions(bytes: &[u8], size: usize, targets: &[u64]) -> (Vec<u8>, Vec<u64>) {
    let (mut code, mut begins) = (Vec::new(), Vec::new());
    for (index, (leads, calls)) in FUNCTIONS.iter().enumerate() {
        begins.push(CODE + code.len() as u64);
        if let Leads::Counts = leads {
            // movb [rdi+0x32e],0x20
            code.extend([0xc6, 0x87, 0x2e, 3, 0, 0, 0x20]);
        }
        code.extend(&bytes[index * size..][..size]);
        match leads {
            Leads::Nowhere | Leads::Counts => {}
            Leads::To(file) => load(&mut code, 0x05, place(*file)),
            Leads::ToTable(file) => {
                load(&mut code, 0x05, place(*file));
                load(&mut code, 0x15, TABLE);
            }
        }
        call(&mut code, targets[*calls]);
        code.push(0xc3);
    }
    (code, begins)
}

/// Appends a load of an address into `rax` (0x05) or `rdx` (0x15).
fn load(code: &mut Vec<u8>, register: u8, address: u64) {
    let next = CODE + code.len() as u64 + 7;
    code.extend([0x48, 0x8d, register]);
    code.extend((address.wrapping_sub(next) as u32).to_le_bytes());
}

fn place(file: usize) -> u64 {
    DATA + file as u64 * PLACE
}

/// Makes the places, the table of methods, and the texts.
fn data(encrypts: u64, overhead: u64) -> Vec<u8> {
    let mut at = TABLE + 5 * 8 + LABEL.len() as u64;
    let mut data = Vec::new();
    for file in FILES {
        data.extend(
            [at, file.len() as u64, 1 << 32 | 1]
                .iter()
                .flat_map(|word| word.to_le_bytes()),
        );
        at += file.len() as u64 + 1;
    }
    data.extend(
        [CODE, 0x230, 16, encrypts, overhead]
            .iter()
            .flat_map(|word| word.to_le_bytes()),
    );
    data.extend(LABEL);
    data.extend(FILES.iter().flat_map(|file| [file, &b"\0"[..]].concat()));
    data
}
