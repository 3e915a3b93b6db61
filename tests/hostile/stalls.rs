//! Stalls and lost wake-ups.

use netrx::Features;
use netrx_mock::{Placing, Shape};
use netrx_oracle::Ending;

use crate::scene::{Row, Set, Verdict};

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    Row { name: "KF 1   ring and source full, then a refill", play: both_full, verdict: "kicked; 64 delivered, 8 irqs; Idle" },
    Row { name: "KF 2   a burst above the ring, silence, one at a time", play: burst, verdict: "kicked 16 times; 24 delivered, 17 irqs; Idle" },
    Row { name: "KF 3   a refill in part, a chain at a time", play: |set| partial(set, Placing::Copy), verdict: "kicked 4 times; 1 delivered, 1 irqs; Idle" },
    Row { name: "KF 3   the same, read", play: |set| partial(set, READ), verdict: "kicked 4 times; 1 delivered, 1 irqs; Idle" },
    Row { name: "KF 5   a restore with entries the driver does not know of", play: restore_pending, verdict: "interrupted once; 3 delivered, 2 irqs; Idle" },
    Row { name: "KF 5   a restore with an empty ring is armed again", play: restore_armed, verdict: "kicked; 2 delivered, 3 irqs; Idle" },
    Row { name: "KF 5   a restore gives back what was held", play: restore_held, verdict: "2 given back; 1 delivered, 1 irqs; Idle" },
    Row { name: "KF 8   nothing is withheld while waiting", play: withheld, verdict: "2 visible, interrupted; 2 delivered, 1 irqs; Starved" },
    Row { name: "KF 9   full and empty, over the wrap, sizes 1 to 32768", play: full_and_empty, verdict: "16 sizes" },
    Row { name: "KF 12  frames before anything is posted", play: before_ready, verdict: "kicked; 3 delivered, 1 irqs; Idle" },
    Row { name: "KF 23  a full source and an empty ring", play: starved, verdict: "Starved Starved Starved, nothing taken" },
    Row { name: "KF 27  a lone frame is told of at once", play: lone, verdict: "interrupted; 1 delivered, 1 irqs; Idle" },
];

const READ: Placing = Placing::Read { largest: 1600, batch: 1 };

fn with_events(set: &Set) -> Set {
    set.features(Features::VERSION_1 | Features::EVENT_IDX)
}

fn both_full(set: &Set) -> Verdict {
    let mut scene = with_events(set).open()?;
    (0..64).for_each(|_| scene.send(60));
    scene.driver.post(8);
    assert_eq!(scene.poll(), Ending::Starved);
    let mut taken = 0;
    for _ in 0..8 {
        taken += scene.drain()?.len();
        let _ = scene.driver.want_interrupt();
        assert!(taken == 64 || scene.driver.post(8).kick, "the engine waits for a kick");
        scene.poll();
    }
    assert_eq!(taken, 64);
    Ok(format!("kicked; {}", scene.ledger()?))
}

fn burst(set: &Set) -> Verdict {
    let mut scene = with_events(set).open()?;
    (0..24).for_each(|_| scene.send(60));
    scene.driver.post(8);
    scene.poll();
    let mut kicks = 0;
    let mut taken = 0;
    while taken < 24 {
        taken += scene.drain()?.len();
        assert!(!scene.driver.want_interrupt());
        kicks += u32::from(scene.driver.post(1).kick);
        scene.poll();
    }
    Ok(format!("kicked {kicks} times; {}", scene.ledger()?))
}

/// A frame needs four chains; each that is not enough must be asked for again.
fn partial(set: &Set, placing: Placing) -> Verdict {
    let features = Features::MRG_RXBUF | Features::EVENT_IDX;
    let set = Set { placing, ..set.features(features).shapes(&[Shape::single(30)]) };
    let mut scene = set.open()?;
    scene.send(100);
    let mut kicks = 0;
    while scene.poll() == Ending::Starved {
        kicks += u32::from(scene.driver.post(1).kick);
    }
    assert_eq!(scene.drain()?.len(), 1);
    Ok(format!("kicked {kicks} times; {}", scene.ledger()?))
}

fn restore_pending(set: &Set) -> Verdict {
    let mut scene = with_events(set).open()?;
    scene.driver.post(8);
    scene.send(60);
    scene.poll();
    scene.drain()?;
    // It wants none, and the interrupt for what comes next may have been lost on the way.
    scene.driver.ignore_interrupts();
    scene.send(60);
    scene.send(60);
    scene.poll();
    let before = scene.duel.raised();
    scene.duel.restart()?;
    scene.poll();
    scene.poll();
    let after = scene.duel.raised() - before;
    assert_eq!((after, scene.drain()?.len()), (1, 2));
    Ok(format!("interrupted once; {}", scene.ledger()?))
}

fn restore_armed(set: &Set) -> Verdict {
    let mut scene = with_events(set).open()?;
    scene.driver.post(1);
    scene.send(60);
    scene.send(60);
    scene.poll();
    scene.drain()?;
    scene.duel.restart()?;
    assert_eq!(scene.poll(), Ending::Starved);
    let _ = scene.driver.want_interrupt();
    assert!(scene.driver.post(8).kick, "the engine waits for a kick");
    scene.poll();
    assert_eq!(scene.drain()?.len(), 1);
    Ok(format!("kicked; {}", scene.ledger()?))
}

fn restore_held(set: &Set) -> Verdict {
    let mut scene = set.features(Features::MRG_RXBUF).shapes(&[Shape::single(30)]).open()?;
    scene.driver.post(2);
    scene.send(100);
    assert_eq!(scene.poll(), Ending::Starved);
    scene.duel.restart()?;
    let back = scene.duel.sum(|stats| stats.chains_given_back);
    scene.driver.post(8);
    scene.poll();
    assert_eq!(scene.drain()?.len(), 1);
    Ok(format!("{back} given back; {}", scene.ledger()?))
}

fn withheld(set: &Set) -> Verdict {
    let mut scene = with_events(set).open()?;
    scene.driver.post(2);
    assert!(!scene.driver.want_interrupt());
    (0..3).for_each(|_| scene.send(60));
    scene.poll();
    let raised = scene.duel.raised();
    let visible = scene.drain()?.len();
    assert_eq!(raised, 1);
    Ok(format!("{visible} visible, interrupted; {}", scene.ledger()?))
}

fn full_and_empty(set: &Set) -> Verdict {
    let mut sizes = 0;
    for log in 0..=15 {
        let size: u16 = 1 << log;
        let mut set = set.size(size).shapes(&[Shape::single(40)]);
        set.driver.start = u16::MAX - size / 2;
        set.regions = vec![4096 + 128 * usize::from(size)];
        let mut scene = set.open()?;
        for _ in 0..3 {
            scene.driver.post(usize::MAX);
            (0..=size).for_each(|_| scene.send(26));
            assert_eq!(scene.poll(), Ending::Starved, "full, then empty");
            assert_eq!(scene.drain()?.len(), usize::from(size));
        }
        scene.ledger()?;
        sizes += 1;
    }
    Ok(format!("{sizes} sizes"))
}

fn before_ready(set: &Set) -> Verdict {
    let mut scene = with_events(set).open()?;
    (0..3).for_each(|_| scene.send(60));
    (0..3).for_each(|_| assert_eq!(scene.poll(), Ending::Starved));
    assert!(!scene.driver.want_interrupt());
    assert!(scene.driver.post(8).kick);
    scene.poll();
    assert_eq!(scene.drain()?.len(), 3);
    Ok(format!("kicked; {}", scene.ledger()?))
}

fn starved(set: &Set) -> Verdict {
    let mut scene = set.open()?;
    (0..100).for_each(|_| scene.send(60));
    let endings: Vec<_> = (0..3).map(|_| format!("{:?}", scene.poll())).collect();
    assert_eq!(scene.duel.sum(|stats| stats.frames_taken + stats.irqs_raised), 0);
    scene.ledger()?;
    Ok(format!("{}, nothing taken", endings.join(" ")))
}

fn lone(set: &Set) -> Verdict {
    let mut scene = with_events(set).open()?;
    scene.driver.post(8);
    assert!(!scene.driver.want_interrupt());
    scene.send(60);
    scene.poll();
    assert_eq!((scene.duel.raised(), scene.drain()?.len()), (1, 1));
    Ok(format!("interrupted; {}", scene.ledger()?))
}
