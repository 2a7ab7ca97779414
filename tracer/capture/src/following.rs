//! The threads that follow processes and look descriptors up, and the ways to and from them.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use anyhow::{Result, anyhow};
use tracer_observe::batch::Batch;

use crate::{
    descriptor_lookup::DescriptorLookup,
    follow::{FollowOutput, Follower},
    lives::Lives,
    message::Messages,
    rings::DrainEvent,
    target::Life,
};

/// Whoever follows, as whoever drains has it.
pub(crate) struct Following {
    lives: Option<Lives>,
    output: Arc<FollowOutput>,
    thread: Option<JoinHandle<Follower>>,
    lookup: Option<DescriptorLookup>,
    messages: Messages,
}

impl Following {
    /// Begins to follow.
    pub(crate) fn start(mut follower: Follower, messages: Messages) -> Result<Self> {
        let (lives, received) = Lives::channel();
        let output = follower.output();
        let lookup = if follower.probes().watches_sockets() {
            None
        } else {
            Some(DescriptorLookup::start(Arc::clone(&output))?)
        };
        let thread = thread::Builder::new().name("follow".to_owned());
        Ok(Self {
            lives: Some(lives),
            output,
            thread: Some(thread.spawn(move || follower.run(&received))?),
            lookup,
            messages,
        })
    }

    /// Takes what a drain found that is no record, or a record to be looked into.
    pub(crate) fn take(&self, event: DrainEvent<'_>, lives: &mut Vec<Life>) {
        match (event, &self.lookup) {
            (DrainEvent::Life(life), _) => lives.push(life),
            (DrainEvent::Record(record), Some(lookup)) => lookup.ask(record),
            (DrainEvent::Record(_), None) => {}
        }
    }

    /// Tells of the changes of one drain, and adds to its batch what was found out meanwhile.
    pub(crate) fn exchange(&mut self, lives: Vec<Life>, batch: &mut Batch) {
        for record in self.output.take_records() {
            batch.push(&record);
        }
        // Sites are announced before their probes are placed: those of all records above are there by now.
        batch.sites = self.output.take_sites();
        batch.health = self.output.take_health();
        if let Some(ends) = &mut self.lives {
            ends.tell(lives);
        }
    }

    /// Returns whether there is nothing left to trace.
    pub(crate) fn all_ended(&self) -> bool {
        self.output.all_ended()
    }

    /// Has the following come to its end.
    pub(crate) fn conclude(&mut self) {
        self.lives = None;
        let refused = self.lookup.take().map_or(0, DescriptorLookup::stop);
        if refused > 0 {
            self.messages
                .say(&format!("descriptors not looked at, too many at once: {refused}"));
        }
    }

    /// Returns whether it has come to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Takes whoever followed; `None` while it is not over.
    pub(crate) fn take_follower(&mut self) -> Result<Option<Follower>> {
        if !self.is_over() {
            return Ok(None);
        }
        let joined = self.thread.take().map(JoinHandle::join).transpose();
        joined.map_err(|_panic| anyhow!("following stopped unexpectedly"))
    }
}
