//! What is in the programs' tables, and what of it nobody will ask for again.
//!
//! In: which processes ended, and when. Out: tables without what belonged to them, and how full they are. A process that
//! is killed leaves the calls it was in, a thread that is cancelled too; what bears the id of a process that is not traced
//! is left over, because its end was overlooked, and goes once it is found twice. Each table is read once a sweep, however
//! many processes ended: twenty thousand ends do not cost twenty thousand readings.

use std::collections::{BTreeMap, BTreeSet};

use aya::Ebpf;
use tracer_ebpf::{
    AddressKey, CallState, CiphertextKey, ConnectionState, ProcessState, SocketState, TargetState, ThreadState,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Error, batch::read_named, tables::Tables, value::MapValue};

/// A table that can fill.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Table {
    /// The traced processes.
    Targets,
    /// Calls in flight.
    Calls,
    /// Connections.
    Connections,
    /// Threads in a call, of processes whose ciphertext is looked for.
    Threads,
    /// Pieces of ciphertext that are looked for.
    Ciphertexts,
    /// Sockets of connections.
    Sockets,
}

impl Table {
    const fn name(self) -> &'static str {
        match self {
            Self::Targets => "TARGETS",
            Self::Calls => "CALLS",
            Self::Connections => "CONNECTIONS",
            Self::Threads => "THREADS",
            Self::Ciphertexts => "CIPHERTEXTS",
            Self::Sockets => "SOCKETS",
        }
    }

    /// What it holds, in one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Targets => "processes",
            Self::Calls => "calls",
            Self::Connections => "connections",
            Self::Threads => "threads",
            Self::Ciphertexts => "ciphertexts",
            Self::Sockets => "sockets",
        }
    }

    /// What it holds, and what happens when it takes no more.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Targets => ("processes", "processes are not traced"),
            Self::Calls => ("calls in flight", "calls are not captured"),
            Self::Connections => ("connections", "calls are not captured (--max-connections)"),
            Self::Threads => (
                "threads in a call",
                "connections whose BIO is not a socket's own have no address",
            ),
            Self::Ciphertexts => (
                "pieces of ciphertext",
                "connections whose BIO is not a socket's own have no address",
            ),
            Self::Sockets => ("sockets", "the ends of sockets are not noticed"),
        }
    }
}

/// How full a table is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fill {
    /// Which.
    pub table: Table,
    /// Entries.
    pub used: usize,
    /// Entries it has room for.
    pub room: usize,
}

/// What is known of processes before a sweep.
#[derive(Clone, Copy)]
pub struct Ends<'a> {
    /// Processes that ended, or began another program, and when.
    pub processes: &'a BTreeMap<u32, u64>,
    /// How to find threads that ended; absent if none did since the last sweep.
    pub threads: Option<Threads>,
    /// Processes that are not traced and had entries in the last sweep.
    pub suspects: &'a BTreeSet<u32>,
}

/// How to find threads that ended.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    /// Lists those a process has; it may lack some.
    pub of_process: fn(u32) -> BTreeSet<u32>,
    /// Returns whether one of a process has ended, if that is certain.
    pub has_ended: fn(u32, u32) -> bool,
}

/// What a sweep found.
#[derive(Debug, Default)]
pub struct Swept {
    /// How full the tables were before it.
    pub fills: Vec<Fill>,
    /// Processes that are not traced and have entries.
    pub suspects: BTreeSet<u32>,
    /// Entries removed of processes whose end was overlooked.
    pub left_over: u64,
}

/// Whose an entry is, and since when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Owner {
    tgid: u32,
    /// The thread that alone removes it.
    tid: Option<u32>,
    /// 0 where it bears no time: of a process that lives it is there again with its next call. Absent where the programs
    /// remove it themselves when another program begins.
    since_ns: Option<u64>,
}

/// What is to become of an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Stays,
    /// Unless its thread has ended.
    StaysWith(u32),
    Over,
    LeftOver,
}

impl Tables<'_> {
    /// Removes what belonged to processes and threads that ended.
    pub(super) fn sweep(&mut self, ends: Ends<'_>) -> Result<Swept, Error> {
        let mut sweep = Sweep::begin(self.0, ends)?;
        sweep.table(self, Table::Connections, |key: &AddressKey, state: &ConnectionState| {
            Owner {
                tgid: key.tgid,
                tid: None,
                since_ns: Some(state.flow.generation),
            }
        })?;
        sweep.table(self, Table::Calls, owner_of_call)?;
        if sweep.is_half_full(Table::Calls) {
            self.drop_superseded()?;
        }
        sweep.table(self, Table::Ciphertexts, |key: &CiphertextKey, _: &u64| Owner {
            tgid: key.tgid,
            tid: None,
            since_ns: Some(0),
        })?;
        sweep.table(self, Table::Threads, |tid: &u32, thread: &ThreadState| Owner {
            tgid: thread.tgid,
            tid: Some(*tid),
            since_ns: None,
        })?;
        sweep.sockets(self)?;
        Ok(sweep.found)
    }

    /// Removes calls since which another one of the same connection and direction was reported: a jump or an exception left
    /// them in a process that goes on, or they contain the other one, and what they return has been reported.
    fn drop_superseded(&mut self) -> Result<(), Error> {
        let mut calls = Vec::new();
        read(self.0, Table::Calls, |key: AddressKey, call: CallState| {
            calls.push((key, call));
        })?;
        let connections = self.hash::<MapValue<AddressKey>, MapValue<ConnectionState>>("CONNECTIONS")?;
        calls.retain(|(key, call)| {
            let connection = connections.get(&MapValue(AddressKey::new(call.transfer.object, key.tgid)), 0);
            connection.is_ok_and(|connection| is_superseded(call, &connection.0))
        });
        let calls: Vec<_> = calls
            .iter()
            .map(|(key, call)| (*key, owner_of_call(key, call)))
            .collect();
        remove(self, Table::Calls, &calls, owner_of_call)?;
        Ok(())
    }
}

const fn owner_of_call(key: &AddressKey, call: &CallState) -> Owner {
    Owner {
        tgid: key.tgid,
        tid: Some(call.tid),
        since_ns: Some(call.transfer.began_ns),
    }
}

/// Returns whether the programs reported another call of the same connection and direction since a call began.
fn is_superseded(call: &CallState, connection: &ConnectionState) -> bool {
    connection.flow.reported_ns(call.transfer.direction) > call.transfer.began_ns
}

/// A sweep under way.
struct Sweep<'a> {
    ends: Ends<'a>,
    /// The traced processes.
    traced: BTreeSet<u32>,
    /// When the programs of processes began.
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
            traced,
            began,
            found: Swept {
                fills: vec![used],
                ..Swept::default()
            },
        })
    }

    /// Removes what is over in a table, and what is left over.
    fn table<K, V>(&mut self, tables: &mut Tables<'_>, table: Table, owner: fn(&K, &V) -> Owner) -> Result<(), Error>
    where
        K: Copy + FromBytes + Immutable + IntoBytes + KnownLayout + 'static,
        V: Copy + FromBytes + Immutable + IntoBytes + KnownLayout + 'static,
    {
        let mut over = Vec::new();
        let mut unknown = Vec::new();
        let mut of_threads = Vec::new();
        let fill = read(tables.0, table, |key: K, value: V| {
            let owner = owner(&key, &value);
            match self.fate(owner) {
                Fate::Stays => {}
                Fate::StaysWith(tid) => of_threads.push((key, owner, tid)),
                Fate::Over => over.push((key, owner)),
                Fate::LeftOver => unknown.push((key, owner)),
            }
        })?;
        self.found.fills.push(fill);
        over.extend(self.without_thread(of_threads));
        // One that was forked meanwhile is traced by now.
        let now_traced = if unknown.is_empty() {
            BTreeSet::new()
        } else {
            tables.traced()?
        };
        unknown.retain(|(_, owner)| !now_traced.contains(&owner.tgid));
        let (left_over, new): (Vec<_>, Vec<_>) = unknown
            .into_iter()
            .partition(|(_, owner)| self.ends.suspects.contains(&owner.tgid));
        self.found.suspects.extend(new.into_iter().map(|(_, owner)| owner.tgid));
        remove(tables, table, &over, owner)?;
        self.found.left_over += remove(tables, table, &left_over, owner)?;
        Ok(())
    }

    fn fate(&self, owner: Owner) -> Fate {
        let Owner { tgid, tid, since_ns } = owner;
        let ended_ns = self.ends.processes.get(&tgid);
        let began_ns = self.began.get(&tgid).copied().unwrap_or(0);
        let is_older = since_ns.is_some_and(|since_ns| {
            ended_ns.is_some_and(|ended_ns| since_ns < *ended_ns) || (since_ns != 0 && since_ns < began_ns)
        });
        match self.traced.contains(&tgid) {
            true if is_older => Fate::Over,
            true => match tid.filter(|_| self.ends.threads.is_some()) {
                Some(tid) => Fate::StaysWith(tid),
                None => Fate::Stays,
            },
            false if ended_ns.is_some() => Fate::Over,
            false => Fate::LeftOver,
        }
    }

    fn is_half_full(&self, table: Table) -> bool {
        let mut fills = self.found.fills.iter();
        fills.any(|fill| fill.table == table && fill.used > fill.room / 2)
    }

    /// Which entries no thread will remove. The threads of each process are listed once, and after its entries were read:
    /// one that began meanwhile is among them.
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

    /// A socket outlives its process, and has something to say when it is destroyed: of sockets whose process is gone the
    /// entries stay, unless they crowd out others.
    fn sockets(&mut self, tables: &mut Tables<'_>) -> Result<(), Error> {
        let mut orphans = Vec::new();
        let owner = |_: &u64, socket: &SocketState| Owner {
            tgid: socket.flow.tgid,
            tid: None,
            since_ns: Some(socket.flow.generation),
        };
        let fill = read(tables.0, Table::Sockets, |sock: u64, socket: SocketState| {
            if !self.traced.contains(&socket.flow.tgid) {
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

/// Reads a table, and how full it is.
fn read<K: FromBytes, V: FromBytes>(ebpf: &Ebpf, table: Table, mut each: impl FnMut(K, V)) -> Result<Fill, Error> {
    let mut used = 0;
    let room = read_named(ebpf, table.name(), |key, value| {
        used += 1;
        each(key, value);
    })?;
    Ok(Fill { table, used, room })
}

/// Removes entries that are still the same; returns how many there were.
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
        // A program may have been quicker, and the place be another's by now.
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
    fn a_call_is_superseded_by_a_later_report_of_its_own_direction_alone() {
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
