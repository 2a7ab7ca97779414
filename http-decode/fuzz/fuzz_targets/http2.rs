//! HTTP/2 frames in any order, split and lost, lead to no exchange that is emitted twice.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_decode::fuzz::http2(data));
