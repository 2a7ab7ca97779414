//! Where the pointers lead that a connection keeps to functions: by the tables that the library's methods return.
//!
//! Several tables have the same function at a place, or several. `SSL_get_ssl_method` says where a connection keeps its
//! table; `SSL_set_accept_state` and `SSL_set_connect_state` say from where in the table the function comes that agrees
//! on keys.

use super::functions::{METHOD, SETS_HANDSHAKE};
use super::tap::linkage::Linkage;
use super::tap::methods::Methods as Tables;
use crate::cause::Cause;
use crate::code::accessor;
use crate::code::exits::Pointer;
use crate::elf::address::Vaddr;
use crate::elf::image::Image;
use crate::elf::survey::Survey;
use crate::libraries::exit::Bodies;
use crate::libraries::hooks::code_of;

/// The tables of one image.
#[derive(Debug)]
pub(super) struct Methods<'image> {
    image: &'image Image<'image>,
    tables: Result<Tables, Cause>,
    /// Where a connection keeps its table.
    method: Option<u16>,
    /// Where a connection keeps a function, and from where in the table it is taken.
    copied: Vec<(u16, u16)>,
}

impl<'image> Methods<'image> {
    pub(super) fn new(image: &'image Image<'image>, survey: &Survey) -> Self {
        let mut methods = Self {
            image,
            tables: Tables::find(&Linkage::new(image, survey), survey),
            method: method_offset(image, survey),
            copied: Vec::new(),
        };
        let setters = SETS_HANDSHAKE.iter().filter_map(|name| survey.function(name));
        let bodies = Bodies::new(image, &|_| Vec::new());
        let copied = setters
            .flat_map(|setter| methods.copied_by(&bodies, setter.address))
            .collect();
        methods.copied = copied;
        methods
    }

    /// Returns where a pointer may lead that a function has loaded.
    pub(super) fn targets(&self, pointer: Pointer) -> Vec<Vaddr> {
        let field = match pointer {
            // What shares the layout of a connection is one: since OpenSSL 3.2 a connection may have another in it.
            Pointer::Behind(kept) => return self.copied_to(kept),
            Pointer::Field(field) => field,
        };
        let is_method = |offset| Some(offset) == self.method;
        match (field.one(), field.two()) {
            (_, Some(([method, place], 8))) if is_method(method) => self.at(place),
            (Some((kept, 8)), _) => self.copied_to(kept),
            _ => Vec::new(),
        }
    }

    /// The functions that a connection may keep, of those that are taken from its table.
    fn copied_to(&self, kept: u16) -> Vec<Vaddr> {
        let places = self.copied.iter().filter(|(field, _)| *field == kept);
        let mut targets: Vec<_> = places.flat_map(|(_, place)| self.at(*place)).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// The functions at a place of all tables; none if a table has no function there.
    fn at(&self, place: u16) -> Vec<Vaddr> {
        self.tables
            .as_ref()
            .map_or_else(|_| Vec::new(), |tables| tables.functions(self.image, place))
    }

    /// The fields of a connection that a function fills from its table.
    fn copied_by(&self, bodies: &Bodies<'_, '_>, function: Vaddr) -> Vec<(u16, u16)> {
        let body = bodies.body(function);
        let stored = body.map_or_else(|_| Vec::new(), |body| body.stored());
        let copied = stored.into_iter().filter_map(|(kept, from)| match from.two()? {
            ([method, place], 8) if Some(method) == self.method => Some((kept, place)),
            _ => None,
        });
        copied.collect()
    }
}

fn method_offset(image: &Image<'_>, survey: &Survey) -> Option<u16> {
    let function = survey.function(METHOD).filter(|function| function.size != 0)?;
    accessor::pointer_of_ssl(image.machine(), code_of(image, &function)?.bytes)
}
