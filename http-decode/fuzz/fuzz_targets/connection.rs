//! A connection takes any operations and stays within its memory limit.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_decode::fuzz::connection(data));
