//! The task that sends the records of one signal: request by request, each until it is answered or given up.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    queue::Queue,
    record::{Record, request},
    transport::{Answer, Client},
    voice::Voice,
};
use crate::limits::{MAX_BACK_OFF, MAX_RETRY, MIN_BACK_OFF};

/// Sends what is in a queue.
pub(super) struct Sender {
    pub(super) queue: Arc<Queue>,
    pub(super) client: Client,
    pub(super) voice: Voice,
}

impl Sender {
    /// Sends records until no more follow.
    pub(super) async fn run(mut self) {
        while let Some(records) = self.queue.batch().await {
            let dropped = self.deliver(&records).await;
            self.queue.delivered(dropped);
        }
    }

    /// Sends a request with some records; returns how many are dropped.
    async fn deliver(&mut self, records: &[Record]) -> u64 {
        let all = u64::try_from(records.len()).unwrap_or(u64::MAX);
        let body = request(records);
        let began = Instant::now();
        let mut back_off = BackOff::default();
        loop {
            let until = self.queue.closed();
            if until.is_some_and(|until| Instant::now() >= until) {
                return all;
            }
            match self.client.send(body.clone(), until).await {
                Answer::Accepted { rejected: 0, .. } => {
                    self.voice.fine();
                    return 0;
                }
                Answer::Accepted { rejected, reason } => {
                    self.voice.trouble(&format!("{rejected} were rejected: {reason}"));
                    return rejected.min(all);
                }
                Answer::Refused { reason } => {
                    self.voice.trouble(&reason);
                    return all;
                }
                Answer::Later { after, reason } => {
                    self.voice.trouble(&format!("{reason}; trying again"));
                    if began.elapsed() >= MAX_RETRY {
                        return all;
                    }
                    self.wait(after, &mut back_off).await;
                }
            }
        }
    }

    /// Waits before the next attempt. The end of the run leaves no time for long waits.
    async fn wait(&self, after: Option<Duration>, back_off: &mut BackOff) {
        let wait = back_off.next();
        if self.queue.closed().is_some() {
            tokio::time::sleep(wait.min(LAST_WAIT)).await;
        } else {
            self.queue.wait_for_close(after.unwrap_or(wait)).await;
        }
    }
}

/// Waits between attempts, which double, up to a bound. Each is a random part of that, so that many clients of a collector that
/// was down do not come back at once.
#[derive(Debug)]
struct BackOff {
    most: Duration,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { most: MIN_BACK_OFF }
    }
}

impl BackOff {
    fn next(&mut self) -> Duration {
        let most = self.most;
        self.most = (2 * most).min(MAX_BACK_OFF);
        // The keys of the standard library's hashes are random.
        let random = RandomState::new().build_hasher().finish();
        let part = u32::try_from(random % 512).unwrap_or_default();
        most / 2 + most / 1024 * part
    }
}

/// Maximum wait between attempts at the end of the run.
const LAST_WAIT: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_bound_and_are_random() {
        let mut back_off = BackOff::default();
        let mut most = MIN_BACK_OFF;
        for _ in 0..20 {
            let wait = back_off.next();
            assert!(wait >= most / 2 && wait <= most, "{wait:?} {most:?}");
            most = (2 * most).min(MAX_BACK_OFF);
        }
        let waits: std::collections::HashSet<_> = (0..20).map(|_| BackOff::default().next()).collect();
        assert!(waits.len() > 1);
    }
}
