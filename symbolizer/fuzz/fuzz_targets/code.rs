//! Any bytes are code or not, and a probe lies within them.
#![no_main]

libfuzzer_sys::fuzz_target!(|code: &[u8]| drop(symbolizer::fuzz_code(code)));
