//! Raw hostile memory.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| netrx_oracle::targets::play("ring_bytes", input));
