//! Rounds of what is compared.
//!
//! In: two pieces of work. Out: the median time of each. Refuses to run them side by side.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// How often everything is done.
pub struct Rounds(pub usize);

impl Rounds {
    /// Times two pieces of work by turns, after doing each once.
    pub fn compare<T>(&self, mut one: impl FnMut() -> T, mut other: impl FnMut() -> T) -> [Duration; 2] {
        black_box((one(), other()));
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..self.0.max(1) {
            times[0].push(time(&mut one));
            times[1].push(time(&mut other));
        }
        times.map(median)
    }

    /// Times one piece of work.
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

/// Nanoseconds for each of `count`.
pub fn each(time: Duration, count: usize) -> f64 {
    time.as_nanos() as f64 / count as f64
}
