//! Any code is followed or refused, and its ways are as few as the limit of steps makes them.
#![no_main]

libfuzzer_sys::fuzz_target!(|code: &[u8]| {
    assert!(symbolizer::fuzz_accessor(code) <= 2 * symbolizer::limits::ACCESSOR_STEPS);
});
