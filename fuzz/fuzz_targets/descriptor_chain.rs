//! Arbitrary descriptors and indirect tables.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| netrx_oracle::targets::play("descriptor_chain", input));
