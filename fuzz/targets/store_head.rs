//! Runs the target `store_head` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    strongroom_tests::hostile_bytes::store_head(bytes);
});
