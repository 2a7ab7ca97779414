//! The threads that follow processes and look descriptors up, and the ways to and from them.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use anyhow::{Result, anyhow};

use super::{
    follow::{Follower, Told},
    lives::Lives,
    looking::Looker,
    say,
};
use crate::{
    source::{Batch, Told as DrainEvent},
    target::Life,
};

/// Whoever follows, as whoever drains has it.
pub(super) struct Following {
    lives: Option<Lives>,
    told: Arc<Told>,
    thread: Option<JoinHandle<Follower>>,
    looker: Option<Looker>,
}

impl Following {
    /// Begins to follow.
    pub(super) fn start(mut follower: Follower) -> Result<Self> {
        let (lives, received) = Lives::channel();
        let told = follower.told();
        let looker = if follower.probes().watches_sockets() {
            None
        } else {
            Some(Looker::start(Arc::clone(&told))?)
        };
        let thread = thread::Builder::new().name("follow".to_owned());
        Ok(Self {
            lives: Some(lives),
            told,
            thread: Some(thread.spawn(move || follower.run(&received))?),
            looker,
        })
    }

    /// Takes what a drain found that is no record, or a record to be looked into.
    pub(super) fn take(&self, event: DrainEvent<'_>, lives: &mut Vec<Life>) {
        match (event, &self.looker) {
            (DrainEvent::Life(life), _) => lives.push(life),
            (DrainEvent::Record(record), Some(looker)) => looker.ask(record),
            (DrainEvent::Record(_), None) => {}
        }
    }

    /// Tells of the changes of one drain, and adds to its batch what was found out meanwhile.
    pub(super) fn exchange(&mut self, lives: Vec<Life>, batch: &mut Batch) {
        for record in self.told.take_records() {
            batch.push(&record);
        }
        // Sites are announced before their probes are placed: those of all records above are there by now.
        batch.sites = self.told.take_sites();
        batch.health = self.told.take_health();
        if let Some(told) = &mut self.lives {
            told.tell(lives);
        }
    }

    /// Returns whether there is nothing left to trace.
    pub(super) fn all_ended(&self) -> bool {
        self.told.all_ended()
    }

    /// Has the following come to its end.
    pub(super) fn conclude(&mut self) {
        self.lives = None;
        let refused = self.looker.take().map_or(0, Looker::stop);
        if refused > 0 {
            say(&format!("descriptors not looked at, too many at once: {refused}"));
        }
    }

    /// Returns whether it has come to its end.
    pub(super) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Takes whoever followed; `None` while it is not over.
    pub(super) fn take_follower(&mut self) -> Result<Option<Follower>> {
        if !self.is_over() {
            return Ok(None);
        }
        let joined = self.thread.take().map(JoinHandle::join).transpose();
        joined.map_err(|_panic| anyhow!("following stopped unexpectedly"))
    }
}
