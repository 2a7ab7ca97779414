//! Any bytes are code of Go in which taps and exits are proven or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    symbolizer::fuzz_go_taps(bytes);
});
