//! Feeds `tokend_subjects::dialect`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokend_subjects::dialect(bytes));
