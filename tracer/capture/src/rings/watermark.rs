//! The watermark of a ring: a time before which no record is missing.
//!
//! A program reserves the room of a record first and reads the clock afterwards. If the programs had filled a ring up to
//! position P at time T, every record behind P is therefore younger than T. Each drain reads T and then P; once the ring
//! is read up to P, its watermark is T. The timestamps of the records cannot replace this: a program may be interrupted
//! between the two steps by another one, and a reserved record may not be written yet.

use std::collections::VecDeque;

/// Maximum marks per ring that are kept. A ring needs as many only if it is not read in so many drains.
const MAX_MARKS: usize = 1024;

/// How far `bpf_ktime_get_ns` may lag behind `clock_gettime`. It reads the clock without a lock, and may be off by the
/// amount of one clock update, which is far less.
const CLOCK_SLACK_NS: u64 = 100_000;

/// The watermark of one ring.
#[derive(Debug)]
pub(super) struct Watermark {
    complete_until_ns: u64,
    /// Time of each drain, and the position up to which the ring was filled at that time. Only those beyond the position
    /// of the reader are kept.
    marks: VecDeque<(u64, u64)>,
}

impl Watermark {
    /// Creates the watermark of a ring to which no program had access before `now_ns`.
    pub(super) const fn new(now_ns: u64) -> Self {
        Self {
            complete_until_ns: now_ns.saturating_sub(CLOCK_SLACK_NS),
            marks: VecDeque::new(),
        }
    }

    /// Adds a mark at the beginning of a drain. `now_ns` must have been read before `produced`.
    pub(super) fn mark(&mut self, now_ns: u64, produced: u64) {
        let has_room = self.marks.len() < MAX_MARKS;
        match self.marks.back_mut() {
            // Replace the last mark if no record was added, or if there is no room. A later position with a later time
            // is valid, if less precise.
            Some(last) if last.1 == produced || !has_room => *last = (now_ns, produced),
            _ => self.marks.push_back((now_ns, produced)),
        }
    }

    /// Returns the watermark after the ring was read up to `consumed`.
    pub(super) fn complete_until(&mut self, consumed: u64) -> u64 {
        while let Some((time_ns, _)) = self.marks.pop_front_if(|(_, produced)| *produced <= consumed) {
            self.complete_until_ns = self.complete_until_ns.max(time_ns.saturating_sub(CLOCK_SLACK_NS));
        }
        self.complete_until_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_000_000;

    fn after(time_ns: u64) -> u64 {
        time_ns - CLOCK_SLACK_NS
    }

    #[test]
    fn a_ring_that_was_read_to_the_end_is_complete_until_the_drain_began() {
        let mut watermark = Watermark::new(START);
        watermark.mark(START + 5, 100);
        assert_eq!(watermark.complete_until(100), after(START + 5));
        watermark.mark(START + 9, 100);
        assert_eq!(watermark.complete_until(100), after(START + 9));
    }

    #[test]
    fn unread_records_hold_the_watermark_at_the_drain_before_them() {
        let mut watermark = Watermark::new(START);
        watermark.mark(START + 10, 100);
        assert_eq!(watermark.complete_until(100), after(START + 10));
        watermark.mark(START + 20, 300);
        assert_eq!(watermark.complete_until(200), after(START + 10));
        watermark.mark(START + 30, 500);
        assert_eq!(watermark.complete_until(299), after(START + 10));
        assert_eq!(watermark.complete_until(300), after(START + 20));
        assert_eq!(watermark.complete_until(500), after(START + 30));
    }

    #[test]
    fn the_marks_of_a_ring_that_is_not_read_are_bounded_and_never_too_late() {
        let mut watermark = Watermark::new(START);
        let rounds = 3 * u64::try_from(MAX_MARKS).unwrap();
        for round in 1..=rounds {
            watermark.mark(START + round, round);
            assert_eq!(watermark.complete_until(0), after(START));
        }
        assert!(watermark.marks.len() <= MAX_MARKS);
        assert_eq!(watermark.complete_until(5), after(START + 5));
        // Beyond the bound marks are merged, and a position between two of them has the earlier one.
        let kept = START + u64::try_from(MAX_MARKS).unwrap() - 1;
        assert_eq!(watermark.complete_until(rounds - 1), after(kept));
        assert_eq!(watermark.complete_until(rounds), after(START + rounds));
    }
}
