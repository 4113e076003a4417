//! The pace as the provider counts it.
//!
//! Owns the check that in no window, of any length, there were more than `burst + window / period`. It knows nothing of GCRA, so
//! that the engine's arithmetic is checked by another one.

use tokend_engine::Rate;

/// All windows at once, in constant time and space for each arrival.
///
/// For arrivals `t_1 ≤ t_2 ≤ …` the bound on each pair `i ≤ j` is `j - i + 1 ≤ burst + (t_j - t_i) / period`. With
/// `x_k = k · period - t_k` that is `x_j - x_i ≤ (burst - 1) · period`, so the least `x` so far decides.
#[derive(Debug)]
pub(crate) struct Window {
    period: i128,
    slack: i128,
    count: i128,
    least: i128,
}

impl Window {
    pub(crate) fn new(rate: Rate) -> Self {
        let period = i128::try_from(rate.period().as_millis()).unwrap_or(i128::MAX);
        Self {
            period,
            slack: (i128::from(rate.burst()) - 1) * period,
            count: 0,
            least: i128::MAX,
        }
    }

    /// Another rate is in force: windows begin anew.
    pub(crate) fn restart(&mut self, rate: Rate) {
        let next = Self::new(rate);
        if (next.period, next.slack) != (self.period, self.slack) {
            *self = next;
        }
    }

    /// Counts one, and says whether all windows that end here are within the rate.
    pub(crate) fn arrive(&mut self, at: u64) -> bool {
        self.count += 1;
        let x = self.count * self.period - i128::from(at);
        self.least = self.least.min(x);
        x - self.least <= self.slack
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn agrees_with_the_definition() {
        let mut rng = crate::random::Rng::new(3);
        for _ in 0..300 {
            let (burst, period) = (rng.between(1, 4), rng.between(1, 50));
            let rate =
                Rate::new(u32::try_from(burst).unwrap(), Duration::from_millis(period)).unwrap();
            let mut window = Window::new(rate);
            let (mut at, mut all) = (1_000, Vec::new());
            for _ in 0..30 {
                at += rng.between(0, 2 * period);
                all.push(at);
                let j = all.len();
                let slow = (0..j).all(|i| (j - i) as u64 <= burst + (at - all[i]) / period);
                if window.arrive(at) != slow {
                    panic!("{all:?} at {burst} + 1/{period} ms: {slow}");
                }
                if !slow {
                    break;
                }
            }
        }
    }
}
