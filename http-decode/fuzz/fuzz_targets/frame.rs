//! Frames tell the same in any cut, and nothing untrue behind a hole.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_decode::fuzz::frames(data));
