//! Runs the target `key_state_rows` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    strongroom_tests::hostile_bytes::key_state_rows(bytes);
});
