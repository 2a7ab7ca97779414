//! What the server sends: heads, content, trailers and ends of responses.

use super::lost::{LostResponses, give_up_at, note_response};
use super::stream::Stream;
use super::{Origin, Streams};
use crate::context::Context;
use crate::h2::section::{Kind, Section};
use crate::{Ended, Timestamp};

impl Streams {
    /// Handles a header block that the server sent.
    pub(crate) fn handle_response(&mut self, origin: Origin, section: Section, context: &mut Context) {
        let Origin { stream, mark, at, .. } = origin;
        if !self.open.contains(stream) {
            if self.finished.contains(stream) || self.early_reset(stream).is_some_and(|at| at < mark.at) {
                return;
            }
            self.begin(origin, context);
        }
        let Some(open) = self.open.find(stream).filter(|open| !open.is_over(mark.at)) else {
            return;
        };
        note_response(&mut self.lost, at);
        // The head of the response may have come before tracing began, or have been lost.
        let head_may_be_lost = self.lost.is_some_and(|lost| lost.may_hide_head(open.began()));
        let may_lack_head = open.end_lost_since.take().is_some() || !open.is_requested() || head_may_be_lost;
        let was_answered = open.is_answered();
        add_section(open, section, &origin, may_lack_head, context);
        if open.is_answered() && !was_answered {
            context.note_response(open.progress.ordinal(), at, mark.origin);
        }
        let hold_ns = context.settings.hold_ns;
        let release_at = open.progress.release_at(hold_ns);
        self.schedule(release_at);
        self.count_memory(stream);
        self.finish_if_ended(stream, context);
        self.keep_within_limits(origin.at, context);
    }

    /// Adds content to a response, of a length that may be unknown, and its bytes, if they were seen. Returns `false` if the
    /// first server-sent event is given up because it is too long.
    pub(crate) fn add_content(
        &mut self,
        stream: u32,
        count: Option<u64>,
        content: Option<&[u8]>,
        at: Timestamp,
    ) -> bool {
        note_response(&mut self.lost, at);
        let Some(open) = self.open.find(stream).filter(|open| !open.is_over(at)) else {
            return true;
        };
        open.add_content(count);
        open.progress.read_events(content, at)
    }

    /// Handles the end of a response; `seen` tells whether it came at `at`, or was lost in a gap behind it.
    pub(crate) fn end_response(&mut self, stream: u32, at: Timestamp, seen: bool, context: &mut Context) {
        if let Some(open) = self.open.find(stream) {
            open.note_unseen_head();
        }
        let ended = if seen { Ended::Complete } else { Ended::Lost };
        self.end(stream, ended, at, seen, context);
    }

    /// Notes that a header block of a response was lost: a head or trailers, which may have ended the stream.
    pub(crate) fn lose_response_block(&mut self, stream: u32, at: Timestamp, context: &Context) {
        if let Some(open) = self.open.find(stream).filter(|open| !open.has_ended()) {
            open.add_content(None);
            open.end_lost_since = Some(at);
            self.schedule(Some(give_up_at(at, context)));
        }
    }

    /// Notes that frames of responses were lost behind `at`, the last of them by `until`. Their streams are unknown.
    pub(crate) fn lose_responses(&mut self, at: Timestamp, until: Timestamp, context: &Context) {
        let lost = LostResponses {
            at,
            until,
            resumed_at: None,
        };
        self.lost = Some(lost);
        let may_hide = |open: &&mut Stream| !open.has_ended() && open.began().is_none_or(|began| lost.may_hide(began));
        for stream in self.open.iter_mut().map(|(_, stream)| stream).filter(may_hide) {
            stream.add_content(None);
            stream.end_lost_since = Some(at);
        }
        if self.open.len() > 0 {
            self.schedule(Some(give_up_at(at, context)));
        }
    }
}

/// Adds a section to the response on a stream, as a head or as trailers.
#[inline]
fn add_section(open: &mut Stream, section: Section, origin: &Origin, may_lack_head: bool, context: &mut Context) {
    let Origin { at, ends_stream, .. } = *origin;
    let kind = section.kind();
    let is_trailers = match kind {
        Kind::Trailers => may_lack_head || open.is_answered(),
        // Behind a head, a block of unknown fields is either the head of the final response or trailers.
        Kind::Unknown => open.is_answered() && ends_stream,
        // No other head follows the head of a final response.
        Kind::Request | Kind::Response => open.has_final_head(),
    };
    if is_trailers && kind == Kind::Unknown && open.may_await_final_head() {
        open.obscure_response(section.count());
    } else if is_trailers && (ends_stream || kind == Kind::Trailers) {
        open.set_trailers(section.into_trailers());
    } else if is_trailers {
        context.counters.malformed_heads += 1;
    } else {
        open.add_response(section.into_response(&mut context.counters), at, ends_stream, context);
        if may_lack_head && ends_stream && kind == Kind::Unknown {
            // The block may be trailers behind content that was not seen.
            open.add_content(None);
        }
    }
    if ends_stream {
        open.end(Ended::Complete, at, true);
    }
}
