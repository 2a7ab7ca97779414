//! A decoder that joined late says nothing else than one that saw everything.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_decode::fuzz::hpack(data));
