//! Whether something was lost since it was last asked.

/// What was counted when it was last read, and the time before that.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    last: u64,
    before: u64,
}

impl Losses {
    /// Takes what is counted now; returns whether something was lost since the time before last. A program counts a loss
    /// before it notes that the bytes have passed, so one look may come too early.
    pub(super) const fn is_news(&mut self, lost: u64) -> bool {
        let is_news = lost != self.before;
        self.before = self.last;
        self.last = lost;
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_looked_at_twice_and_then_no_more() {
        let mut losses = Losses::default();
        let news: Vec<bool> = [0, 5, 5, 5, 9, 9, 9].map(|lost| losses.is_news(lost)).into();
        assert_eq!(news, [false, true, true, false, true, true, false]);
    }
}
