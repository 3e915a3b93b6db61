//! The mock passes the suites that it brings.

use std::sync::Arc;

use netrx::IrqId;
use netrx_mock::conformance::{self, Feeder};
use netrx_mock::{MockHypervisor, MockIrq, MockLevel, MockMemory, Placing, Script, ScriptedSource};

struct Scripted(Script);

impl Feeder for Scripted {
    fn send(&mut self, frame: &[u8]) {
        self.0.frame(frame);
    }
}

fn scripted(placing: Placing) -> (ScriptedSource, Scripted) {
    let (source, script) = ScriptedSource::placing(placing);
    (source, Scripted(script))
}

#[test]
fn memory_on_the_heap() {
    conformance::memory(|| {
        let memory = MockMemory::heap(&[65536, 131_072]);
        let regions = memory.regions().to_vec();
        (memory, regions)
    });
}

#[cfg(unix)]
#[test]
fn memory_between_guard_pages() -> std::io::Result<()> {
    let memory = MockMemory::guarded(&[65536, 131_072])?;
    conformance::memory(|| (memory.clone(), memory.regions().to_vec()));
    Ok(())
}

#[test]
fn memory_over_another() {
    conformance::memory(|| {
        let other = MockMemory::heap(&[65536, 131_072]);
        let regions = other.regions().to_vec();
        (MockMemory::over(Arc::new(other), &regions), regions)
    });
}

#[test]
fn irq() {
    conformance::irq(|| {
        let (line, probe) = MockIrq::new();
        (line, move || probe.raised())
    });
}

#[test]
fn level_line() {
    conformance::level(|| {
        let (line, probe) = MockLevel::new();
        (line, move || probe.is_high())
    });
}

#[test]
fn hypervisor() {
    conformance::hypervisor(|| {
        let memory = MockMemory::heap(&[65536]);
        let at = memory.regions()[0].0;
        (MockHypervisor::new(memory, 4), at, IrqId(3), IrqId(4))
    });
}

#[test]
fn copying_source() {
    conformance::source(|| scripted(Placing::Copy));
}

#[test]
fn a_source_beside_others() {
    conformance::watched_source(|| scripted(Placing::Copy));
}

#[test]
fn copying_source_in_bursts() {
    conformance::source(|| scripted(Placing::Burst(16)));
}

#[test]
fn reading_source() {
    conformance::source(|| scripted(Placing::Read { largest: 1514, batch: 16 }));
}

#[test]
fn reading_source_that_may_find_jumbo_frames() {
    conformance::source(|| scripted(Placing::Read { largest: 65_550, batch: 16 }));
}
