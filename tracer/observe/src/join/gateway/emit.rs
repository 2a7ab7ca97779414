//! What a process emits: hops, and upstream exchanges that are alone.

use super::Gateway;
use crate::{
    join::{
        Hop, Upstream,
        entry::{Asking, Verdict},
    },
    limits::{MAX_PATIENCE_NS, MAX_PATIENT},
};

impl Gateway {
    /// Emits an exchange that has waited for the hold, unless it is to be emitted with another one, or waits for longer.
    pub(super) fn force(&mut self, serial: u64, now_ns: u64, hops: &mut Vec<Hop>) {
        if self.downstream.contains_key(&serial) {
            if self.has_awaited(serial) {
                self.waiting.push_back((now_ns, serial));
            } else {
                hops.extend(self.emit_hop(serial));
            }
            return;
        }
        match self.upstream.get(&serial).map(|asking| &asking.verdict) {
            Some(Verdict::Open) if self.is_patient(serial, now_ns) => self.waiting.push_back((now_ns, serial)),
            Some(Verdict::Open | Verdict::Awaited(..)) => self.decide(serial),
            Some(Verdict::Joined(..) | Verdict::Ambiguous(_)) | None => {}
        }
    }

    /// Returns whether an upstream exchange that has come is about to be joined with a downstream one.
    fn has_awaited(&self, serial: u64) -> bool {
        let is_it = |asking: &Asking| matches!(asking.verdict, Verdict::Awaited(of, _) if of == serial);
        self.upstream
            .values()
            .any(|asking| asking.entry.waits() && is_it(asking))
    }

    /// Returns whether an upstream exchange waits longer than the hold, since the response to a request that it may belong to
    /// may still show that. That request may be slow because of what the gateway asks next.
    fn is_patient(&self, serial: u64, now_ns: u64) -> bool {
        let Some(asking) = self.upstream.get(&serial) else {
            return false;
        };
        let came_ns = asking.entry.whole.as_ref().map_or(0, |(_, came_ns)| *came_ns);
        self.upstream.len() <= MAX_PATIENT
            && now_ns.saturating_sub(came_ns) < MAX_PATIENCE_NS
            && self
                .evidence(serial)
                .is_some_and(|evidence| evidence.judge() == Verdict::Open)
    }

    pub(super) fn emit_ready(&mut self, hops: &mut Vec<Hop>) {
        let mut blocked: Vec<u64> = Vec::new();
        let mut alone = Vec::new();
        for (serial, asking) in &self.upstream {
            match &asking.verdict {
                Verdict::Open => blocked.extend(&asking.candidates.open),
                Verdict::Awaited(of, _) => blocked.push(*of),
                Verdict::Joined(of, _) => {
                    if self.downstream.get(of).is_none_or(|entry| entry.seen && !entry.waits()) {
                        alone.push(*serial);
                    } else if !asking.entry.seen {
                        blocked.push(*of);
                    }
                }
                Verdict::Ambiguous(_) => alone.push(*serial),
            }
        }
        blocked.sort_unstable();
        let ready: Vec<u64> = self
            .downstream
            .iter()
            .filter(|(serial, entry)| entry.waits() && blocked.binary_search(serial).is_err())
            .map(|(serial, _)| *serial)
            .collect();
        for serial in ready {
            hops.extend(self.emit_hop(serial));
        }
        for serial in alone {
            hops.extend(self.emit_alone(serial));
        }
    }

    /// Emits a downstream exchange with the upstream exchanges that have come.
    pub(super) fn emit_hop(&mut self, serial: u64) -> Option<Hop> {
        let (downstream, _) = self.downstream.get_mut(&serial)?.whole.take()?;
        let joined: Vec<u64> = self
            .upstream
            .iter()
            .filter(|(_, asking)| asking.entry.waits() && asking.belongs_to(serial))
            .map(|(upstream, _)| *upstream)
            .collect();
        let mut upstreams = Vec::with_capacity(joined.len());
        for one in joined {
            upstreams.extend(self.take_upstream(one));
        }
        upstreams.sort_by_key(|(began_ns, _)| *began_ns);
        self.forget_if_over(serial);
        Some(Hop {
            downstream: Some(downstream),
            upstreams: upstreams.into_iter().map(|(_, upstream)| upstream).collect(),
            candidates: Vec::new(),
        })
    }

    /// Emits an upstream exchange that has come without a downstream one.
    pub(super) fn emit_alone(&mut self, serial: u64) -> Option<Hop> {
        let asking = self.upstream.get(&serial).filter(|asking| asking.entry.waits())?;
        let serials = match &asking.verdict {
            Verdict::Open => Vec::new(),
            Verdict::Awaited(of, _) | Verdict::Joined(of, _) => vec![*of],
            Verdict::Ambiguous(candidates) => candidates.clone(),
        };
        let ended = asking.candidates.ended.as_ref();
        let id = |serial: &u64| match self.downstream.get(serial) {
            Some(entry) => Some(entry.id.clone()),
            None => ended.filter(|one| one.serial == *serial).map(|one| one.id.clone()),
        };
        let candidates = serials.iter().filter_map(id).collect();
        let (_, upstream) = self.take_upstream(serial)?;
        Some(Hop {
            downstream: None,
            upstreams: vec![upstream],
            candidates,
        })
    }

    /// Removes an upstream exchange that has come.
    fn take_upstream(&mut self, serial: u64) -> Option<(u64, Upstream)> {
        let mut asking = self.upstream.remove(&serial)?;
        self.by_id.remove(&asking.entry.id);
        self.forgotten.push(serial);
        let (observed, _) = asking.entry.whole.take()?;
        for of in &asking.candidates.open {
            self.forget_if_over(*of);
        }
        let how = match asking.verdict {
            Verdict::Joined(_, how) => Some(how),
            Verdict::Open | Verdict::Awaited(..) | Verdict::Ambiguous(_) => None,
        };
        let upstream = Upstream {
            observed,
            how,
            reused: asking.reused,
        };
        Some((asking.entry.began_ns, upstream))
    }

    /// Forgets a downstream exchange that was emitted and has ended, unless an upstream exchange may belong to it.
    pub(super) fn forget_if_over(&mut self, serial: u64) {
        let Some(entry) = self.downstream.get(&serial) else {
            return;
        };
        let is_over = entry.seen && !entry.waits() && entry.ended_ns.is_some();
        let is_needed = || {
            self.upstream
                .values()
                .any(|asking| asking.candidates.open.contains(&serial))
        };
        if is_over && !is_needed() {
            if let Some(one) = entry.as_ended(serial) {
                let since_ns = one.ended_ns.saturating_sub(self.wait_ns);
                self.ended.add(&entry.digests, &one, since_ns);
            }
            self.by_id.remove(&entry.id);
            self.downstream.remove(&serial);
            self.forgotten.push(serial);
        }
    }
}

impl Asking {
    fn belongs_to(&self, serial: u64) -> bool {
        matches!(self.verdict, Verdict::Joined(of, _) if of == serial)
    }
}
