//! Frames in any order, parted and lost, give no exchange twice.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_decode::fuzz::http2(data));
