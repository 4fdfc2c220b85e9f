//! Runs the target `sealed_stream` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    strongroom_tests::hostile_bytes::sealed_stream(bytes);
});
