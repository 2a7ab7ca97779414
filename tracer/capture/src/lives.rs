//! What happened to processes, on its way from the thread that drains to the one that follows; bounded.
//!
//! In: what one drain found. Out: the same, in order. What comes while too much waits is dropped, and the next that gets
//! through says so: whoever follows then asks the kernel which processes there are.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::{limits::MAX_LIVES, target::Life};

/// The end that drains.
#[derive(Debug)]
pub(crate) struct Lives {
    lives: SyncSender<Vec<Life>>,
    overlooked: bool,
}

impl Lives {
    /// Makes both ends.
    pub(crate) fn channel() -> (Self, Receiver<Vec<Life>>) {
        let (lives, received) = sync_channel(MAX_LIVES);
        let overlooked = false;
        (Self { lives, overlooked }, received)
    }

    /// Tells what one drain found.
    pub(crate) fn tell(&mut self, mut lives: Vec<Life>) {
        if self.overlooked {
            lives.push(Life::Overlooked);
        }
        if lives.is_empty() {
            return;
        }
        self.overlooked = match self.lives.try_send(lives) {
            Err(TrySendError::Full(_)) => true,
            // The follower ends after this thread, and its failures are its own to say.
            Ok(()) | Err(TrySendError::Disconnected(_)) => false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_at_the_bound_is_told_once_there_is_room() {
        let (mut lives, received) = Lives::channel();
        for pid in 0..=MAX_LIVES {
            lives.tell(vec![Life::Met {
                pid: pid.try_into().unwrap(),
            }]);
        }
        assert_eq!(received.try_iter().count(), MAX_LIVES);
        lives.tell(Vec::new());
        lives.tell(Vec::new());
        assert_eq!(received.try_iter().collect::<Vec<_>>(), [[Life::Overlooked]]);
    }
}
