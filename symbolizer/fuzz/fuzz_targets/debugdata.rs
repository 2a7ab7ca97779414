//! Any bytes are decompressed or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|compressed: &[u8]| drop(symbolizer::fuzz_debugdata(compressed)));
