//! Feeds `tokend_subjects::frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokend_subjects::frames(bytes));
