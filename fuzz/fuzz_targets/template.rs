#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| asset_gateway_fuzz::template::run(data));
