//! Runs the target `stored_rows` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    strongroom_tests::hostile_bytes::stored_rows(bytes);
});
