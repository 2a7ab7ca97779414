//! Runs work in rounds and takes the median times.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// The number of rounds.
pub struct Rounds(pub usize);

impl Rounds {
    /// Times two pieces of work in turn, after one warm-up of each. Returns the medians.
    pub fn compare<T>(&self, mut one: impl FnMut() -> T, mut other: impl FnMut() -> T) -> [Duration; 2] {
        black_box((one(), other()));
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..self.0.max(1) {
            times[0].push(time(&mut one));
            times[1].push(time(&mut other));
        }
        times.map(median)
    }

    /// Times one piece of work, after one warm-up. Returns the median.
    pub fn measure<T>(&self, mut work: impl FnMut() -> T) -> Duration {
        black_box(work());
        median((0..self.0.max(1)).map(|_| time(&mut work)).collect())
    }
}

fn time<T>(work: &mut impl FnMut() -> T) -> Duration {
    let began = Instant::now();
    black_box(work());
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Returns the nanoseconds per item.
pub fn each(time: Duration, count: usize) -> f64 {
    time.as_nanos() as f64 / count as f64
}
