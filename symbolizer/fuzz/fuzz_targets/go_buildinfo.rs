//! Any bytes are what Go's linker says of a program, or nothing.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    symbolizer::fuzz_go_buildinfo(bytes);
});
