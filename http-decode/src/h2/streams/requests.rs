//! What the client sends: heads, content, trailers and ends of requests.

use super::lost::give_up_at;
use super::{Origin, Streams};
use crate::Timestamp;
use crate::chunk::Mark;
use crate::context::Context;
use crate::h2::section::{Kind, Section};

impl Streams {
    /// Handles a header block that the client sent.
    pub(crate) fn handle_request(&mut self, origin: Origin, section: Section, context: &mut Context) {
        let Origin {
            stream,
            mark,
            ends_stream,
            ..
        } = origin;
        let is_new = stream > self.highest;
        self.highest = self.highest.max(stream);
        if is_new && self.finished.contains(stream) {
            // Its response was emitted as a half, because nothing was held or missing that could have been its request.
            context.counters.late_requests += 1;
            return;
        }
        // If the stream may have begun unseen, a block without a known pseudo-header field may be trailers.
        let may_be_trailers = section.kind() != Kind::Request && !self.requests_seen;
        if is_new && !may_be_trailers {
            self.begin_request(origin, section, context);
        } else if let Some(open) = self.open.find(stream).filter(|open| open.is_requested())
            && !open.is_given_up(mark.at)
        {
            open.set_request_trailers(section.into_trailers());
        }
        if ends_stream {
            self.end_request(stream, context);
        }
        self.count_memory(stream);
        self.keep_within_limits(origin.at, context);
    }

    /// Handles a request that the server promises in `PUSH_PROMISE`.
    pub(crate) fn handle_promise(&mut self, origin: Origin, section: Section, context: &mut Context) {
        if section.kind() == Kind::Trailers || self.open.contains(origin.stream) {
            return;
        }
        self.begin_request(origin, section, context);
        self.end_request(origin.stream, context);
        self.count_memory(origin.stream);
        self.keep_within_limits(origin.at, context);
    }

    /// Adds content to a request; `None` if its length is unknown.
    pub(crate) fn add_request_content(&mut self, stream: u32, count: Option<u64>, at: Timestamp) {
        if let Some(open) = self.open.find(stream).filter(|open| !open.is_given_up(at)) {
            open.add_request_content(count);
        }
    }

    /// Handles the end of a request.
    pub(crate) fn end_request(&mut self, stream: u32, context: &mut Context) {
        if let Some(open) = self.open.find(stream) {
            open.end_request();
            self.finish_if_ended(stream, context);
        }
    }

    /// Notes that a header block of a request was lost: a head or trailers.
    pub(crate) fn lose_request_block(&mut self, stream: u32) {
        self.requests_seen = false;
        self.highest = self.highest.max(stream);
        if let Some(open) = self.open.find(stream) {
            open.lose_request();
        }
    }

    /// Notes that frames of requests were lost, the last of them by `until`. Their streams are unknown.
    pub(crate) fn lose_requests(&mut self, until: Timestamp) {
        self.lost_requests_until = Some(until);
        self.requests_seen = false;
        for (_, stream) in self.open.iter_mut() {
            stream.lose_request();
        }
    }

    /// Begins an exchange with a request, or adds the request to an exchange whose response was decoded first.
    fn begin_request(&mut self, origin: Origin, section: Section, context: &mut Context) {
        let Mark { at, origin: caller, .. } = origin.mark;
        if !self.open.contains(origin.stream) {
            self.begin(origin, context);
        }
        if let Some(open) = self.open.find(origin.stream) {
            context.counters.late_requests += u64::from(open.is_emitted());
            open.set_request(section.into_request(&mut context.counters), at, caller);
            if let Some(exchange) = open.progress.exchange_mut() {
                context.note_request(exchange, origin.at);
            }
            if let Some(lost) = self.lost.filter(|lost| lost.may_hide(at))
                && !open.is_answered()
                && !open.has_ended()
            {
                open.end_lost_since = Some(lost.at);
                self.schedule(Some(give_up_at(lost.at, context)));
            }
        }
    }
}
