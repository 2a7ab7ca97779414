//! What is in the programs' tables, and what of it nobody will ask for again.
//!
//! In: which processes ended, and when. Out: tables without what belonged to them, and how full they are. A process that
//! is killed leaves the calls it was in, a thread that is cancelled too; what bears the id of a process that is not traced
//! is left over, because its end was overlooked, and goes once it is found twice. Each table is read once a sweep, however
//! many processes ended: twenty thousand ends do not cost twenty thousand readings.

use std::collections::{BTreeMap, BTreeSet};

use aya::{Ebpf, maps::Map};
use tracer_ebpf::{
    AddressKey, CallState, CiphertextKey, ConnectionState, ProcessState, SocketState, TargetState, ThreadState,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Error, batch::read_all, tables::Tables, value::MapValue};

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
    /// Whether a process still has a thread; asked only if threads ended since the last sweep.
    pub has_thread: Option<&'a dyn Fn(u32, u32) -> bool>,
    /// Processes that are not traced and had entries in the last sweep.
    pub suspects: &'a BTreeSet<u32>,
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
                since_ns: Some(state.generation),
            }
        })?;
        sweep.table(self, Table::Calls, |key: &AddressKey, call: &CallState| Owner {
            tgid: key.tgid,
            tid: Some(call.tid),
            since_ns: Some(call.began_ns),
        })?;
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
        let fill = read(tables.0, table, |key: K, value: V| {
            let owner = owner(&key, &value);
            match self.fate(owner) {
                Fate::Stays => {}
                Fate::Over => over.push((key, owner)),
                Fate::LeftOver => unknown.push((key, owner)),
            }
        })?;
        self.found.fills.push(fill);
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
        let thread_ended = || {
            let ended = |has_thread: &dyn Fn(u32, u32) -> bool| tid.is_some_and(|tid| !has_thread(tgid, tid));
            self.ends.has_thread.is_some_and(ended)
        };
        match self.traced.contains(&tgid) {
            true if is_older || thread_ended() => Fate::Over,
            true => Fate::Stays,
            false if ended_ns.is_some() => Fate::Over,
            false => Fate::LeftOver,
        }
    }

    /// A socket outlives its process, and has something to say when it is destroyed: of sockets whose process is gone the
    /// entries stay, unless they crowd out others.
    fn sockets(&mut self, tables: &mut Tables<'_>) -> Result<(), Error> {
        let mut orphans = Vec::new();
        let owner = |_: &u64, socket: &SocketState| Owner {
            tgid: socket.tgid,
            tid: None,
            since_ns: Some(socket.generation),
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

/// Reads a table, and how full it is.
fn read<K: FromBytes, V: FromBytes>(ebpf: &Ebpf, table: Table, mut each: impl FnMut(K, V)) -> Result<Fill, Error> {
    let mut used = 0;
    let room = read_named(ebpf, table.name(), |key, value| {
        used += 1;
        each(key, value);
    })?;
    Ok(Fill { table, used, room })
}

/// Gives every entry of a table to `each`; returns how many it has room for.
pub(super) fn read_named<K: FromBytes, V: FromBytes>(
    ebpf: &Ebpf,
    name: &'static str,
    each: impl FnMut(K, V),
) -> Result<usize, Error> {
    let Some(Map::HashMap(table)) = ebpf.map(name) else {
        return Err(Error::Missing(name));
    };
    read_all(table, each).map_err(|source| Error::Table { name, source })
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
