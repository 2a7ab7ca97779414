//! From a `tls.Conn` of Go to the descriptor of its TCP connection, which may be behind wrappers.
//!
//! A wrapper, such as that of a listener that limits connections, is a structure that embeds the interface of the connection
//! below it. Go's own descriptions of types say so, and each step is checked against them: the table of methods of an
//! interface names the interface and the type of its value, and that type lists its fields. Whatever else a connection is
//! made of ends the search.

use tracer_ebpf::{MAX_WRAPPERS, SiteConfig};

use crate::memory::read_user;

/// From a table of methods to its interface, to the type of the value, and to the first method (`ITab` in
/// `src/internal/abi/iface.go`, go1.27.3; `itab` in `src/runtime/runtime2.go`, go1.19).
const INTERFACE: u64 = 0;
const TYPE: u64 = 8;
const METHODS: u64 = 24;
/// In a type: its size, its kind, and behind what all types have, the element of a pointer, the fields of a structure and
/// their number, or the number of methods of an interface (`src/internal/abi/type.go`, go1.27.3; `src/runtime/type.go`,
/// go1.19).
const SIZE: u64 = 0;
const KIND: u64 = 23;
const ELEMENT: u64 = 48;
const FIELDS: u64 = 56;
const FIELD_COUNT: u64 = 64;
const METHOD_COUNT: u64 = 64;
/// The kinds, without the flags beside them.
const KIND_BITS: u8 = 31;
const KIND_INTERFACE: u8 = 20;
const KIND_POINTER: u8 = 22;
const KIND_STRUCTURE: u8 = 25;
/// In a field: its name, which begins with flags, its type and its offset; and the bytes of a field.
const NAME: u64 = 0;
const FIELD_TYPE: u64 = 8;
const OFFSET: u64 = 16;
const FIELD: u64 = 24;
/// Bytes of a word; a structure of one word may stand in an interface instead of its address.
const WORD: u64 = 8;
/// Methods of `net.Conn`; an interface with fewer is no connection.
const CONNECTION_METHODS: u64 = 8;
/// Maximum methods of an embedded interface, and maximum fields of a wrapper.
const MOST_METHODS: u64 = 16;
const MOST_FIELDS: u64 = 32;
/// The answer of a search that has found nothing.
const NONE: u64 = u64::MAX;

/// Reads the descriptor of the TCP connection that an object of Go is on; `None` if it is on something else. `code` is the
/// method that reads from a TCP connection. Inlined, because the verifier limits how deep calls nest.
#[inline(always)]
pub(super) fn descriptor(object: u64, site: &SiteConfig, code: u64) -> Option<i32> {
    let methods: u64 = read_user(object)?;
    let read: u64 = read_user(methods + u64::from(site.net_method))?;
    let mut place = object;
    if code == 0 {
        return None;
    }
    if read != code {
        if site.net_embedded == SiteConfig::UNKNOWN {
            return None;
        }
        place = unwrap(object, code, site.net_embedded.into());
        if place == NONE {
            return None;
        }
    }
    let below: u64 = read_user(place + WORD)?;
    let holder: u64 = read_user(below)?;
    let fd: u64 = read_user(holder + u64::from(site.net_descriptor))?;
    (fd <= i32::MAX as u64).then_some(fd as i32)
}

/// Finds the innermost connection of an interface at an address, and returns where its interface is, if it is a TCP
/// connection; else [`NONE`]. `flag` marks the name of an embedded field.
///
/// A global function, like those below, and so verified once and by itself.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn unwrap(place: u64, code: u64, flag: u64) -> u64 {
    let mut place = place;
    for _ in 0..MAX_WRAPPERS {
        let Some(inner) = embedded_in(place, flag) else {
            return NONE;
        };
        if has_method(inner, code) != 0 {
            return inner;
        }
        place = inner;
    }
    NONE
}

/// Returns where the interface is that the value of an interface embeds.
#[inline(always)]
fn embedded_in(place: u64, flag: u64) -> Option<u64> {
    let methods: u64 = read_user(place)?;
    let mut structure: u64 = read_user(methods + TYPE)?;
    if kind(structure) == KIND_POINTER {
        structure = read_user(structure + ELEMENT)?;
    } else if read_user::<u64>(structure + SIZE)? <= WORD {
        return None;
    }
    let offset = embedded(structure, flag);
    if offset == NONE {
        return None;
    }
    let value: u64 = read_user(place + WORD)?;
    let inner = value.wrapping_add(offset & u64::from(u32::MAX));
    let table: u64 = read_user(inner)?;
    // The table is that of the field's interface: this is a value of the type.
    let interface: u64 = read_user(table + INTERFACE)?;
    (interface == field_type(structure, offset >> 32)?).then_some(inner)
}

#[inline(always)]
fn kind(description: u64) -> u8 {
    read_user::<u8>(description + KIND).unwrap_or(0) & KIND_BITS
}

#[inline(always)]
fn field_type(structure: u64, index: u64) -> Option<u64> {
    let fields: u64 = read_user(structure + FIELDS)?;
    read_user(fields + index * FIELD + FIELD_TYPE)
}

/// Returns the offset of the interface of a connection that a structure embeds, and above it the index of the field; [`NONE`]
/// if it embeds none, or several.
#[inline(always)]
fn embedded(structure: u64, flag: u64) -> u64 {
    let fields = read_user::<u64>(structure + FIELDS).unwrap_or(0);
    let count = read_user::<u64>(structure + FIELD_COUNT).unwrap_or(NONE);
    if kind(structure) != KIND_STRUCTURE || count > MOST_FIELDS {
        return NONE;
    }
    let first = first_embedded(fields, 0, count, flag);
    if first == NONE || first_embedded(fields, (first >> 32) + 1, count, flag) != NONE {
        return NONE;
    }
    first
}

/// Returns the offset of the first field that embeds the interface of a connection, and above it its index, which is not less
/// than `from`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn first_embedded(fields: u64, from: u64, count: u64, flag: u64) -> u64 {
    for step in 0..MOST_FIELDS {
        let index = from + step;
        if index >= count {
            return NONE;
        }
        let offset = embedded_at(fields + index * FIELD, flag);
        if offset != NONE {
            return index << 32 | offset;
        }
    }
    NONE
}

/// Returns the offset of a field if it is an embedded interface with as many methods as a connection; else [`NONE`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn embedded_at(field: u64, flag: u64) -> u64 {
    offset_of(field, flag).unwrap_or(NONE)
}

#[inline(always)]
fn offset_of(field: u64, flag: u64) -> Option<u64> {
    let name: u64 = read_user(field + NAME)?;
    let flags: u8 = read_user(name)?;
    let description: u64 = read_user(field + FIELD_TYPE)?;
    let offset: u64 = read_user(field + OFFSET)?;
    let methods: u64 = read_user(description + METHOD_COUNT)?;
    let is_connection = kind(description) == KIND_INTERFACE && methods >= CONNECTION_METHODS;
    (u64::from(flags) & flag != 0 && is_connection && offset <= u64::from(u16::MAX)).then_some(offset)
}

/// Returns 1 if a method of the value of an interface is at an address.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn has_method(place: u64, code: u64) -> u64 {
    let Some(table) = read_user::<u64>(place) else {
        return 0;
    };
    let Some(interface) = read_user::<u64>(table + INTERFACE) else {
        return 0;
    };
    let Some(count) = read_user::<u64>(interface + METHOD_COUNT) else {
        return 0;
    };
    for index in 0..MOST_METHODS {
        if index >= count {
            return 0;
        }
        match read_user::<u64>(table + METHODS + index * WORD) {
            Some(method) if method == code => return 1,
            Some(_) => {}
            None => return 0,
        }
    }
    0
}
