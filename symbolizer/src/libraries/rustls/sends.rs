//! Where rustls has its connections, and what they send, by the data flow of its functions.
//!
//! A connection moves when the program moves it, so it is known by the object that encrypts its records, which is on the
//! heap from the handshake on: `CommonState` has the object's address and that of its methods, one behind the other. Only
//! the function that sends says at which offset.

use super::analysis::{FIRST_METHOD, Prover, WORD};
use super::names::{Found, Function};
use super::scan::callers;
use crate::cause::Cause;
use crate::code::fixpoint::seen::{Call, Kept, Seen};
use crate::code::fixpoint::uses::Target;
use crate::code::{Destination, Field, Value};
use crate::elf::address::Vaddr;

/// What a function proves that sends.
pub(super) struct Sent {
    /// From a `CommonState` to the address of the object that encrypts.
    pub(super) encrypter: u16,
    /// How what is to be encrypted is laid out.
    pub(super) message: Message,
    /// Where a record has been encrypted, if the connection is still at hand there.
    pub(super) record: Option<Kept>,
    /// The calls that hand an encrypted record on, after the connection, where a function of its own calls the object.
    pub(super) handed: Vec<Vaddr>,
    /// Where the function that calls the object has returned an encrypted record, if that is not handed on with the connection.
    pub(super) returned: Option<Kept>,
    /// The function that this is in.
    pub(super) by: Function,
}

/// How a message is laid out that is to be encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// From its beginning to its type.
    pub(super) kind: u16,
    /// Whether its bytes may be in several pieces.
    pub(super) has_pieces: bool,
}

/// The two layouts: the type lies behind `&[u8]` up to rustls 0.22, and behind `OutboundChunks` since 0.23.
const MESSAGES: [Message; 2] = [
    Message {
        kind: 0x10,
        has_pieces: false,
    },
    Message {
        kind: 0x20,
        has_pieces: true,
    },
];

/// `ContentType::ApplicationData` and `ProtocolVersion::TLSv1_2`, as their variants are numbered.
pub(super) const APPLICATION_DATA: u8 = 3;
const TLS_1_2: u64 = 4;

impl Prover<'_, '_> {
    /// Finds the object that encrypts, and what it is given.
    pub(super) fn sending(&self) -> Result<Sent, Cause> {
        let by = Function::SendData;
        if self.functions.of(by).is_empty() && !self.functions.of(Function::SendFragment).is_empty() {
            return self.sending_fragment(self.message_of_callers()?);
        }
        let seen = self.seen(self.only(by)?)?;
        if let Some(encrypts) = encrypting(&seen.calls, 0)? {
            return Ok(Sent {
                encrypter: object(encrypts, 0).ok_or(Cause::ConnectionLost(encrypts.at))?,
                message: message(&seen.first, encrypts.at, 2)?,
                record: seen.branch_after(encrypts, 0, 0),
                handed: Vec::new(),
                returned: None,
                by,
            });
        }
        let fragment = seen
            .calls
            .iter()
            .find(|call| self.leads_to(call, Function::SendFragment));
        if let Some(call) = fragment {
            return self.sending_fragment(message(&seen.first, call.at, 1)?);
        }
        let outgoing = seen
            .calls
            .iter()
            .find(|call| self.leads_to(call, Function::EncryptOutgoing));
        let outgoing = outgoing.ok_or(Cause::NoCopy)?;
        let handed = self.handed_on(&seen);
        Ok(Sent {
            encrypter: self.through_record_layer(outgoing)?,
            message: message(&seen.first, outgoing.at, 2)?,
            record: None,
            returned: seen.behind(outgoing, 0, 0).filter(|_| handed.is_empty()),
            handed,
            by,
        })
    }

    /// Finds the layout of a message by the functions that call the one that sends each record: one of them stores its type.
    fn message_of_callers(&self) -> Result<Message, Cause> {
        let sends = self.only(Function::SendFragment)?;
        let of_caller = |caller: Found| {
            let seen = self.seen(caller).ok()?;
            let mut calls = seen
                .first
                .iter()
                .filter(|call| self.leads_to(call, Function::SendFragment));
            calls.find_map(|call| message(&seen.first, call.at, 1).ok())
        };
        let mut found: Vec<_> = callers(self.image, sends.address)
            .into_iter()
            .filter_map(of_caller)
            .collect();
        found.dedup();
        match found[..] {
            [message] => Ok(message),
            _ => Err(Cause::TypeLost(sends.address)),
        }
    }

    /// Does the same where a function of its own sends each record.
    fn sending_fragment(&self, message: Message) -> Result<Sent, Cause> {
        let by = Function::SendFragment;
        let seen = self.seen(self.only(by)?)?;
        if let Some(encrypts) = encrypting(&seen.calls, 0)? {
            return Ok(Sent {
                encrypter: object(encrypts, 0).ok_or(Cause::ConnectionLost(encrypts.at))?,
                message,
                record: seen.branch_after(encrypts, 0, 0),
                handed: Vec::new(),
                returned: None,
                by,
            });
        }
        let outgoing = seen
            .calls
            .iter()
            .find(|call| self.leads_to(call, Function::EncryptOutgoing));
        let outgoing = outgoing.ok_or(Cause::NoCopy)?;
        let handed = self.handed_on(&seen);
        Ok(Sent {
            encrypter: self.through_record_layer(outgoing)?,
            message,
            record: None,
            returned: seen.behind(outgoing, 0, 0).filter(|_| handed.is_empty()),
            handed,
            by,
        })
    }

    fn handed_on(&self, seen: &Seen) -> Vec<Vaddr> {
        handed(seen, |call| self.leads_to(call, Function::EncryptOutgoing))
    }

    /// Returns the offset of the object, where a `RecordLayer` in the connection is handed over that has it.
    fn through_record_layer(&self, call: &Call) -> Result<u16, Cause> {
        let [_, layer, ..] = call.arguments;
        let lost = Cause::ConnectionLost(call.at);
        let before = layer.distance_from(0).ok_or(lost)?;
        let seen = self.seen(self.only(Function::EncryptOutgoing)?)?;
        let encrypts = encrypting(&seen.calls, 1)?.ok_or(lost)?;
        let within = object(encrypts, 1).ok_or(lost)?;
        let offset = before.checked_add(within.into()).ok_or(lost)?;
        u16::try_from(offset).map_err(|_too_far| lost)
    }
}

/// Lists the calls of a function that hand on what the call before has encrypted: they are given the function's own first
/// argument, and the place on the stack that the result was written to. Where there are several such places, one for each way,
/// it is the same one on the first of these ways.
fn handed(seen: &Seen, encrypts: impl Fn(&Call) -> bool) -> Vec<Vaddr> {
    let first = |at: Vaddr| seen.first.iter().find(|call| call.at == at);
    let is_same = |made: &Call, hands: &Call| {
        let ([result, ..], [_, record, ..]) = (made.arguments, hands.arguments);
        result == record
    };
    let is_handed = |[made, hands]: &&[Call; 2]| {
        let [connection, ..] = hands.arguments;
        let is_own = connection.field().and_then(Field::as_argument) == Some(0);
        let is_fixed = matches!(hands.target, Target::Fixed(Destination::Code(_)));
        let is_result = first(made.at).zip(first(hands.at)).is_some_and(|(made, hands)| {
            let [result, ..] = made.arguments;
            result.stack_address().is_some() && is_same(made, hands)
        });
        encrypts(made) && is_own && is_fixed && is_result && is_same(made, hands)
    };
    let pairs = seen.calls.array_windows().filter(is_handed);
    pairs.map(|[_, hands]| hands.at).collect()
}

/// Finds the call of the first method of an object that lies in what an argument points to, with the address of the table
/// behind it, which gets a place for its result and that object. Those for one object must agree.
pub(super) fn encrypting(calls: &[Call], own: usize) -> Result<Option<&Call>, Cause> {
    let mut found: Option<&Call> = None;
    for call in calls.iter().filter(|call| object(call, own).is_some()) {
        match found {
            Some(other) if object(other, own) != object(call, own) => return Err(Cause::SeveralHandovers(call.at)),
            Some(_) => {}
            None => found = Some(call),
        }
    }
    Ok(found)
}

/// Returns where the object of such a call lies.
fn object(call: &Call, own: usize) -> Option<u16> {
    let Target::Value(target) = call.target else {
        return None;
    };
    let ([table, method], width) = target.field()?.behind_twice(own)?;
    let [_, object, ..] = call.arguments;
    let (object, object_width) = object.field()?.behind(own)?;
    let is_it = method == FIRST_METHOD && [width, object_width] == [WORD; 2] && table == object.checked_add(8)?;
    is_it.then_some(object)
}

/// Returns where a call leads, and how far behind the first argument the place is that is its first one.
pub(super) fn queue(call: &Call) -> Option<(Destination, i64)> {
    let [first, ..] = call.arguments;
    let distance = first.distance_from(0).filter(|distance| *distance > 0)?;
    match call.target {
        Target::Fixed(to) => Some((to, distance)),
        Target::Value(_) => None,
    }
}

/// Returns the layout of a message that a call is given, by its type and the version behind that, which the function
/// stores.
pub(super) fn message(first: &[Call], at: Vaddr, argument: usize) -> Result<Message, Cause> {
    let call = first.iter().find(|call| call.at == at);
    let is_of = |message: &Message| {
        let kind = i64::from(message.kind);
        call.is_some_and(|call| {
            call.behind(argument, kind, 1) == Value::Constant(APPLICATION_DATA.into())
                && call.behind(argument, kind.saturating_add(2), 2) == Value::Constant(TLS_1_2)
        })
    };
    MESSAGES.into_iter().find(is_of).ok_or(Cause::TypeLost(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::fixpoint::seen::seen_in;

    /// push rbx; sub rsp,0x40; mov rbx,rdi; mov rdi,rsp; call, elsewhere; mov rdi,rbx; lea rsi,[rsp+PLACE]; call, elsewhere;
    /// add rsp,0x40; pop rbx; ret
    fn sending(place: u8) -> Vec<u8> {
        let mut code = vec![0x53, 0x48, 0x83, 0xec, 0x40, 0x48, 0x89, 0xfb, 0x48, 0x89, 0xe7];
        code.extend([0xe8, 0, 1, 0, 0, 0x48, 0x89, 0xdf, 0x48, 0x8d, 0x74, 0x24, place]);
        code.extend([0xe8, 0, 1, 0, 0, 0x48, 0x83, 0xc4, 0x40, 0x5b, 0xc3]);
        code
    }

    #[test]
    fn a_record_is_handed_on_from_where_it_was_written() {
        let encrypts = |call: &Call| call.at == Vaddr(0x100b);
        assert_eq!(handed(&seen_in(&sending(0)), encrypts), [Vaddr(0x1018)]);
        assert_eq!(handed(&seen_in(&sending(8)), encrypts), [], "from elsewhere");
        assert_eq!(handed(&seen_in(&sending(0)), |_| false), [], "of another function");
    }
}
