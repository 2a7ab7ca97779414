//! The thread that sends messages, and connects again when a server was away.

use std::{collections::VecDeque, time::Duration};

use super::{
    connection::{Connection, Failure},
    destination::Destination,
    queue::Queue,
};

/// Bytes that are sent at once.
const AT_ONCE: usize = 64 * 1024;

/// The pause before connecting again, which doubles up to the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Sends what is in a queue to a server.
pub(super) struct Sender<'a> {
    destination: &'a Destination,
    queue: &'a Queue,
    say: fn(&str),
    connection: Option<Connection>,
    pause: Duration,
    /// Whether it was said that the server is away.
    is_away: bool,
}

impl<'a> Sender<'a> {
    pub(super) const fn new(destination: &'a Destination, queue: &'a Queue, say: fn(&str)) -> Self {
        Self {
            destination,
            queue,
            say,
            connection: None,
            pause: FIRST_PAUSE,
            is_away: false,
        }
    }

    /// Sends until the queue is closed, and empty or out of time.
    pub(super) fn run(mut self) {
        let mut messages = VecDeque::new();
        while self.queue.take(&mut messages, AT_ONCE) {
            while !messages.is_empty() {
                if self.queue.is_over() || !self.send(&mut messages) {
                    return;
                }
            }
        }
    }

    /// Sends some of the messages and removes them; returns false if nothing may be sent any more.
    fn send(&mut self, messages: &mut VecDeque<Vec<u8>>) -> bool {
        let connection = match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Connection::open(self.destination),
        };
        let (whole, error) = match connection {
            Ok(mut connection) => {
                let sent = connection.send(messages);
                if !matches!(sent.error, Some(Failure::Connection(_))) {
                    self.connection = Some(connection);
                }
                (sent.whole, sent.error)
            }
            Err(error) => (0, Some(Failure::Connection(error))),
        };
        let bytes = messages.drain(..whole).map(|message| message.len()).sum();
        self.queue.sent(whole, bytes);
        if whole > 0 {
            self.take_note_of_return();
        }
        match error {
            None => true,
            Some(Failure::TooLong) => {
                let bytes = messages.pop_front().map_or(0, |message| message.len());
                self.queue.drop_taken(bytes);
                true
            }
            Some(Failure::Connection(error)) => self.wait(&error),
        }
    }

    /// Waits before it connects again; returns false if that is of no more use.
    fn wait(&mut self, error: &std::io::Error) -> bool {
        if !self.is_away {
            self.is_away = true;
            (self.say)(&format!(
                "syslog: {} cannot be reached: {error}; lines wait for it, and are dropped and counted if they are too many",
                self.destination
            ));
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        self.queue.pause(pause)
    }

    fn take_note_of_return(&mut self) {
        self.pause = FIRST_PAUSE;
        if std::mem::take(&mut self.is_away) {
            (self.say)(&format!("syslog: {} is reached again", self.destination));
        }
    }
}
