//! Rounds: the subjects take turns, many short ones, in rotating order; medians and ratios come from the same
//! rounds.

use crate::Result;
use crate::peer::Peer;

/// One subject's figure in every round; the same index is the same round for all subjects of a case.
pub(crate) struct Series {
    pub(crate) peer: Peer,
    pub(crate) values: Vec<f64>,
}

impl Series {
    /// The middle of its figures.
    pub(crate) fn median(&self) -> f64 {
        quantile(&self.values, 0.5)
    }

    /// The median over the rounds of this subject's figure divided by the other's.
    pub(crate) fn ratio_to(&self, other: &Self) -> f64 {
        let pairs = self.values.iter().zip(&other.values);
        let ratios: Vec<f64> = pairs.map(|(mine, theirs)| mine / theirs).collect();
        quantile(&ratios, 0.5)
    }
}

/// Lets each subject have its `turn` in each round, a different one first each time.
pub(crate) fn interleave<S: ?Sized>(
    subjects: &mut [Box<S>],
    rounds: usize,
    peer: impl Fn(&S) -> Peer,
    mut turn: impl FnMut(&mut S, usize) -> Result<f64>,
) -> Result<Vec<Series>> {
    let names = subjects.iter().map(|subject| peer(subject));
    let mut series: Vec<Series> =
        names.map(|peer| Series { peer, values: Vec::with_capacity(rounds) }).collect();
    for round in 0..rounds {
        for place in 0..subjects.len() {
            let who = (round + place) % subjects.len();
            series[who].values.push(turn(&mut subjects[who], round)?);
        }
    }
    Ok(series)
}

/// The value below which the share `q` (0 to 1) of the values lies; 0 for none.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let at = q * last as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_between_its_neighbours() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(&values, 0.0), 1.0);
        assert_eq!(quantile(&values, 0.5), 2.5);
        assert_eq!(quantile(&values, 1.0), 4.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn every_subject_is_first_in_its_turn() -> Result<()> {
        let mut subjects = vec![Box::new(0), Box::new(1), Box::new(2)];
        let mut order = Vec::new();
        let turn = |who: &mut i32, _| {
            order.push(*who);
            Ok(1.0)
        };
        interleave(&mut subjects, 3, |_| Peer::Floor, turn)?;
        assert_eq!(order, [0, 1, 2, 1, 2, 0, 2, 0, 1]);
        Ok(())
    }
}
