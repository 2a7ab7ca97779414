//! The functions that return a table of the image: the methods of TLS, and the method of socket BIOs.
//!
//! They are as short as functions can be, so that their code shows which table each returns, and the table what it is.

use crate::elf::address::{Access, Vaddr};
use crate::elf::image::Image;
use crate::libraries::openssl::functions::{METHODS, SOCKET_METHOD};
use crate::libraries::openssl::socket_method::{is_named_socket, returned_address};

/// What a table of methods begins with that serves all versions of TLS, and one of TLS 1.2 alone (`include/openssl/tls1.h`,
/// `TLS_ANY_VERSION` in `ssl/ssl_local.h`).
const VERSIONS: [u32; 2] = [0x1_0000, 0x0303];
/// How many tables there are of each: for servers, for clients, and for both.
const SIDES: usize = 3;

/// What a method of socket BIOs begins with (`BIO_TYPE_SOCKET` in `include/openssl/bio.h`).
const SOCKET: u32 = 0x0505;

/// The longest of these functions, in bytes.
const FUNCTION: usize = 32;

/// The functions that return tables.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Each with the name that it has or that one which does the same has.
    pub(super) functions: Vec<(&'static str, Vaddr)>,
    /// The method of socket BIOs.
    pub(super) socket: Option<Vaddr>,
}

/// Finds them in an image whose tables of TLS have functions at some places.
pub(super) fn find(image: &Image<'_>, slots: [u16; 2]) -> Tables {
    let mut of_version = [const { Vec::new() }; VERSIONS.len()];
    let mut sockets = Vec::new();
    for function in image.frames().starts() {
        let Some((table, kind)) = returned(image, function) else {
            continue;
        };
        let version = VERSIONS.iter().position(|version| *version == kind);
        let functions = version.and_then(|version| of_version.get_mut(version));
        if let Some(functions) = functions.filter(|_| has_functions(image, table, slots)) {
            functions.push(function);
        } else if kind == SOCKET && is_named_socket(image, table) {
            sockets.push((function, table));
        }
    }
    // Which of the three is which does not matter to whoever asks for the tables.
    let names = METHODS.chunks(SIDES).zip(of_version);
    let few = names.filter(|(names, functions)| functions.len() <= names.len());
    let mut found: Vec<_> = few
        .flat_map(|(names, functions)| names.iter().copied().zip(functions))
        .collect();
    let mut socket = None;
    if let [(function, table)] = sockets[..] {
        found.push((SOCKET_METHOD, function));
        socket = Some(table);
    }
    Tables {
        functions: found,
        socket,
    }
}

/// Returns the table of data that a function returns, and the number that it begins with.
fn returned(image: &Image<'_>, function: Vaddr) -> Option<(Vaddr, u32)> {
    let code = image.bytes_from(function)?;
    let code = code.get(..FUNCTION).unwrap_or(code);
    let table = Vaddr(returned_address(image.machine(), code, function)?);
    let segment = image.segments().containing(table)?;
    let kind = u32::from_le_bytes(*image.bytes_from(table)?.first_chunk()?);
    (segment.access == Access::Data).then_some((table, kind))
}

/// Returns whether a table has functions at some places.
fn has_functions(image: &Image<'_>, table: Vaddr, slots: [u16; 2]) -> bool {
    let frames = image.frames();
    let is_function = |slot: u16| {
        let function = table.checked_add(slot.into()).and_then(|place| image.pointer_at(place));
        function.is_some_and(|function| frames.begins(function))
    };
    slots.into_iter().all(is_function)
}
