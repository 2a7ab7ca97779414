//! Reads arbitrary bytes as a tape, and runs the pipeline over it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_observe::fuzz::tape(data));
