//! Feeds `tokend_subjects::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokend_subjects::config(bytes));
