//! The source passes the suite of its kind.

mod files;

use netrx_mock::conformance;
use netrx_pcap::{Capture, CaptureSource};

use files::Form;

fn source(form: Form, frames: &[Vec<u8>]) -> CaptureSource {
    let capture = Capture::parse(&files::file(form, frames));
    assert!(capture.is_ok(), "the file is sound: {capture:?}");
    CaptureSource::new(capture.unwrap_or_default())
}

#[test]
fn replayed_from_pcapng() {
    conformance::finite_source(|frames| source(Form::PcapNg, frames));
}

#[test]
fn replayed_from_pcap() {
    conformance::finite_source(|frames| source(Form::Pcap, frames));
}
