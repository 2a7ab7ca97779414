//! Any bytes are Go's table of functions, or none.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    symbolizer::fuzz_pclntab(bytes);
});
