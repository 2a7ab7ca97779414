//! The reassembler returns every byte once and in order.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_decode::fuzz::reassembly(data));
