//! Arbitrary accesses to a card's registers, with traffic running.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| netrx_oracle::targets::play("mmio_ops", input));
