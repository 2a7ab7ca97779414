//! The tables of functions of NSS's connections, `ssl_secure_ops` and `ssl_default_ops` (`lib/ssl/sslsock.c` of 3.12 to 3.110).

use std::collections::BTreeMap;

use crate::code::bytes::Code;
use crate::code::calls::calls_of;
use crate::code::{Destination, Field, Value};
use crate::elf::address::{Access, Vaddr};
use crate::elf::image::Image;
use crate::limits;

/// The slots of a table, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// Has no function in either table.
    Accept = 1,
    Bind = 2,
    Listen = 3,
    Close = 5,
    Receive = 6,
    Send = 7,
    Read = 8,
    Write = 9,
    PeerName = 10,
    OwnName = 11,
}

/// How many slots a table has.
const SLOTS: usize = 12;

/// What is the same in both tables.
const SHARED: [Slot; 4] = [Slot::Bind, Slot::Listen, Slot::PeerName, Slot::OwnName];

/// What is not.
const OWN: [Slot; 5] = [Slot::Close, Slot::Receive, Slot::Send, Slot::Read, Slot::Write];

/// The functions of connections with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Secure {
    pub(super) receive: Vaddr,
    pub(super) send: Vaddr,
    pub(super) close: Vaddr,
}

/// The functions in a table's slots.
type Table = [Option<Vaddr>; SLOTS];

/// Finds the table of connections with TLS; `None` if there is not exactly one.
pub(super) fn secure(image: &Image<'_>) -> Option<Secure> {
    let tables = tables(image)?;
    let mut proven = tables
        .iter()
        .filter(|table| is_twin_there(table, &tables) && is_secure(image, table));
    let (table, None) = (proven.next()?, proven.next()) else {
        return None;
    };
    Some(Secure {
        receive: at(table, Slot::Receive)?,
        send: at(table, Slot::Send)?,
        close: at(table, Slot::Close)?,
    })
}

fn at(table: &Table, slot: Slot) -> Option<Vaddr> {
    *table.get(slot as usize)?
}

/// Lists what has the form of a table: twelve words that hold addresses of functions, but for the second one. `None` if there
/// are more than the limit.
fn tables(image: &Image<'_>) -> Option<Vec<Table>> {
    let frames = image.frames();
    let pointers: BTreeMap<Vaddr, Vaddr> = image
        .code_pointers()
        .into_iter()
        .filter(|(_, to)| frames.begins(*to))
        .collect();
    let table = |place: Vaddr| -> Option<Table> {
        let mut table = [None; SLOTS];
        for (slot, word) in (0..).zip(&mut table) {
            *word = pointers.get(&place.checked_add(slot * WORD)?).copied();
        }
        let is_full = (0..)
            .zip(&table)
            .all(|(slot, word)| word.is_some() == (slot != Slot::Accept as usize));
        is_full.then_some(table)
    };
    let mut found = pointers.keys().filter_map(|place| table(*place));
    let tables: Vec<Table> = found.by_ref().take(limits::NSS_TABLES).collect();
    found.next().is_none().then_some(tables)
}

/// Bytes of a pointer.
const WORD: u64 = 8;

/// Returns whether there is the table of connections without TLS too.
fn is_twin_there(table: &Table, tables: &[Table]) -> bool {
    let is_twin = |other: &&Table| {
        let is_same = |slot: &Slot| at(table, *slot) == at(other, *slot);
        SHARED.iter().all(is_same) && !OWN.iter().any(is_same)
    };
    tables.iter().filter(is_twin).count() == 1
}

/// Returns whether the functions that read and write only call those that receive and send, with their own arguments and
/// without flags. Those of connections without TLS call what is below.
fn is_secure(image: &Image<'_>, table: &Table) -> bool {
    let leads = |from, to| hands_on(image, at(table, from), at(table, to)).is_some();
    leads(Slot::Read, Slot::Receive) && leads(Slot::Write, Slot::Send)
}

fn hands_on(image: &Image<'_>, from: Option<Vaddr>, to: Option<Vaddr>) -> Option<()> {
    let (begin, end) = image.frames().around(from?)?;
    let segment = image.segments().containing(begin)?;
    let size = usize::try_from(end.0.checked_sub(begin.0)?).ok()?;
    let bytes = image.bytes_from(begin)?;
    let code = Code {
        machine: image.machine(),
        bytes: bytes.get(..size.min(bytes.len()))?,
        address: begin,
    };
    let calls = calls_of(code).filter(|calls| segment.access == Access::Code && !calls.has_indirect)?;
    let [call] = calls.direct.as_slice() else {
        return None;
    };
    let [connection, buffer, length, flags, ..] = call.arguments;
    let own = [connection, buffer, length].map(|value| value.field().and_then(Field::as_argument));
    let is_plain = own == [Some(0), Some(1), Some(2)] && flags == Value::Constant(0);
    (is_plain && call.target == Destination::Code(to?)).then_some(())
}
