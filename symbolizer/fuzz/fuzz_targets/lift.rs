//! Any bytes are followed or refused, as a function that writes and as one that counts.
#![no_main]

libfuzzer_sys::fuzz_target!(|code: &[u8]| {
    assert!(symbolizer::fuzz_lift(code) <= 3 + symbolizer::limits::FUNCTION_INSTRUCTIONS);
});
