//! What is read from files, sound and bad, and how it is replayed.

mod files;

use std::time::Duration;

use netrx::{Features, Progress};
use netrx_mock::{DriverConfig, Rig, Shape};
use netrx_pcap::{Capture, CaptureError, CaptureSource};
use pcap_file::pcap::PcapHeader;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::simple_packet::SimplePacketBlock;
use pcap_file::{DataLink, Endianness, PcapResult, TsResolution};

use files::{Form, file, pcap, pcapng, time};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn frames() -> Vec<Vec<u8>> {
    vec![vec![1; 60], vec![2; 61], vec![3; 1514]]
}

fn bytes(capture: &Capture) -> Vec<Vec<u8>> {
    capture.frames().map(|frame| frame.bytes.to_vec()).collect()
}

#[test]
fn frames_and_times_are_those_of_the_file() -> Outcome {
    for form in [Form::PcapNg, Form::Pcap] {
        let capture = Capture::parse(&file(form, &frames()))?;
        assert_eq!((capture.len(), capture.longest()), (3, 1514));
        assert_eq!(bytes(&capture), frames(), "{form:?}");
        let times: Vec<_> = capture.frames().map(|frame| frame.time).collect();
        assert_eq!(times, [Some(time(0)), Some(time(1)), Some(time(2))], "{form:?}");
        assert_eq!(capture.frame(3), None);
    }
    Ok(())
}

#[test]
fn pcap_in_every_byte_order_and_resolution() -> Outcome {
    for endianness in [Endianness::Big, Endianness::Little] {
        for ts_resolution in [TsResolution::MicroSecond, TsResolution::NanoSecond] {
            let header = PcapHeader { endianness, ts_resolution, ..PcapHeader::default() };
            let capture = Capture::parse(&pcap(&frames(), header)?)?;
            assert_eq!(bytes(&capture), frames());
            assert_eq!(capture.frame(2).and_then(|frame| frame.time), Some(time(2)));
        }
    }
    Ok(())
}

#[test]
fn times_are_counted_as_the_interface_says() -> Outcome {
    use InterfaceDescriptionOption::{IfTsOffset, IfTsResol};
    let count = time(0).as_nanos() as u64;
    let cases = [
        (vec![], Some(Duration::from_micros(count))),
        (vec![IfTsResol(6)], Some(Duration::from_micros(count))),
        (vec![IfTsResol(3)], Some(Duration::from_millis(count))),
        (vec![IfTsResol(9), IfTsOffset(5)], Some(time(0) + Duration::from_secs(5))),
        (vec![IfTsResol(0x80 | 30)], Some(Duration::new(count >> 30, fraction(count)))),
        (vec![IfTsResol(0x7f)], None),
        (vec![IfTsResol(9), IfTsOffset(u64::MAX)], None),
    ];
    for (options, expected) in cases {
        let capture = Capture::parse(&pcapng(&frames(), DataLink::ETHERNET, &options)?)?;
        assert_eq!(capture.frame(0).and_then(|frame| frame.time), expected, "{options:?}");
    }
    Ok(())
}

/// The nanoseconds of a count of 2^-30 seconds, beyond the whole seconds.
fn fraction(count: u64) -> u32 {
    (((count & 0x3fff_ffff) * 1_000_000_000) >> 30) as u32
}

#[test]
fn simple_packets_lose_their_padding() -> Outcome {
    for snaplen in [0, 61, 100] {
        let capture = Capture::parse(&simple(snaplen, 61, 61)?)?;
        assert_eq!(bytes(&capture), [[2; 61]]);
        assert_eq!(capture.frame(0).and_then(|frame| frame.time), None);
    }
    Ok(())
}

/// A pcapng file of one simple packet of `original_len` bytes, of which `captured` are there.
fn simple(snaplen: u32, original_len: u32, captured: usize) -> PcapResult<Vec<u8>> {
    let mut writer = PcapNgWriter::new(Vec::new())?;
    writer.write_pcapng_block(InterfaceDescriptionBlock::new(DataLink::ETHERNET, snaplen))?;
    writer.write_pcapng_block(SimplePacketBlock { original_len, data: vec![2; captured].into() })?;
    Ok(writer.into_inner())
}

#[test]
fn a_frame_that_was_cut_when_captured_is_refused() -> Outcome {
    for (file, number, captured) in [
        (cut_last(Form::PcapNg, &frames(), 9014), 3, 1514),
        (cut_last(Form::Pcap, &frames(), 9014), 3, 1514),
        (simple(40, 9014, 40)?, 1, 40),
    ] {
        let error = Capture::parse(&file).map(|capture| capture.len());
        assert!(matches!(error, Err(CaptureError::CutFrame { original: 9014, .. })), "{error:?}");
        let told = format!("frame {number} was cut to {captured} of its 9014 bytes");
        let said = error.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.starts_with(&told) && said.ends_with("with a larger snap length"), "{said}");
    }
    Ok(())
}

/// A file of these frames, the last of which had `original` bytes before it was captured.
fn cut_last(form: Form, frames: &[Vec<u8>], original: u32) -> Vec<u8> {
    let mut file = file(form, frames);
    let last = frames.last().map_or(0, Vec::len);
    let (behind, len) = match form {
        // Padded, and followed by the length of the block.
        Form::PcapNg => (last.next_multiple_of(4) + 4, original.to_ne_bytes()),
        Form::Pcap => (last, original.to_be_bytes()),
    };
    let end = file.len() - behind;
    file[end - 4..end].copy_from_slice(&len);
    file
}

#[test]
fn sections_of_either_byte_order_follow_each_other() -> Outcome {
    let mut both = file(Form::PcapNg, &frames());
    let mut writer = PcapNgWriter::with_endianness(Vec::new(), Endianness::Big)?;
    writer.write_pcapng_block(InterfaceDescriptionBlock::new(DataLink::ETHERNET, 0))?;
    writer.write_pcapng_block(SimplePacketBlock { original_len: 60, data: vec![9; 60].into() })?;
    both.extend(writer.into_inner());
    assert_eq!(bytes(&Capture::parse(&both)?), [frames(), vec![vec![9; 60]]].concat());
    Ok(())
}

#[test]
fn every_bad_file_has_its_error() -> Outcome {
    let error = |file: &[u8]| Capture::parse(file).map(|capture| capture.len());
    for not_a_capture in [&b""[..], b"abc", b"hello, world", &[0; 4096]] {
        assert!(matches!(error(not_a_capture), Err(CaptureError::NotACapture)));
    }
    let wlan = DataLink::IEEE802_11;
    let pcap_of_wlan = pcap(&frames(), PcapHeader { datalink: wlan, ..PcapHeader::default() })?;
    assert!(matches!(error(&pcap_of_wlan), Err(CaptureError::NotEthernet(105))));
    assert!(matches!(error(&pcapng(&frames(), wlan, &[])?), Err(CaptureError::NotEthernet(105))));
    let orphan = SimplePacketBlock { original_len: 60, data: vec![9; 60].into() };
    let mut writer = PcapNgWriter::new(Vec::new())?;
    writer.write_pcapng_block(orphan)?;
    assert!(matches!(error(&writer.into_inner()), Err(CaptureError::Damaged { frames: 0, .. })));
    let missing = Capture::open("/no/such/file");
    assert!(matches!(missing, Err(CaptureError::Read(_))), "{missing:?}");
    Ok(())
}

#[test]
fn wherever_a_file_is_cut_off_or_damaged_there_is_an_error_and_no_panic() {
    for form in [Form::PcapNg, Form::Pcap] {
        let whole = file(form, &frames());
        let mut sound = 0;
        for len in 0..whole.len() {
            match Capture::parse(&whole[..len]) {
                Ok(capture) => {
                    assert_eq!(bytes(&capture)[..], frames()[..capture.len()], "cut between two records");
                    sound += 1;
                }
                Err(CaptureError::CutOff { frames }) => assert!(frames < 3),
                Err(error) => assert!(len < 4, "{len} bytes: {error}"),
            }
        }
        assert!((3..=4).contains(&sound), "{form:?} may end between records only: {sound}");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            let _ = Capture::parse(&damaged);
        }
    }
}

#[test]
#[cfg(unix)]
fn what_has_no_end_is_known_by_its_beginning() {
    assert!(matches!(Capture::open("/dev/zero"), Err(CaptureError::NotACapture)));
}

#[test]
fn an_empty_capture_is_no_error_and_closes_even_repeated() -> Outcome {
    assert!(Capture::parse(&file(Form::Pcap, &[]))?.is_empty());
    assert_eq!(replay(&mut CaptureSource::new(Capture::default()).repeated())?, Vec::<Vec<u8>>::new());
    Ok(())
}

#[test]
fn a_repeated_source_begins_again_until_its_limit() -> Outcome {
    let capture = Capture::parse(&file(Form::PcapNg, &frames()))?;
    let expected: Vec<_> = frames().into_iter().cycle().take(7).collect();
    assert_eq!(replay(&mut CaptureSource::new(capture.clone()).repeated().limited_to(7))?, expected);
    assert_eq!(replay(&mut CaptureSource::new(capture.clone()).limited_to(7))?, frames());
    assert_eq!(replay(&mut CaptureSource::new(capture).limited_to(2))?, frames()[..2]);
    Ok(())
}

#[test]
fn a_source_that_is_limited_to_less_than_it_gave_closes() -> Outcome {
    let capture = Capture::parse(&file(Form::PcapNg, &frames()))?;
    let mut source = CaptureSource::new(capture).repeated().limited_to(5);
    assert_eq!(replay(&mut source)?.len(), 5);
    assert!(replay(&mut source.limited_to(4))?.is_empty());
    Ok(())
}

/// What a guest gets of a source, until that closes.
fn replay(source: &mut CaptureSource) -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error>> {
    let mut rig = Rig::new(DriverConfig::new(4, Features::VERSION_1, Shape::single(2048)))?;
    let (mut arrived, before) = (Vec::new(), source.taken());
    loop {
        let (progress, frames) = rig.turn(source)?;
        arrived.extend(frames);
        if progress == Progress::Closed {
            assert_eq!(source.taken() - before, arrived.len() as u64);
            return Ok(arrived);
        }
    }
}
