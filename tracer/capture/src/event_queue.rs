//! The bounded queue of process events from the draining thread to the follower.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::{limits::MAX_EVENT_BATCHES, target::ProcessEvent};

/// The sending end. Never blocks: events that find the queue full are dropped, and [`ProcessEvent::Lost`] is sent once
/// there is room, which makes the follower rescan.
#[derive(Debug)]
pub(crate) struct EventSender {
    events: SyncSender<Vec<ProcessEvent>>,
    has_dropped: bool,
}

impl EventSender {
    pub(crate) fn channel() -> (Self, Receiver<Vec<ProcessEvent>>) {
        let (events, receiver) = sync_channel(MAX_EVENT_BATCHES);
        let has_dropped = false;
        (Self { events, has_dropped }, receiver)
    }

    /// Sends the events of one drain.
    pub(crate) fn send(&mut self, mut events: Vec<ProcessEvent>) {
        if self.has_dropped {
            events.push(ProcessEvent::Lost);
        }
        if events.is_empty() {
            return;
        }
        self.has_dropped = match self.events.try_send(events) {
            Err(TrySendError::Full(_)) => true,
            // A follower that is gone has panicked, which is reported when its thread is joined.
            Ok(()) | Err(TrySendError::Disconnected(_)) => false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_events_and_sends_lost_once_there_is_room() {
        let (mut sender, receiver) = EventSender::channel();
        for pid in 0..=MAX_EVENT_BATCHES {
            sender.send(vec![ProcessEvent::FirstHit {
                pid: pid.try_into().unwrap(),
            }]);
        }
        assert_eq!(receiver.try_iter().count(), MAX_EVENT_BATCHES);
        sender.send(Vec::new());
        sender.send(Vec::new());
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [[ProcessEvent::Lost]]);
    }
}
