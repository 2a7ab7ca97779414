//! The frame reader reports the same events for any chunks, and none that are wrong around a gap.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_decode::fuzz::frames(data));
