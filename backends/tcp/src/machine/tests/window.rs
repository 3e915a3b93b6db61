//! Resets and ends, which count in the guest's window only.

use proptest::prelude::*;

use super::*;

/// A view whose guest may send `window` bytes from `received` on.
fn view(received: Seq, window: u32) -> View {
    View::new(Seq(0), 1000, 0, received, window)
}

/// Whether a reset with this number ends the connection.
fn resets(view: &View, seq: Seq) -> bool {
    let mut view = *view;
    view.segment(&Segment { seq: seq.0, rst: true, ..Segment::default() }, Seq(0))
        .expect("resets are no error");
    view.take().reset
}

/// The end that the view has after a FIN behind `payload` bytes.
fn end(view: &mut View, seq: Seq, payload: u32) -> Option<Seq> {
    view.segment(&Segment { seq: seq.0, payload, fin: true, ..Segment::default() }, Seq(0))
        .expect("it is well");
    view.take().fin
}

#[test]
fn a_reset_counts_from_the_next_byte_to_the_windows_end() {
    for (received, window) in [(7, 100), (7, 0), (u32::MAX - 50, 100), (u32::MAX, 0)] {
        let (view, received) = (view(Seq(received), window), Seq(received));
        assert!(resets(&view, received) && resets(&view, received + window), "{view:?}");
        assert!(!resets(&view, received.before()) && !resets(&view, received + window + 1), "{view:?}");
    }
}

#[test]
fn the_window_is_the_one_told_last() {
    let mut view = view(Seq(7), 100);
    view.received(Seq(200), 10);
    assert!(!resets(&view, Seq(199)) && resets(&view, Seq(200)) && !resets(&view, Seq(211)));
    view.received(Seq(210), 0);
    assert!(!resets(&view, Seq(209)) && resets(&view, Seq(210)) && !resets(&view, Seq(211)));
}

#[test]
fn a_reset_that_does_not_count_says_nothing_else() {
    let mut view = view(Seq(7), 100);
    let stray = Segment { seq: 6, ack: 500, window: 9, payload: 3, fin: true, rst: true };
    assert_eq!(view.segment(&stray, Seq(500)), Ok(()));
    let news = view.take();
    assert_eq!((news.ack, news.window, news.fin, news.heard), (Seq(0), 1000, None, false));
}

#[test]
fn an_end_counts_from_the_next_byte_to_behind_the_windows_end() {
    for (received, window) in [(7, 100), (7, 0), (u32::MAX - 50, 100), (u32::MAX, 0)] {
        let (fresh, received) = (view(Seq(received), window), Seq(received));
        let last = received + window + 1;
        for end_at in [received, received + 1, last] {
            assert_eq!(end(&mut fresh.clone(), end_at.before(), 0), Some(end_at), "{fresh:?}");
        }
        assert_eq!(end(&mut fresh.clone(), received, window), Some(last), "{fresh:?}");
        for seq in [received.before().before(), last] {
            assert_eq!(end(&mut fresh.clone(), seq, 0), None, "{fresh:?}");
        }
        assert_eq!(end(&mut fresh.clone(), received, window + 1), None, "{fresh:?}");
    }
}

#[test]
fn an_end_that_was_taken_does_not_move() {
    let mut view = view(Seq(7), 100);
    assert_eq!(end(&mut view, Seq(10), 5), Some(Seq(16)));
    for (seq, payload) in [(7, 0), (10, 6), (50, 0), (900, 0)] {
        assert_eq!(end(&mut view, Seq(seq), payload), Some(Seq(16)));
    }
}

#[test]
fn the_rest_of_a_segment_counts_without_its_end() {
    let mut view = view(Seq(7), 100);
    let stray = Segment { seq: 900, ack: 500, window: 9, fin: true, ..Segment::default() };
    view.segment(&stray, Seq(500)).expect("it was sent");
    let news = view.take();
    assert_eq!((news.ack, news.fin, news.heard), (Seq(500), None, true));
}

proptest! {
    #[test]
    fn no_number_outside_of_the_window_ends_anything(received: u32, window in 0..1_u32 << 30, seq: u32) {
        let ahead = u64::from(seq.wrapping_sub(received));
        let mut view = view(Seq(received), window);
        prop_assert_eq!(resets(&view, Seq(seq)), ahead <= u64::from(window));
        let counts = (ahead + 1) % (1 << 32) <= u64::from(window) + 1;
        prop_assert_eq!(end(&mut view, Seq(seq), 0).is_some(), counts);
    }
}
