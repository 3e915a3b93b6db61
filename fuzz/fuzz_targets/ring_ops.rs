//! A well-behaved driver, against `virtio-queue`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| netrx_oracle::targets::play("ring_ops", input));
