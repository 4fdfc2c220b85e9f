//! Runs the target `journal_frame` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    strongroom_tests::hostile_bytes::journal_frame(bytes);
});
