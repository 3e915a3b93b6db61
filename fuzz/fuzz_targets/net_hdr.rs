//! Arbitrary features and metadata.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| netrx_oracle::targets::play("net_hdr", input));
