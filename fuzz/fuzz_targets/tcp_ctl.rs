//! Arbitrary acknowledgements, windows and ends of a promoted connection.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| netrx_oracle::targets::play("tcp_ctl", input));
