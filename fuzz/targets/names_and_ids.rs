//! Runs the target `names_and_ids` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    strongroom_tests::hostile_bytes::names_and_ids(bytes);
});
