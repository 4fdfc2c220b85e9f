//! Runs the target `backup_part` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    strongroom_tests::hostile_bytes::backup_part(bytes);
});
