//! A reference that knows the truth: gateways that do at random what gateways do, and the joins that are made of what is
//! seen of them. No join may be wrong, and no exchange may be missing or told twice.

use std::collections::{BTreeMap, BTreeSet};

use http_decode::Side;
use proptest::{collection::vec, prelude::any, prop_assert, prop_assert_eq, proptest, strategy::Strategy};

use super::bench::{Bench, HOLD_NS, Made, Seen};

/// How the requests of a gateway have ids.
#[derive(Clone, Copy, Debug)]
enum Ids {
    None,
    /// Each request has one of a few, and the gateway passes it on; some responses have it, too.
    Few,
    /// The gateway makes one and returns it.
    Minted,
    /// The client sends one of few traces.
    Traces,
}

/// Something that happens; the numbers choose among what is possible.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request comes, and is answered at once by the gateway itself, asked upstream in the same turn, or later.
    Ask { path: u8, id: u8, then: u8 },
    /// A request that was put off is asked upstream, on a new or on a reused connection.
    Later { which: u8, reused: bool },
    /// An upstream server answers: the answer is passed on at once, or later, or the request is tried again.
    Answer { which: u8, then: u8 },
    /// An answer that was put off is passed on.
    Pass { which: u8 },
    /// A request that came before the trace, and that was not seen, is asked upstream.
    Unseen { path: u8, id: u8, reused: bool },
    /// An exchange ends.
    End { which: u8 },
    /// A request is asked upstream whose response is over, where ids tell requests apart.
    Late { which: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u8..14, any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(kind, one, two, three)| match kind {
        0..=3 => Step::Ask {
            path: one % 3,
            id: two % 4,
            then: three,
        },
        4 | 5 => Step::Later {
            which: one,
            reused: two % 2 == 0,
        },
        6..=8 => Step::Answer { which: one, then: two },
        9 => Step::Pass { which: one },
        10 => Step::Late { which: one },
        11 => Step::Unseen {
            path: one % 3,
            id: two % 4,
            reused: three % 2 == 0,
        },
        _ => Step::End { which: one },
    });
    vec(step, 1..80)
}

/// A gateway with one event loop.
struct Gateway {
    bench: Bench,
    ids: Ids,
    /// Whether the trace has begun a short time ago, so that requests may be open that were not seen.
    has_begun: bool,
    unseen: BTreeSet<String>,
    /// Upstream requests that were made when the response was over.
    late: BTreeSet<String>,
    connections: u64,
    /// The request that each upstream request was made for.
    truth: BTreeMap<String, String>,
    all: BTreeSet<String>,
    /// Downstream requests that are to be asked upstream.
    put_off: Vec<Made>,
    /// Upstream requests in progress, with the downstream ones.
    asking: Vec<(Made, Made)>,
    /// Downstream requests to which an answer is to be passed on.
    answered: Vec<Made>,
    /// Exchanges whose heads are over.
    ending: Vec<Made>,
    /// Downstream exchanges that are over.
    ended: Vec<Made>,
    seen: Vec<Seen>,
}

impl Gateway {
    fn new(ids: Ids, has_begun: bool) -> Self {
        Self {
            bench: if has_begun { Bench::late() } else { Bench::new() },
            ids,
            has_begun,
            unseen: BTreeSet::new(),
            late: BTreeSet::new(),
            connections: 0,
            truth: BTreeMap::new(),
            all: BTreeSet::new(),
            put_off: Vec::new(),
            asking: Vec::new(),
            answered: Vec::new(),
            ending: Vec::new(),
            ended: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Ask { path, id, then } => self.ask(path, id, then),
            Step::Later { which, reused } => {
                if let Some(downstream) = take(&mut self.put_off, which) {
                    self.upstream(downstream, reused);
                }
            }
            Step::Answer { which, then } => {
                if let Some((mut upstream, mut downstream)) = take(&mut self.asking, which) {
                    self.bench.answer(&mut upstream);
                    self.ending.push(upstream);
                    match then % 4 {
                        0 | 1 => {
                            self.bench.answer(&mut downstream);
                            self.ending.push(downstream);
                        }
                        2 => self.answered.push(downstream),
                        _ => self.upstream(downstream, true),
                    }
                }
            }
            Step::Pass { which } => {
                if let Some(mut downstream) = take(&mut self.answered, which) {
                    self.bench.answer(&mut downstream);
                    self.ending.push(downstream);
                }
            }
            Step::End { which } => {
                if let Some(made) = take(&mut self.ending, which) {
                    if made.side == Side::Server {
                        self.ended.push(made.clone());
                    }
                    self.bench.finish(made);
                }
            }
            Step::Unseen { path, id, reused } => {
                if self.has_begun {
                    let unseen = self.made(path, id);
                    self.unseen.insert(unseen.name());
                    // Its connection may be from before the trace as well.
                    self.bench.from_start = false;
                    self.upstream(unseen, reused);
                    self.bench.from_start = true;
                }
            }
            Step::Late { which } => {
                if matches!(self.ids, Ids::Minted)
                    && let Some(downstream) = take(&mut self.ended, which)
                {
                    let upstream = self.begin_upstream(&downstream, false);
                    self.late.insert(upstream.name());
                    self.ending.push(upstream);
                }
            }
        }
        self.seen.extend(self.bench.take());
    }

    fn ask(&mut self, path: u8, id: u8, then: u8) {
        let made = self.made(path, id);
        let downstream = self.bench.begin(made);
        match then % 8 {
            // A static file.
            0 => {
                let mut downstream = downstream;
                self.bench.answer(&mut downstream);
                self.ending.push(downstream);
            }
            1..=4 => self.upstream(downstream, true),
            _ => self.put_off.push(downstream),
        }
    }

    /// Makes a request of a client.
    fn made(&mut self, path: u8, id: u8) -> Made {
        self.connections += 1;
        let serial = self.connections;
        let few = matches!(self.ids, Ids::Few).then(|| id.to_string());
        let minted = matches!(self.ids, Ids::Minted).then(|| format!("minted-{serial}"));
        let made = Made {
            connection: serial,
            ordinal: 1,
            side: Side::Server,
            thread: 1,
            path: format!("/{path}"),
            answered_id: minted.or_else(|| few.clone().filter(|_| serial.is_multiple_of(2))),
            id: few,
            trace: matches!(self.ids, Ids::Traces).then_some(u64::from(id) + 1),
            began_ns: self.bench.now_ns,
            head_ns: None,
        };
        self.all.insert(made.name());
        made
    }

    fn upstream(&mut self, downstream: Made, reused: bool) {
        let upstream = self.begin_upstream(&downstream, reused);
        self.asking.push((upstream, downstream));
    }

    fn begin_upstream(&mut self, downstream: &Made, reused: bool) -> Made {
        self.connections += 1;
        let upstream = self.bench.begin(Made {
            connection: self.connections,
            ordinal: if reused { 2 } else { 1 },
            side: Side::Client,
            id: downstream.id.clone().or_else(|| downstream.answered_id.clone()),
            answered_id: None,
            began_ns: 0,
            head_ns: None,
            ..downstream.clone()
        });
        self.all.insert(upstream.name());
        self.truth.insert(upstream.name(), downstream.name());
        upstream
    }

    /// Ends everything, and returns all hops.
    fn finish(&mut self) {
        while !self.put_off.is_empty()
            || !self.asking.is_empty()
            || !self.answered.is_empty()
            || !self.ending.is_empty()
        {
            let step = [
                Step::Later {
                    which: 0,
                    reused: false,
                },
                Step::Answer { which: 0, then: 0 },
                Step::Pass { which: 0 },
                Step::End { which: 0 },
            ];
            for step in step {
                self.step(step);
            }
        }
        self.bench.advance(10 * HOLD_NS);
        self.bench.joiner.finish(&mut self.bench.out);
        self.seen.extend(self.bench.take());
    }
}

fn take<T>(from: &mut Vec<T>, which: u8) -> Option<T> {
    let index = usize::from(which).checked_rem(from.len())?;
    Some(from.remove(index))
}

proptest! {
    #[test]
    fn no_join_is_wrong_and_no_exchange_is_missing(
        ids in (0_usize..4).prop_map(|ids| [Ids::None, Ids::Few, Ids::Minted, Ids::Traces][ids]), has_begun in any::<bool>(),
        steps in steps(),
    ) {
        let mut gateway = Gateway::new(ids, has_begun);
        for step in steps {
            gateway.step(step);
        }
        gateway.finish();
        let Gateway { seen, truth, all, unseen, late, .. } = gateway;
        let mut told = Vec::new();
        for (downstream, upstreams, candidates) in &seen {
            told.extend(downstream.clone());
            for (upstream, how) in upstreams {
                told.push(upstream.clone());
                let owner = truth.get(upstream);
                let is_unseen = owner.is_some_and(|owner| unseen.contains(owner));
                if how.is_some() {
                    let joined = downstream.as_ref().or(candidates.first());
                    prop_assert_eq!(joined, owner, "{:?}", how);
                } else {
                    // Shortly after the beginning, what is made late is not joined with what has ended.
                    let is_not_among = is_unseen || (has_begun && late.contains(upstream));
                    prop_assert!(is_not_among || owner.is_some_and(|owner| candidates.contains(owner)), "{:?}", candidates);
                }
                // A minted id is in both, so that nothing is left open.
                if matches!(ids, Ids::Minted) && !is_unseen && !(has_begun && late.contains(upstream)) {
                    prop_assert_eq!(*how, Some("request-id"));
                }
            }
        }
        told.sort();
        prop_assert_eq!(told, all.into_iter().collect::<Vec<_>>());
    }
}
