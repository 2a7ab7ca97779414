//! An HPACK decoder that joined late decodes nothing that differs from one that saw everything.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_decode::fuzz::hpack(data));
