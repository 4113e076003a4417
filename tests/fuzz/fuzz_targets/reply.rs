//! Feeds `tokend_subjects::reply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokend_subjects::reply(bytes));
