//! Any bytes are code whose calls end within them, or are refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|code: &[u8]| drop(symbolizer::fuzz_exits(code)));
