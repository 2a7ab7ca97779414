//! Redacts generated exchanges, and checks that no planted secret is printed.
#![no_main]

libfuzzer_sys::fuzz_target!(|choices: &[u8]| tracer_observe::fuzz::redaction(choices));
