//! From a connection of which nothing is known to one that is read, and back into step.
//!
//! In: the verdicts of the scouts. Out: the dialogue that reads on, or bytes discarded and counted. Refuses to take one
//! direction for HTTP/1 and the other for HTTP/2.

use super::{Connection, Dialogue, DirectionState, Phase};
use crate::context::Role;
use crate::direction::PerDirection;
use crate::proxy::{Found, Preamble};
use crate::scout::{Scout, Verdict};
use crate::{Direction, Reason, h1, h2};

impl Connection {
    /// Lets the scout of a direction scan the next bytes; false when there are none.
    pub(super) fn scan_ahead(&mut self, direction: Direction) -> bool {
        if let Some(scanned) = self.scan_preamble(direction) {
            return scanned;
        }
        let limits = self.context.settings.limits;
        let begins = self.begins_with_next(direction);
        let state = self.directions.of_mut(direction);
        let Some(scout) = &mut state.scout else { return false };
        let next = state.reassembler.next().max(scout.scanned());
        let verdict = match state.reassembler.held_at(next) {
            Some(chunk) => scout.scan(&chunk, state.start, begins, &limits),
            None if scout.is_undecided() && state.reassembler.is_known_gap_at(next) => scout.conclude(),
            None => return false,
        };
        self.take_verdict(direction, verdict);
        self.refuse_both();
        true
    }

    /// Scans for a header of the PROXY protocol, and steps over it; says whether that did anything, or nothing if there is
    /// none.
    fn scan_preamble(&mut self, direction: Direction) -> Option<bool> {
        let state = self.directions.of_mut(direction);
        let preamble = state.preamble.as_mut()?;
        let next = state.reassembler.next();
        if let Preamble::Within(end) = *preamble {
            let Some(held) = state.reassembler.take() else {
                return Some(false);
            };
            let chunk = held.chunk(next);
            let left = usize::try_from(end.saturating_sub(next)).unwrap_or(usize::MAX);
            let count = chunk.bytes.len().min(left);
            state.reassembler.put_back(held, count);
            if state.reassembler.next() >= end {
                state.preamble = None;
            }
            return Some(true);
        }
        if next > 0 || state.reassembler.is_known_gap_at(preamble.scanned()) {
            state.preamble = None;
            return None;
        }
        let Some(chunk) = state.reassembler.held_at(preamble.scanned()) else {
            return Some(false);
        };
        match preamble.scan(chunk.bytes) {
            Found::NotYet => Some(true),
            Found::Nothing => {
                state.preamble = None;
                None
            }
            Found::Header(length, proxied) => {
                *preamble = Preamble::Within(length);
                state.start = length;
                self.context.proxied = proxied;
                Some(true)
            }
        }
    }

    /// Gives up on both directions once neither begins like HTTP: then there is no error that answers a bad request.
    fn refuse_both(&mut self) {
        let waits = |state: &DirectionState| state.scout.as_ref().is_some_and(Scout::awaits_refusal);
        if self.directions.all().into_iter().all(waits) {
            for direction in [Direction::Read, Direction::Write] {
                if let Some(scout) = &mut self.directions.of_mut(direction).scout {
                    scout.drop_refused();
                }
                self.discard_useless(direction);
            }
        }
    }

    /// Returns whether a direction cannot go on because bytes are missing, while some behind them are there.
    pub(super) fn waits_for_gap(&self, direction: Direction) -> bool {
        let state = self.directions.of(direction);
        state.reassembler.has_gap()
            || state
                .scout
                .as_ref()
                .is_some_and(|scout| scout.is_undecided() && state.reassembler.has_gap_at(scout.scanned()))
    }

    /// Returns whether bytes of a direction are held of which it is not known yet how to read them.
    pub(super) fn is_undecided(&self, direction: Direction) -> bool {
        let scout = self.directions.of(direction).scout.as_ref();
        scout.is_some_and(Scout::is_undecided)
    }

    /// Has a scout decide on what it scanned, where nothing will follow; false when there is nothing to decide.
    pub(super) fn conclude(&mut self, direction: Direction) -> bool {
        let state = self.directions.of_mut(direction);
        let Some(scout) = state.scout.as_mut().filter(|scout| scout.is_undecided()) else {
            return false;
        };
        let verdict = scout.conclude();
        self.take_verdict(direction, verdict);
        true
    }

    /// Starts scanning for a frame where HTTP/2 lost its step in a direction.
    pub(super) fn resync_if_lost(&mut self, direction: Direction) {
        if let Dialogue::Http2(dialogue) = &mut self.dialogue
            && !dialogue.is_in_step(direction)
            && self.directions.of(direction).scout.is_none()
        {
            self.directions.of_mut(direction).scout = Some(Scout::for_http2());
        }
    }

    /// Reports once that this is not HTTP, or, of a connection that was not seen whole, that no HTTP was recognised.
    pub(super) fn report_unrecognised(&mut self) {
        if matches!(self.dialogue, Dialogue::Unknown)
            && let Some((direction, position)) = self.unrecognised_from.take()
        {
            let reason = if self.is_seen_whole() {
                Reason::NotHttp
            } else {
                Reason::Unrecognised
            };
            self.context.undecoded(direction, position, reason);
        }
    }

    /// Returns whether every byte was seen, so that the first ones would have said that this is HTTP.
    fn is_seen_whole(&self) -> bool {
        self.context.from_start && self.context.counters.missing_bytes == 0
    }

    fn take_verdict(&mut self, direction: Direction, verdict: Verdict) {
        match verdict {
            Verdict::Wait => self.discard_useless(direction),
            Verdict::StartLine(role, start) => {
                self.discard_until(direction, start);
                self.begin_http1(direction, role);
            }
            Verdict::Preface(start) => {
                self.discard_until(direction, start);
                self.context.side = Some(Role::Requests.side(direction));
                self.begin_frames(direction, true);
            }
            Verdict::Frames(start) => {
                self.discard_until(direction, start);
                self.begin_frames(direction, false);
            }
        }
    }

    fn begin_http1(&mut self, direction: Direction, role: Role) {
        let side = role.side(direction);
        self.context.side = Some(side);
        let lost = PerDirection::new(|direction| self.directions.of(direction).lost_until);
        let begins = PerDirection::new(|direction| self.begins_with_next(direction));
        self.context.counters.resynchronised += u64::from(self.directions.of(direction).lost_until.is_some());
        self.dialogue = Dialogue::Http1(Box::new(h1::dialogue::Dialogue::new(side, direction, &lost, &begins)));
        for state in self.directions.all_mut() {
            state.scout = None;
        }
    }

    fn begin_frames(&mut self, direction: Direction, at_preface: bool) {
        if let Dialogue::Http2(dialogue) = &mut self.dialogue {
            dialogue.find_step(direction, at_preface, &mut self.context);
            self.directions.of_mut(direction).scout = None;
        } else {
            self.begin_http2(direction, at_preface);
        }
    }

    /// Returns whether the next byte of a direction is the first one of a connection that was seen to begin.
    fn begins_with_next(&self, direction: Direction) -> bool {
        let state = self.directions.of(direction);
        self.context.from_start && state.reassembler.next() == state.start
    }

    fn begin_http2(&mut self, direction: Direction, at_preface: bool) {
        let mut dialogue = h2::dialogue::Dialogue::new(direction, at_preface, &self.context);
        for direction in [Direction::Read, Direction::Write] {
            if let Some(at) = self.directions.of(direction).lost_until {
                dialogue.lose(direction, at, &mut self.context);
            }
        }
        self.dialogue = Dialogue::Http2(Box::new(dialogue));
        self.directions.of_mut(direction).scout = None;
        let other = direction.other();
        let of_other = Some(Role::Requests.side(other));
        let may_begin = self.context.side.is_none() || self.context.side == of_other;
        if let Some(scout) = &mut self.directions.of_mut(other).scout {
            let verdict = scout.expect_http2(may_begin);
            self.take_verdict(other, verdict);
        }
    }

    /// Discards what the scout has no use for.
    fn discard_useless(&mut self, direction: Direction) {
        let scout = self.directions.of(direction).scout.as_ref();
        if let Some(until) = scout.map(Scout::useless_until) {
            self.discard_until(direction, until);
        }
    }

    /// Discards what cannot be read, up to a position that was scanned.
    fn discard_until(&mut self, direction: Direction, until: u64) {
        let state = self.directions.of_mut(direction);
        let from = state.reassembler.next();
        let mut last_at = None;
        while state.reassembler.next() < until
            && let Some(held) = state.reassembler.take()
        {
            let chunk = held.chunk(state.reassembler.next());
            let left = usize::try_from(until - state.reassembler.next()).unwrap_or(usize::MAX);
            let count = chunk.bytes.len().min(left);
            last_at = Some(chunk.at);
            state.reassembler.put_back(held, count);
        }
        let bytes = state.reassembler.next() - from;
        self.context.counters.discarded_bytes += bytes;
        let Some(at) = last_at else { return };
        match &mut self.dialogue {
            Dialogue::Http2(dialogue) => dialogue.lose(direction, at, &mut self.context),
            Dialogue::Http1(_) => {}
            Dialogue::Unknown => {
                state.lost_until = Some(at);
                self.count_unrecognised(direction, from, bytes);
            }
        }
    }

    fn count_unrecognised(&mut self, direction: Direction, from: u64, bytes: u64) {
        if self.phase != Phase::Over {
            if self.unrecognised == 0 {
                self.unrecognised_from = Some((direction, from));
            }
            self.unrecognised = self.unrecognised.saturating_add(bytes);
            // Where the beginning was not seen, or bytes were lost, what comes next may show at any time that this is HTTP.
            if self.unrecognised > self.context.settings.limits.max_unrecognised_bytes && self.is_seen_whole() {
                self.report_unrecognised();
            }
        }
    }
}
