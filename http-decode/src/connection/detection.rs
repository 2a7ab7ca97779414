//! Detection of the protocol, and resynchronisation: applying the verdicts of the boundary scanners.
//!
//! Once one direction shows the protocol, the other direction is read as the same protocol.

use super::Connection;
use super::state::{DirectionState, Phase, Session};
use crate::boundary::{BoundaryScanner, Verdict};
use crate::context::Role;
use crate::direction::PerDirection;
use crate::proxy::{Found, Preamble};
use crate::{Direction, Reason, h1, h2};

impl Connection {
    /// Scans the next bytes of a direction; `false` if there are none.
    pub(super) fn scan_ahead(&mut self, direction: Direction) -> bool {
        if let Some(scanned) = self.scan_preamble(direction) {
            return scanned;
        }
        let limits = self.context.settings.limits;
        let begins = self.begins_with_next(direction);
        let state = self.directions.of_mut(direction);
        let Some(scanner) = &mut state.scanner else {
            return false;
        };
        let next = state.reassembler.next().max(scanner.scanned());
        let verdict = match state.reassembler.held_at(next) {
            Some(chunk) => scanner.scan(&chunk, state.start, begins, &limits),
            None if scanner.is_undecided() && state.reassembler.is_known_gap_at(next) => scanner.conclude(),
            None => return false,
        };
        self.apply_verdict(direction, verdict);
        self.drop_unparsable();
        true
    }

    /// Scans for a PROXY protocol header, and skips it. Returns whether that changed anything, or `None` if there is no
    /// header.
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
            Found::NeedMore => Some(true),
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

    /// Discards the beginning of both directions once neither is HTTP: then no error can answer a bad request.
    fn drop_unparsable(&mut self) {
        let awaits_error = |state: &DirectionState| state.scanner.as_ref().is_some_and(BoundaryScanner::awaits_error);
        if self.directions.all().into_iter().all(awaits_error) {
            for direction in [Direction::Read, Direction::Write] {
                if let Some(scanner) = &mut self.directions.of_mut(direction).scanner {
                    scanner.drop_unparsable();
                }
                self.discard_unneeded(direction);
            }
        }
    }

    /// Returns whether a direction waits for missing bytes while bytes behind them have arrived.
    pub(super) fn waits_for_gap(&self, direction: Direction) -> bool {
        let state = self.directions.of(direction);
        state.reassembler.has_gap()
            || state
                .scanner
                .as_ref()
                .is_some_and(|scanner| scanner.is_undecided() && state.reassembler.has_gap_at(scanner.scanned()))
    }

    /// Returns whether bytes of a direction are held because no boundary was found yet.
    pub(super) fn is_undecided(&self, direction: Direction) -> bool {
        let scanner = self.directions.of(direction).scanner.as_ref();
        scanner.is_some_and(BoundaryScanner::is_undecided)
    }

    /// Decides on the scanned bytes of a direction, which nothing will follow; `false` if there are none.
    pub(super) fn conclude(&mut self, direction: Direction) -> bool {
        let state = self.directions.of_mut(direction);
        let Some(scanner) = state.scanner.as_mut().filter(|scanner| scanner.is_undecided()) else {
            return false;
        };
        let verdict = scanner.conclude();
        self.apply_verdict(direction, verdict);
        true
    }

    /// Starts looking for a frame boundary if HTTP/2 framing was lost in this direction.
    pub(super) fn resync_if_lost(&mut self, direction: Direction) {
        if let Session::Http2(session) = &mut self.session
            && !session.is_in_sync(direction)
            && self.directions.of(direction).scanner.is_none()
        {
            self.directions.of_mut(direction).scanner = Some(BoundaryScanner::for_http2());
        }
    }

    /// Reports, once, that this is not HTTP, or that no HTTP was recognised if bytes were lost or the connection was joined late.
    pub(super) fn report_unrecognised(&mut self) {
        if matches!(self.session, Session::Unknown)
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

    /// Returns whether the connection is of another protocol: every byte was seen, and too many of them are not HTTP.
    pub(super) fn is_not_http(&self) -> bool {
        matches!((self.phase, &self.session), (Phase::Open, Session::Unknown))
            && self.unrecognised > self.context.settings.limits.max_unrecognised_bytes
            && self.is_seen_whole()
    }

    /// Returns whether every byte was seen, so that HTTP would have been recognised by the first bytes.
    fn is_seen_whole(&self) -> bool {
        let counters = &self.context.counters;
        self.context.from_start && counters.missing_bytes == 0 && counters.skipped_bytes == 0
    }

    fn apply_verdict(&mut self, direction: Direction, verdict: Verdict) {
        match verdict {
            Verdict::NeedMore => self.discard_unneeded(direction),
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
        self.session = Session::Http1(Box::new(h1::session::Session::new(side, direction, &lost, &begins)));
        for state in self.directions.all_mut() {
            state.scanner = None;
        }
    }

    fn begin_frames(&mut self, direction: Direction, at_preface: bool) {
        if let Session::Http2(session) = &mut self.session {
            session.resync(direction, at_preface, &mut self.context);
            self.directions.of_mut(direction).scanner = None;
        } else {
            self.begin_http2(direction, at_preface);
        }
    }

    /// Returns whether the next byte of a direction is known to be the first of the connection.
    fn begins_with_next(&self, direction: Direction) -> bool {
        let state = self.directions.of(direction);
        self.context.from_start && state.reassembler.next() == state.start
    }

    fn begin_http2(&mut self, direction: Direction, at_preface: bool) {
        let mut session = h2::session::Session::new(direction, at_preface, &self.context);
        for direction in [Direction::Read, Direction::Write] {
            if let Some(at) = self.directions.of(direction).lost_until {
                session.lose(direction, at, &mut self.context);
            }
        }
        self.session = Session::Http2(Box::new(session));
        self.directions.of_mut(direction).scanner = None;
        let other = direction.other();
        let of_other = Some(Role::Requests.side(other));
        let may_begin = self.context.side.is_none() || self.context.side == of_other;
        if let Some(scanner) = &mut self.directions.of_mut(other).scanner {
            let verdict = scanner.expect_http2(may_begin);
            self.apply_verdict(other, verdict);
        }
    }

    /// Discards bytes that the scanner does not need.
    fn discard_unneeded(&mut self, direction: Direction) {
        let scanner = self.directions.of(direction).scanner.as_ref();
        if let Some(until) = scanner.map(BoundaryScanner::unneeded_until) {
            self.discard_until(direction, until);
        }
    }

    /// Discards bytes that cannot be decoded, up to a scanned position.
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
        match &mut self.session {
            Session::Http2(session) => session.lose(direction, at, &mut self.context),
            Session::Http1(_) => {}
            Session::Unknown => {
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
            // If bytes were lost or the connection was joined late, later bytes may still show that this is HTTP.
            if self.is_not_http() {
                self.report_unrecognised();
            }
        }
    }
}
