//! Removes stale entries from the maps of the programs.
//!
//! The programs remove an entry when its call returns or its connection ends. A process that is killed, or a thread that is
//! cancelled, in the middle of a call leaves entries behind, and only the tracer can remove them. An entry of a process
//! that is not traced means that its exit was missed. It is removed only if two sweeps find it, because the process may be
//! about to be traced.
//!
//! A sweep reads each map once, however many processes exited: a host that starts thousands of short processes must not
//! cost thousands of reads.

mod goroutines;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use aya::Ebpf;
use tracer_ebpf::{
    AddressKey, CallState, CiphertextKey, ConnectionState, ProcessState, SkipState, SocketState, TargetState,
    ThreadState,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use self::table::{Fill, Table};
use super::{Error, batch::read_named, tables::Tables, value::MapValue};
use crate::clock;

/// How long the entry of a connection stays that ended while other threads may use its object: the programs take it for ended
/// for a second.
const AFTER_END_NS: u64 = 2_000_000_000;

/// The exits since the last sweep.
#[derive(Clone, Copy)]
pub struct Ends<'a> {
    /// Processes that exited or called exec, and when.
    pub processes: &'a BTreeMap<u32, u64>,
    /// How to find threads that exited; absent if none did since the last sweep.
    pub threads: Option<Threads>,
    /// Processes that were not traced and had entries in the last sweep.
    pub suspects: &'a BTreeSet<u32>,
}

/// How to find threads that exited.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    /// Returns the threads of a process. The list may be incomplete.
    pub of_process: fn(u32) -> BTreeSet<u32>,
    /// Returns whether a thread of a process has certainly exited.
    pub has_ended: fn(u32, u32) -> bool,
}

/// The result of a sweep.
#[derive(Debug, Default)]
pub struct Swept {
    /// How full the maps were before it.
    pub fills: Vec<Fill>,
    /// Processes that are not traced and have entries.
    pub suspects: BTreeSet<u32>,
    /// Number of entries removed of processes whose exit was missed.
    pub left_over: u64,
    /// Number of calls removed that goroutines have left without returning.
    pub abandoned: u64,
}

/// The owner of an entry, and the age of the entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Owner {
    tgid: u32,
    /// The thread whose next probe hit would remove the entry, if only one thread can.
    tid: Option<u32>,
    /// When the entry was created. 0 if the entry has no time: then it counts as older than any exit, and a live process
    /// creates it again in its next call. Absent if the programs remove the entry themselves at exec.
    since_ns: Option<u64>,
    /// Whether it is of a connection that ended then, and that other threads may have used.
    has_ended: bool,
}

/// Whether an entry is stale.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// Its process is traced, and has been since before the entry.
    Live,
    /// As [`Self::Live`], unless this thread has exited.
    LiveWith(u32),
    /// Its process has exited or called exec.
    Stale,
    /// Its process is not traced, and no exit was reported.
    Suspect,
}

impl Tables<'_> {
    /// Removes the entries of processes and threads that exited.
    pub(super) fn sweep(&mut self, ends: Ends<'_>) -> Result<Swept, Error> {
        let mut sweep = Sweep::begin(self.0, ends)?;
        sweep.table(self, Table::Connections, |key: &AddressKey, state: &ConnectionState| {
            Owner {
                tgid: key.tgid,
                tid: None,
                since_ns: Some(state.flow.generation),
                has_ended: state.flow.ended != 0,
            }
        })?;
        sweep.table(self, Table::Skips, owner_of_skip)?;
        if sweep.is_half_full(Table::Skips) {
            self.drop_ended_skips()?;
        }
        sweep.table(self, Table::Calls, owner_of_call)?;
        if sweep.is_half_full(Table::Calls) {
            sweep.found.abandoned = self.drop_left_calls(sweep.now_ns)?;
        }
        sweep.table(self, Table::Ciphertexts, |key: &CiphertextKey, _: &u64| Owner {
            tgid: key.tgid,
            tid: None,
            since_ns: Some(0),
            has_ended: false,
        })?;
        sweep.table(self, Table::Threads, |tid: &u32, thread: &ThreadState| Owner {
            tgid: thread.tgid,
            tid: Some(*tid),
            since_ns: None,
            has_ended: false,
        })?;
        sweep.sockets(self)?;
        Ok(sweep.found)
    }

    /// Removes what was announced of connections that had ended by then, or have since.
    fn drop_ended_skips(&mut self) -> Result<(), Error> {
        let mut skips = Vec::new();
        read(self.0, Table::Skips, |key: AddressKey, skip: SkipState| {
            skips.push((key, owner_of_skip(&key, &skip)));
        })?;
        let connections = self.hash::<MapValue<AddressKey>, MapValue<ConnectionState>>("CONNECTIONS")?;
        skips.retain(|(key, owner)| {
            let connection = connections.get(&MapValue(*key), 0);
            connection.map_or(true, |connection| owner.since_ns != Some(connection.0.flow.generation))
        });
        remove(self, Table::Skips, &skips, owner_of_skip)?;
        Ok(())
    }

    /// Removes calls that never returned. Of a thread: those that are older than the last reported call of the same connection
    /// and direction, since `longjmp` or an exception left them, or they contain the reported call and have nothing more to
    /// report. Returns how many calls of goroutines were removed.
    fn drop_left_calls(&mut self, now_ns: u64) -> Result<u64, Error> {
        let mut calls = Vec::new();
        read(self.0, Table::Calls, |key: AddressKey, call: CallState| {
            calls.push((key, call));
        })?;
        let connections = self.hash::<MapValue<AddressKey>, MapValue<ConnectionState>>("CONNECTIONS")?;
        let connection_of = |key| connections.get(&MapValue(key), 0).ok();
        let left = goroutines::left(&calls, |object| connection_of(object).is_some(), now_ns);
        calls.retain(|(key, call)| {
            let connection = connection_of(AddressKey::new(call.transfer.object, key.tgid));
            !key.is_of_goroutine() && connection.is_some_and(|connection| is_superseded(call, &connection.0))
        });
        let owned = |calls: &[(AddressKey, CallState)]| -> Vec<_> {
            let calls = calls.iter();
            calls.map(|(key, call)| (*key, owner_of_call(key, call))).collect()
        };
        remove(self, Table::Calls, &owned(&calls), owner_of_call)?;
        remove(self, Table::Calls, &owned(&left), owner_of_call)
    }
}

const fn owner_of_skip(key: &AddressKey, skip: &SkipState) -> Owner {
    Owner {
        tgid: key.tgid,
        tid: None,
        since_ns: Some(skip.generation),
        has_ended: false,
    }
}

fn owner_of_call(key: &AddressKey, call: &CallState) -> Owner {
    Owner {
        tgid: key.tgid,
        // A goroutine outlives the thread that it was on.
        tid: (!key.is_of_goroutine()).then_some(call.tid),
        since_ns: Some(call.transfer.began_ns),
        has_ended: false,
    }
}

/// Returns whether another call of the same connection and direction was reported after a call began.
fn is_superseded(call: &CallState, connection: &ConnectionState) -> bool {
    connection.flow.reported_ns(call.transfer.direction) > call.transfer.began_ns
}

/// The state of a sweep.
struct Sweep<'a> {
    ends: Ends<'a>,
    /// When it began, `CLOCK_MONOTONIC` nanoseconds.
    now_ns: u64,
    /// Traced processes.
    traced: BTreeSet<u32>,
    /// When processes called exec.
    began: BTreeMap<u32, u64>,
    found: Swept,
}

impl<'a> Sweep<'a> {
    fn begin(ebpf: &Ebpf, ends: Ends<'a>) -> Result<Self, Error> {
        let mut traced = BTreeSet::new();
        let used = read(ebpf, Table::Targets, |tgid: u32, _: TargetState| {
            traced.insert(tgid);
        })?;
        let mut began = BTreeMap::new();
        read_named(ebpf, "PROCESSES", |tgid: u32, process: ProcessState| {
            began.insert(tgid, process.since_ns);
        })?;
        Ok(Self {
            ends,
            now_ns: clock::now_ns(),
            traced,
            began,
            found: Swept {
                fills: vec![used],
                ..Swept::default()
            },
        })
    }

    /// Removes the stale entries of a map, and those of suspects of the last sweep.
    fn table<K, V>(&mut self, tables: &mut Tables<'_>, table: Table, owner: fn(&K, &V) -> Owner) -> Result<(), Error>
    where
        K: Copy + FromBytes + Immutable + IntoBytes + KnownLayout + 'static,
        V: Copy + FromBytes + Immutable + IntoBytes + KnownLayout + 'static,
    {
        let mut stale = Vec::new();
        let mut suspect = Vec::new();
        let mut of_threads = Vec::new();
        let fill = read(tables.0, table, |key: K, value: V| {
            let owner = owner(&key, &value);
            match self.fate(owner) {
                Fate::Live => {}
                Fate::LiveWith(tid) => of_threads.push((key, owner, tid)),
                Fate::Stale => stale.push((key, owner)),
                Fate::Suspect => suspect.push((key, owner)),
            }
        })?;
        self.found.fills.push(fill);
        stale.extend(self.without_thread(of_threads));
        // A process that was forked since the sweep began is traced by now.
        let now_traced = if suspect.is_empty() {
            BTreeSet::new()
        } else {
            tables.traced()?
        };
        suspect.retain(|(_, owner)| !now_traced.contains(&owner.tgid));
        let (left_over, new): (Vec<_>, Vec<_>) = suspect
            .into_iter()
            .partition(|(_, owner)| self.ends.suspects.contains(&owner.tgid));
        self.found.suspects.extend(new.into_iter().map(|(_, owner)| owner.tgid));
        remove(tables, table, &stale, owner)?;
        self.found.left_over += remove(tables, table, &left_over, owner)?;
        Ok(())
    }

    fn fate(&self, owner: Owner) -> Fate {
        let Owner {
            tgid,
            tid,
            since_ns,
            has_ended,
        } = owner;
        let ended_ns = self.ends.processes.get(&tgid);
        let began_ns = self.began.get(&tgid).copied().unwrap_or(0);
        let is_older = since_ns.is_some_and(|since_ns| {
            ended_ns.is_some_and(|ended_ns| since_ns < *ended_ns) || (since_ns != 0 && since_ns < began_ns)
        });
        let is_over = has_ended && since_ns.is_some_and(|ended_ns| self.now_ns.saturating_sub(ended_ns) > AFTER_END_NS);
        match self.traced.contains(&tgid) {
            true if is_older || is_over => Fate::Stale,
            true => match tid.filter(|_| self.ends.threads.is_some()) {
                Some(tid) => Fate::LiveWith(tid),
                None => Fate::Live,
            },
            false if ended_ns.is_some() => Fate::Stale,
            false => Fate::Suspect,
        }
    }

    fn is_half_full(&self, table: Table) -> bool {
        let mut fills = self.found.fills.iter();
        fills.any(|fill| fill.table == table && fill.used > fill.room / 2)
    }

    /// Returns the entries whose thread has exited. The threads of a process are listed once, and after its entries were
    /// read, so that the list has every thread that created one of them and still runs.
    fn without_thread<K>(&self, entries: Vec<(K, Owner, u32)>) -> Vec<(K, Owner)> {
        let Some(Threads { of_process, has_ended }) = self.ends.threads else {
            return Vec::new();
        };
        let mut listed = BTreeMap::new();
        let ended = entries.into_iter().filter(|(_, owner, tid)| {
            let listed = listed.entry(owner.tgid).or_insert_with(|| of_process(owner.tgid));
            !listed.contains(tid) && has_ended(owner.tgid, *tid)
        });
        ended.map(|(key, owner, _)| (key, owner)).collect()
    }

    /// Removes sockets whose process has exited, if the map is three quarters full. Otherwise they stay: a socket outlives
    /// its process, and is reported when it is destroyed.
    fn sockets(&mut self, tables: &mut Tables<'_>) -> Result<(), Error> {
        let mut orphans = Vec::new();
        let owner = |_: &u64, socket: &SocketState| Owner {
            tgid: socket.tgid,
            tid: None,
            since_ns: Some(socket.generation),
            has_ended: false,
        };
        let fill = read(tables.0, Table::Sockets, |sock: u64, socket: SocketState| {
            if !self.traced.contains(&socket.tgid) {
                orphans.push((sock, owner(&sock, &socket)));
            }
        })?;
        self.found.fills.push(fill);
        if fill.used > fill.room / 4 * 3 {
            remove(tables, Table::Sockets, &orphans, owner)?;
        }
        Ok(())
    }
}

/// Passes every entry of a map to `each`. Returns how full the map is.
fn read<K: FromBytes, V: FromBytes>(ebpf: &Ebpf, table: Table, mut each: impl FnMut(K, V)) -> Result<Fill, Error> {
    let mut used = 0;
    let room = read_named(ebpf, table.name(), |key, value| {
        used += 1;
        each(key, value);
    })?;
    Ok(Fill { table, used, room })
}

/// Removes entries that have not changed since they were read. Returns how many were removed.
fn remove<K, V>(
    tables: &mut Tables<'_>,
    table: Table,
    entries: &[(K, Owner)],
    owner: impl Fn(&K, &V) -> Owner,
) -> Result<u64, Error>
where
    K: Copy + Immutable + IntoBytes + KnownLayout + 'static,
    V: Copy + Immutable + IntoBytes + KnownLayout + 'static,
{
    if entries.is_empty() {
        return Ok(0);
    }
    let mut hash = tables.hash::<MapValue<K>, MapValue<V>>(table.name())?;
    let mut removed = 0;
    for (key, found) in entries {
        let key = MapValue(*key);
        // A program may have replaced the entry since: a stack address, for example, is the key of a newer call.
        let is_same = hash.get(&key, 0).is_ok_and(|value| owner(&key.0, &value.0) == *found);
        if is_same && hash.remove(&key).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::{Cookie, Direction, Role, Transfer};
    use zerocopy::FromZeros as _;

    use super::*;

    #[test]
    fn a_call_is_superseded_only_by_a_later_report_of_its_own_direction() {
        let call = CallState {
            transfer: Transfer {
                began_ns: 10,
                cookie: Cookie::new(0, Role::Read),
                direction: Direction::READ,
                ..Transfer::NEW
            },
            ..CallState::new_zeroed()
        };
        let reported = |reported_ns| {
            let mut connection = ConnectionState::NEW;
            connection.flow.reported_ns = reported_ns;
            is_superseded(&call, &connection)
        };
        assert!(reported([11, 0]));
        assert!(!reported([10, 99]) && !reported([0, 11]));
    }
}
