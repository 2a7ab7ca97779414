//! Any bytes are the code of functions that report the errors of BoringSSL's, in an image without names.
#![no_main]

mod image;

use image::{CODE, call, image};
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

fuzz_target!(|bytes: &[u8]| {
    let (code, begins) = code(bytes);
    drop(symbolizer::plan(&image(&code, &data(&begins), &begins), None));
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

/// Makes a table of methods.
fn data(begins: &[u64]) -> Vec<u8> {
    let words = [0, begins[6], begins[7], 0, 0, 0, 0, 0, 0, begins[3], 0];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
