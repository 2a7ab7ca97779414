//! Any bytes are the code of functions that report the errors of BoringSSL's, in an image without names.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// The reasons that each function reports: what reads records, `SSL_read`, `SSL_write`, what hands over data, what seals it,
/// what sends it, and the two of the table of methods.
const REASONS: [&[u32]; 8] = [
    &[215, 226],
    &[66],
    &[111, 215, 226],
    &[111, 194, 118, 68],
    &[121, 189],
    &[119],
    &[0],
    &[0],
];
/// Whom each function calls behind its code.
const CALLS: [usize; 8] = [6, 0, 3, 4, 6, 7, 7, 6];

const HEADERS: usize = 64 + 3 * 56;
const CODE: u64 = 0x1_0000;
const DATA: u64 = 0x10_0000;
const FRAMES: u64 = 0x20_0000;

fuzz_target!(|bytes: &[u8]| {
    let (code, begins) = code(bytes);
    let image = image(&code, &data(&begins), &frames(&begins));
    drop(symbolizer::plan(&image, None));
});

/// Makes the functions of one part of the bytes each.
fn code(bytes: &[u8]) -> (Vec<u8>, Vec<u64>) {
    let size = bytes.len() / REASONS.len();
    let length = |reasons: &[u32]| size + 5 + 17 * reasons.len() + 1;
    let begins: Vec<u64> = REASONS
        .iter()
        .scan(CODE, |at, reasons| {
            let begin = *at;
            *at += length(reasons) as u64;
            Some(begin)
        })
        .collect();
    let mut code = Vec::new();
    for (index, reasons) in REASONS.iter().enumerate() {
        code.extend(&bytes[index * size..][..size]);
        call(&mut code, begins[CALLS[index]]);
        for reason in *reasons {
            code.extend([0xbf, 16, 0, 0, 0, 0x31, 0xf6, 0xba]);
            code.extend(reason.to_le_bytes());
            call(&mut code, begins[7]);
        }
        code.push(0xc3);
    }
    (code, begins)
}

fn call(code: &mut Vec<u8>, to: u64) {
    let next = CODE + code.len() as u64 + 5;
    code.push(0xe8);
    code.extend((to.wrapping_sub(next) as u32).to_le_bytes());
}

/// Makes a table of methods.
fn data(begins: &[u64]) -> Vec<u8> {
    let words = [0, begins[6], begins[7], 0, 0, 0, 0, 0, 0, begins[3], 0];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn frames(begins: &[u64]) -> Vec<u8> {
    let mut table = vec![1, 0x1b, 0x03, 0x3b, 0, 0, 0, 0];
    table.extend((begins.len() as u32).to_le_bytes());
    for begin in begins {
        table.extend((begin.wrapping_sub(FRAMES) as u32).to_le_bytes());
        table.extend([0; 4]);
    }
    table
}

fn image(code: &[u8], data: &[u8], frames: &[u8]) -> Vec<u8> {
    let mut image = b"\x7fELF\x02\x01\x01".to_vec();
    image.resize(16, 0);
    image.extend([3, 0, 62, 0, 1, 0, 0, 0]);
    image.extend([0_u64, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    image.extend([0, 0, 0, 0, 64, 0, 56, 0, 3, 0, 64, 0, 0, 0, 0, 0]);
    let parts = [
        (1_u32, 5_u32, CODE, code),
        (1, 6, DATA, data),
        (0x6474_e550, 4, FRAMES, frames),
    ];
    let mut at = HEADERS;
    for (kind, flags, address, part) in parts {
        image.extend(kind.to_le_bytes());
        image.extend(flags.to_le_bytes());
        let size = part.len() as u64;
        let words = [at as u64, address, address, size, size, 1];
        image.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        at += part.len();
    }
    image.extend(parts.iter().flat_map(|(_, _, _, part)| *part));
    image
}
