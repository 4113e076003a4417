//! Feeds `tokend_subjects::record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokend_subjects::record(bytes));
