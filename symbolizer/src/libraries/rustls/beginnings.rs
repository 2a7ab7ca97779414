//! Where connections of rustls begin: where an object that encrypts is made.

use std::collections::{BTreeMap, BTreeSet};

use super::Room;
use super::analysis::{FIRST_METHOD, WORD, is_first_method, method_of, seen_in};
use super::names::{Found, Function};
use super::scan::loading;
use super::sends::Sent;
use crate::cause::Cause;
use crate::code::Destination;
use crate::code::fixpoint::seen::Store;
use crate::code::instruction::Instruction;
use crate::code::site::Tier;
use crate::elf::address::Vaddr;
use crate::hook::{Hook, HookKind, Proof, Role};
use crate::operand::{Operand, Operands, Place};

impl Room<'_, '_> {
    /// Makes the hooks where connections begin. Each object that encrypts has to be made by one of the functions that return
    /// them, or where it is stored in a connection.
    pub(super) fn beginnings(&self, sent: &Sent) -> Result<Vec<Hook>, Cause> {
        let (mut hooks, methods) = self.made()?;
        let encrypts = self.functions.of(Function::Encrypt).into_iter();
        let others: BTreeSet<_> = encrypts.map(|encrypt| encrypt.address).collect();
        let others: BTreeSet<_> = others.difference(&methods).copied().collect();
        if !others.is_empty() {
            hooks.extend(self.stored(&others, sent)?);
        }
        Ok(hooks)
    }

    /// Makes the hooks at the ends of what makes objects that encrypt: each has one of a new connection for its result. Returns
    /// the methods of these, too.
    fn made(&self) -> Result<(Vec<Hook>, BTreeSet<Vaddr>), Cause> {
        let (mut hooks, mut methods) = (Vec::new(), BTreeSet::new());
        for function in self.functions.of(Function::MakeEncrypter) {
            let seen = seen_in(self.image, function)?;
            for to in seen.leaves_to {
                let is_own = |to| self.functions.at(to) == Some(Function::MakeEncrypter);
                if !matches!(to, Destination::Code(to) if is_own(to)) {
                    return Err(Cause::LeavesImage(function.address));
                }
            }
            for (at, table) in seen.returns {
                methods.extend(method_of(self.image, table));
                let object = Operand::at(Place::Register(RESULT), WORD);
                hooks.push(self.begins((Function::MakeEncrypter, function), (at, Instruction::Return), object)?);
            }
        }
        Ok((hooks, methods))
    }

    /// Makes the hooks where objects that encrypt are stored in a connection, with their table of methods behind them: what
    /// makes them is part of other functions.
    fn stored(&self, methods: &BTreeSet<Vaddr>, sent: &Sent) -> Result<Vec<Hook>, Cause> {
        let places = self.image.places_of(methods).into_iter();
        let tables = places.filter(|place| is_first_method(self.image, *place));
        let tables = tables.filter_map(|place| {
            let table = Vaddr(place.0.checked_sub(FIRST_METHOD.into())?);
            Some((table, self.image.pointer_at(place)?))
        });
        let tables: BTreeMap<_, _> = tables.collect();
        let is_it = |store: &Store| {
            let is_table = tables.contains_key(&Vaddr(store.number));
            is_table && store.before == Some(sent.encrypter) && sent.encrypter.checked_add(8) == Some(store.offset)
        };
        let (mut hooks, mut found) = (Vec::new(), BTreeSet::new());
        for function in loading(self.image, &tables.keys().copied().collect()) {
            if self.functions.at(function.address) == Some(Function::MakeEncrypter) {
                continue;
            }
            let seen = seen_in(self.image, function)?;
            let mut stores = seen.stores.iter().filter(|store| is_it(store)).peekable();
            // One that has the table and stores it elsewhere is not understood.
            stores.peek().ok_or(Cause::NotUnderstood(function.address))?;
            for store in stores {
                found.extend(tables.get(&Vaddr(store.number)));
                let object = Operand::loaded(store.argument, sent.encrypter, WORD);
                hooks.push(self.begins((Function::Install, function), (store.at, Instruction::Other), object)?);
            }
        }
        let missing = if self.functions.of(Function::MakeEncrypter).is_empty() {
            Cause::FunctionMissing(Function::MakeEncrypter.name())
        } else {
            Cause::Methods
        };
        (found == *methods).then_some(hooks).ok_or(missing)
    }

    /// Makes a hook at an instruction of a function that has an object of a new connection.
    fn begins(
        &self,
        (what, function): (Function, Found),
        (at, instruction): (Vaddr, Instruction),
        object: Operand,
    ) -> Result<Hook, Cause> {
        let site = self.site(at, Tier::Stepped, instruction);
        let hook = self.hook((Role::Clear, what), function, Operands::of(object));
        let (site, hook) = site.zip(hook).ok_or(Cause::NotUnderstood(at))?;
        Ok(Hook {
            kind: HookKind::Entry,
            site,
            proof: Proof::DataFlow,
            ..hook
        })
    }
}

/// The DWARF number of `rax`.
const RESULT: u8 = 0;
