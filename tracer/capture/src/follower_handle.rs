//! The draining thread's handle on the threads that follow processes and look up descriptors.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use anyhow::{Result, anyhow};
use tracer_observe::batch::Batch;

use crate::{
    descriptor_lookup::DescriptorLookup,
    event_queue::EventSender,
    follow::{FollowOutput, Follower},
    message::Messages,
    rings::DrainEvent,
    target::ProcessEvent,
};

/// The running threads, and the queues to and from them.
pub(crate) struct FollowerHandle {
    /// `None` once the follower was asked to stop.
    events: Option<EventSender>,
    output: Arc<FollowOutput>,
    /// `None` once the thread was joined.
    thread: Option<JoinHandle<Follower>>,
    /// Present if the kernel cannot report the socket of a descriptor.
    lookup: Option<DescriptorLookup>,
    messages: Messages,
}

impl FollowerHandle {
    pub(crate) fn start(mut follower: Follower, messages: Messages) -> Result<Self> {
        let (events, receiver) = EventSender::channel();
        let output = follower.output();
        let lookup = if follower.probes().watches_sockets() {
            None
        } else {
            Some(DescriptorLookup::start(Arc::clone(&output))?)
        };
        let thread = thread::Builder::new().name("follow".to_owned());
        Ok(Self {
            events: Some(events),
            output,
            thread: Some(thread.spawn(move || follower.run(&receiver))?),
            lookup,
            messages,
        })
    }

    /// Handles one event of a drain: collects process events in `events`, for [`Self::exchange`], and requests the
    /// lookup of a descriptor.
    pub(crate) fn take(&self, event: DrainEvent<'_>, events: &mut Vec<ProcessEvent>) {
        match (event, &self.lookup) {
            (DrainEvent::Process(event), _) => events.push(event),
            (DrainEvent::Record(record), Some(lookup)) => lookup.request(record),
            (DrainEvent::Record(_), None) => {}
        }
    }

    /// Sends the process events of one drain to the follower, and adds the follower's output to the batch.
    pub(crate) fn exchange(&mut self, events: Vec<ProcessEvent>, batch: &mut Batch) {
        for record in self.output.take_records() {
            batch.push(&record);
        }
        // Sites are added to the output before their probes are attached, so those of all records above are in it.
        batch.sites = self.output.take_sites();
        batch.health = self.output.take_health();
        if let Some(sender) = &mut self.events {
            sender.send(events);
        }
    }

    /// Returns whether there is nothing left to trace.
    pub(crate) fn all_ended(&self) -> bool {
        self.output.all_ended()
    }

    /// Asks the threads to stop.
    pub(crate) fn conclude(&mut self) {
        self.events = None;
        let dropped = self.lookup.take().map_or(0, DescriptorLookup::stop);
        if dropped > 0 {
            self.messages
                .say(&format!("descriptors not looked up, too many at once: {dropped}"));
        }
    }

    /// Returns whether the follower has stopped.
    pub(crate) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Joins the thread and returns the follower; `None` while it is running.
    pub(crate) fn take_follower(&mut self) -> Result<Option<Follower>> {
        if !self.is_over() {
            return Ok(None);
        }
        let joined = self.thread.take().map(JoinHandle::join).transpose();
        joined.map_err(|_panic| anyhow!("following stopped unexpectedly"))
    }
}
