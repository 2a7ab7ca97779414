//! The tables of methods that a TLS connection may have: what a call through one of them leads to.
//!
//! The functions that an application takes its method from return a table each; what matters of them is the same in
//! all. Which slot a call takes is read from its code, so no layout is assumed.

use super::linkage::Linkage;
use crate::cause::Cause;
use crate::code::fixpoint::returned::{Returned, returned};
use crate::elf::address::{Access, Vaddr};
use crate::elf::image::Image;
use crate::elf::survey::Survey;
use crate::libraries::openssl::functions::METHODS;

/// Holds where the tables lie.
#[derive(Debug)]
pub(crate) struct Methods(Vec<Vaddr>);

impl Methods {
    /// No tables: what a call through one of them leads to is not known.
    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    /// Finds the tables that the image's functions return.
    pub(crate) fn find(linkage: &Linkage<'_, '_>, survey: &Survey) -> Result<Self, Cause> {
        let functions = METHODS.into_iter().filter_map(|name| survey.function(name));
        let tables: Vec<_> = functions
            .filter_map(|function| table(linkage, function.address))
            .collect();
        if tables.is_empty() {
            return Err(Cause::Methods);
        }
        Ok(Self(tables))
    }

    /// Returns the function in a slot, which is the same in all tables.
    pub(crate) fn function(&self, image: &Image<'_>, slot: u16) -> Result<Vaddr, Cause> {
        let pointer = |table: &Vaddr| image.pointer_at(table.checked_add(slot.into())?);
        let mut functions = self.0.iter().map(pointer);
        let first = functions.next().flatten().ok_or(Cause::Methods)?;
        functions
            .all(|other| other == Some(first))
            .then_some(first)
            .ok_or(Cause::Methods)
    }
}

impl Methods {
    /// Returns the functions in a slot of all tables, each once; none if a table has none there.
    pub(crate) fn functions(&self, image: &Image<'_>, slot: u16) -> Vec<Vaddr> {
        let function = |table: &Vaddr| {
            let function = image.pointer_at(table.checked_add(slot.into())?)?;
            let segment = image.segments().containing(function)?;
            (segment.access == Access::Code).then_some(function)
        };
        let found: Option<Vec<Vaddr>> = self.0.iter().map(function).collect();
        let mut found = found.unwrap_or_default();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Returns the table that a function returns, which may leave that to another.
fn table(linkage: &Linkage<'_, '_>, function: Vaddr) -> Option<Vaddr> {
    let returned = |at| linkage.analyse(at, |code| returned(code, at)).ok();
    let own = returned(function)?;
    let table = match own {
        Returned::Of(other) => returned(other)?,
        Returned::Number(_) | Returned::Other => own,
    };
    match table {
        Returned::Number(address) => Some(Vaddr(address)),
        Returned::Of(_) | Returned::Other => None,
    }
}
