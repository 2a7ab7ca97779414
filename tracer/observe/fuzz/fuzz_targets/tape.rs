//! Any bytes are a tape or not, and whatever is read of one goes through the pipeline.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_observe::fuzz::tape(data));
