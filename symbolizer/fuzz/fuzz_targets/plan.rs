//! Any bytes are planned or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|image: &[u8]| drop(symbolizer::plan(image, None)));
