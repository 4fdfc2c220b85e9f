//! Runs the target `index_entry` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    strongroom_tests::hostile_bytes::index_entry(bytes);
});
