//! Feeds `tokend_subjects::wire`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokend_subjects::wire(bytes));
