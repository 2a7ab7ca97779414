//! How what is sealed is sent: by a function of the same call, which hands it to the connection's BIO.

use std::collections::BTreeSet;

use super::Sender;
use crate::code::effects::{Call, Effects};
use crate::elf::address::Vaddr;
use crate::libraries::layout::Sending;
use crate::libraries::openssl::stripped::target;
use crate::libraries::openssl::tap::boring::{effects, seals};
use crate::libraries::openssl::tap::is_connection;
use crate::libraries::openssl::tap::linkage::Linkage;

/// Bytes of a pointer.
const POINTER: u8 = 8;

/// What is known of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    pub(super) sending: Sending,
    /// What takes the sealed bytes (`BIO_write`).
    pub(super) handed: Option<Vaddr>,
}

/// Finds it by the functions that hand records over to be sealed, by what seals them, and by the functions that may report that
/// a connection has no BIO.
pub(super) fn find(linkage: &Linkage<'_, '_>, senders: &[Sender], seal: Vaddr, flushing: &[Vaddr]) -> Sent {
    let flushed: BTreeSet<_> = senders
        .iter()
        .flat_map(|sender| flushed(linkage, sender, flushing))
        .collect();
    let mut flushed = flushed.into_iter();
    let (Some((wbio, handed)), None) = (flushed.next(), flushed.next()) else {
        return Sent::default();
    };
    Sent {
        sending: Sending {
            wbio: Some(wbio),
            frame: frame(senders, seal),
            within_calls: false,
        },
        handed: Some(handed),
    }
}

/// Finds how far the return address of a call that hands over a record is above the stack pointer as the record is about to
/// be sealed; none if that is not the same for all calls.
fn frame(senders: &[Sender], seal: Vaddr) -> Option<u16> {
    let calls = senders.iter().flat_map(|sender| &sender.effects.calls);
    let calls = calls.filter(|call| seals(call, seal));
    let above = |call: &Call| u16::try_from(WORD.checked_sub(call.stack?)?).ok();
    let all: Option<BTreeSet<_>> = calls.map(above).collect();
    let mut all = all?.into_iter();
    all.next().filter(|_| all.next().is_none())
}

/// Bytes of the return address that the call of what seals leaves on the stack.
const WORD: i64 = 8;

/// Lists what the functions of the connection that flush call with a field of it: the field, and the function.
fn flushed(linkage: &Linkage<'_, '_>, sender: &Sender, flushing: &[Vaddr]) -> Vec<(u16, Vaddr)> {
    let calls = sender
        .effects
        .calls
        .iter()
        .filter(|call| is_connection(call.arguments[0]));
    let inner: BTreeSet<_> = calls.filter_map(target).filter(|to| flushing.contains(to)).collect();
    let inner = inner.into_iter().filter_map(|address| effects(linkage, address).ok());
    let found = |effects: &Effects| effects.calls.iter().filter_map(hands_to_field).collect::<Vec<_>>();
    let mut all: Vec<_> = inner.flat_map(|effects| found(&effects)).collect();
    if flushing.contains(&sender.address) {
        // The compiler has put the code of the other function here.
        all.extend(found(&sender.effects));
    }
    all
}

/// Recognises a call whose first argument is a field of the connection, and whose others are not.
fn hands_to_field(call: &Call) -> Option<(u16, Vaddr)> {
    let (field, width) = call.arguments[0].field()?.one()?;
    (width == POINTER).then_some((field, target(call)?))
}
