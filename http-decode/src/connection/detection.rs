//! From a connection of which nothing is known to one that is read, and back into step.
//!
//! In: the verdicts of the scouts. Out: the dialogue that reads on, or bytes discarded and counted. Refuses to take one
//! direction for HTTP/1 and the other for HTTP/2.

use super::{Connection, Dialogue, Phase};
use crate::both::Both;
use crate::context::Role;
use crate::scout::{Scout, Verdict};
use crate::{Direction, Reason, h1, h2};

impl Connection {
    /// Lets the scout of a direction look at the next bytes; false when there are none.
    pub(super) fn look_ahead(&mut self, direction: Direction) -> bool {
        let limits = self.context.settings.limits;
        let half = self.halves.of_mut(direction);
        let Some(scout) = &mut half.scout else { return false };
        let next = half.stream.next().max(scout.looked());
        let verdict = match half.stream.held_at(next) {
            Some(chunk) => scout.look(&chunk, &limits),
            None if scout.is_undecided() && half.stream.is_missing_at(next) => scout.conclude(),
            None => return false,
        };
        self.take_verdict(direction, verdict);
        true
    }

    /// Tells whether a direction cannot go on because bytes are missing, while some behind them are there.
    pub(super) fn waits_for_hole(&self, direction: Direction) -> bool {
        let half = self.halves.of(direction);
        half.stream.has_hole()
            || half
                .scout
                .as_ref()
                .is_some_and(|scout| scout.is_undecided() && half.stream.has_hole_at(scout.looked()))
    }

    /// Has a scout decide on what it saw, where nothing will follow; false when it saw nothing.
    pub(super) fn conclude(&mut self, direction: Direction) -> bool {
        let half = self.halves.of_mut(direction);
        let Some(scout) = half.scout.as_mut().filter(|scout| scout.is_undecided()) else {
            return false;
        };
        let verdict = scout.conclude();
        self.take_verdict(direction, verdict);
        true
    }

    /// Sends a scout out when HTTP/2 lost its step in a direction.
    pub(super) fn mind_step(&mut self, direction: Direction) {
        if let Dialogue::Http2(dialogue) = &mut self.dialogue
            && !dialogue.is_in_step(direction)
            && self.halves.of(direction).scout.is_none()
        {
            self.halves.of_mut(direction).scout = Some(Scout::for_http2());
        }
    }

    /// Says once that this is not HTTP, when more than `limit` bytes were not.
    pub(super) fn report_unrecognised(&mut self, limit: u64) {
        if matches!(self.dialogue, Dialogue::Unknown)
            && self.unrecognised > limit
            && let Some((direction, position)) = self.unrecognised_from.take()
        {
            self.context.undecoded(direction, position, Reason::NotHttp);
        }
    }

    fn take_verdict(&mut self, direction: Direction, verdict: Verdict) {
        match verdict {
            Verdict::Wait => {}
            Verdict::Nothing => self.discard_candidate(direction),
            Verdict::StartLine(role) => self.begin_http1(direction, role),
            Verdict::Preface | Verdict::Frames => {
                let at_preface = verdict == Verdict::Preface;
                if at_preface {
                    self.context.side = Some(Role::Requests.side(direction));
                }
                if let Dialogue::Http2(dialogue) = &mut self.dialogue {
                    dialogue.find_step(direction, at_preface, &mut self.context);
                    self.halves.of_mut(direction).scout = None;
                } else {
                    self.begin_http2(direction, at_preface);
                }
            }
        }
    }

    fn begin_http1(&mut self, direction: Direction, role: Role) {
        let side = role.side(direction);
        self.context.side = Some(side);
        let lost = Both::new(|direction| self.halves.of(direction).lost_until);
        self.context.counters.resynchronised += u64::from(self.halves.of(direction).lost_until.is_some());
        self.dialogue = Dialogue::Http1(Box::new(h1::dialogue::Dialogue::new(side, direction, &lost)));
        for half in self.halves.all_mut() {
            half.scout = None;
        }
    }

    fn begin_http2(&mut self, direction: Direction, at_preface: bool) {
        let dialogue = h2::dialogue::Dialogue::new(direction, at_preface, &self.context);
        self.dialogue = Dialogue::Http2(Box::new(dialogue));
        self.halves.of_mut(direction).scout = None;
        let limits = self.context.settings.limits;
        let other = direction.other();
        if let Some(scout) = &mut self.halves.of_mut(other).scout {
            let verdict = scout.expect_http2(&limits);
            self.take_verdict(other, verdict);
        }
    }

    /// Discards what cannot be read, up to the next call, with which something may begin.
    fn discard_candidate(&mut self, direction: Direction) {
        let unknown = matches!(self.dialogue, Dialogue::Unknown);
        let half = self.halves.of_mut(direction);
        let from = half.stream.next();
        let looked = half.scout.as_ref().map_or(from, Scout::looked);
        while let Some(held) = half.stream.take() {
            let chunk = held.chunk(half.stream.next());
            if half.stream.next() > from && (chunk.call_start || chunk.position >= looked) {
                half.stream.put_back(held, 0);
                break;
            }
            let (count, at) = (chunk.bytes.len(), chunk.at);
            half.stream.put_back(held, count);
            if unknown {
                half.lost_until = Some(at);
            }
        }
        if let Some(scout) = &mut half.scout {
            scout.restart();
        }
        let bytes = half.stream.next() - from;
        self.context.counters.discarded_bytes += bytes;
        if unknown && self.phase != Phase::Over {
            if self.unrecognised == 0 {
                self.unrecognised_from = Some((direction, from));
            }
            self.unrecognised = self.unrecognised.saturating_add(bytes);
            self.report_unrecognised(self.context.settings.limits.max_unrecognised_bytes);
        }
    }
}
