//! The one function behind `SSL_read` and `SSL_read_ex`, and the one behind the functions that write.
//!
//! In: the names found in an OpenSSL image, and its code. Out: an [`Internal`], if the code of every public function
//! proves that it hands its own arguments to the same function, and keeps the count. A probe there serves them all, early
//! data and `BIO_f_ssl` as well, and its place is a cheap one. Refused: whatever is not proved, as where a compiler put
//! the function into its callers.

use crate::address::Vaddr;
use crate::image::{Image, Machine};
use crate::role::Role;
use crate::symbols::{Finding, Helper, Survey, Wanted};
use crate::x86_64::{Calls, Code, Target, Value, calls_of, stub_slot};

/// Describes a function that public ones share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Internal {
    /// The public function that has the same arguments.
    pub(crate) role: Role,
    pub(crate) address: Vaddr,
    /// Its name in OpenSSL's source.
    pub(crate) helper: Helper,
    /// The public function whose code was read first.
    pub(crate) caller: Role,
    /// The public functions that do nothing but call it.
    pub(crate) serves: Vec<Role>,
}

/// Finds the function behind `SSL_read` and `SSL_read_ex`.
pub(crate) fn reading(image: &Image<'_>, survey: &Survey) -> Option<Internal> {
    let library = Callers { image, survey };
    let plain = library.callees(Wanted::Role(Role::Read), is_plain)?;
    let counted = library.callees(Wanted::Role(Role::ReadEx), is_counted)?;
    let address = library.only_common(&plain, &counted)?;
    if library.may_call(Wanted::Helper(Helper::Peek), address) {
        return None;
    }
    Some(Internal {
        role: Role::ReadEx,
        address,
        helper: Helper::ReadInternal,
        caller: Role::Read,
        serves: vec![Role::Read, Role::ReadEx],
    })
}

/// Finds the function behind `SSL_write`, `SSL_write_ex` and `SSL_write_ex2`.
pub(crate) fn writing(image: &Image<'_>, survey: &Survey) -> Option<Internal> {
    let library = Callers { image, survey };
    let flagged = survey.defines(Wanted::Role(Role::WriteEx2));
    let (role, address, serves) = if flagged {
        let plain = library.callees(Wanted::Role(Role::Write), is_plain_with_flags)?;
        let counted = library.callees(Wanted::Role(Role::WriteEx2), is_counted_with_flags)?;
        let address = library.only_common(&plain, &counted)?;
        let mut serves = vec![Role::Write, Role::WriteEx2];
        serves.extend(library.write_ex_leads_to(address).then_some(Role::WriteEx));
        (Role::WriteEx2, address, serves)
    } else {
        let plain = library.callees(Wanted::Role(Role::Write), is_plain)?;
        let counted = library.callees(Wanted::Role(Role::WriteEx), is_counted)?;
        let address = library.only_common(&plain, &counted)?;
        (Role::WriteEx, address, vec![Role::Write, Role::WriteEx])
    };
    Some(Internal {
        role,
        address,
        helper: Helper::WriteInternal,
        caller: Role::Write,
        serves,
    })
}

struct Callers<'a, 'data> {
    image: &'a Image<'data>,
    survey: &'a Survey,
}

impl Callers<'_, '_> {
    /// Returns where a function leads with arguments of the form given; `None` if it may lead anywhere.
    fn callees(&self, caller: Wanted, form: fn(&[Value; 5]) -> bool) -> Option<Vec<Target>> {
        let calls = self.calls(caller).filter(|calls| !calls.has_indirect)?;
        let formed = calls.direct.into_iter().filter(|call| form(&call.arguments));
        Some(formed.map(|call| call.target).collect())
    }

    fn calls(&self, caller: Wanted) -> Option<Calls> {
        let finding = self.only(caller)?;
        let size = usize::try_from(finding.size).ok().filter(|size| *size > 0)?;
        let bytes = self.image.bytes_from(finding.address)?.get(..size)?;
        let address = finding.address;
        (self.image.machine() == Machine::X86_64)
            .then(|| calls_of(Code { bytes, address }))
            .flatten()
    }

    fn only(&self, wanted: Wanted) -> Option<Finding> {
        match self.survey.functions(wanted).as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// Returns the one address in both lists, if it is none of a public function.
    fn only_common(&self, plain: &[Target], counted: &[Target]) -> Option<Vaddr> {
        let mut common = plain.iter().filter(|target| counted.contains(target));
        let (Some(Target::Code(address)), None) = (common.next(), common.next()) else {
            return None;
        };
        (!self.survey.is_public(*address)).then_some(*address)
    }

    /// Says whether a function may call the address by itself: it does, or it is not understood; an absent one does not.
    fn may_call(&self, caller: Wanted, address: Vaddr) -> bool {
        if !self.survey.defines(caller) {
            return false;
        }
        let calls = self.calls(caller);
        calls.is_none_or(|calls| calls.direct.iter().any(|call| call.target == Target::Code(address)))
    }

    /// Says whether `SSL_write_ex` hands its arguments to the address, by itself or through `SSL_write_ex2`.
    fn write_ex_leads_to(&self, address: Vaddr) -> bool {
        let targets = self.callees(Wanted::Role(Role::WriteEx), is_counted_without_flags);
        let flagged = self.only(Wanted::Role(Role::WriteEx2));
        targets.unwrap_or_default().into_iter().any(|target| {
            target == Target::Code(address)
                || flagged.is_some_and(|flagged| target == Target::Code(flagged.address))
                || self.is_linked_to(target, Role::WriteEx2.symbol())
        })
    }

    /// Says whether the dynamic linker makes a target lead to the symbol.
    fn is_linked_to(&self, target: Target, symbol: &str) -> bool {
        let slot = match target {
            Target::Slot(slot) => Some(slot),
            Target::Code(address) => self
                .image
                .bytes_from(address)
                .and_then(|bytes| stub_slot(Code { bytes, address })),
        };
        let name = slot.and_then(|slot| self.image.linked_name(slot).ok().flatten());
        name == Some(symbol.as_bytes())
    }
}

/// Recognises the arguments of every form: the connection, the buffer and its length.
fn is_buffer(arguments: &[Value; 5], length: impl Fn(Value) -> bool) -> bool {
    let [connection, buffer, bytes, ..] = *arguments;
    connection == Value::Argument(0) && buffer == Value::Argument(1) && length(bytes)
}

/// The caller has an `int` for a length.
const fn is_length(value: Value) -> bool {
    matches!(value, Value::Argument(2) | Value::Half(2))
}

fn is_size(value: Value) -> bool {
    value == Value::Argument(2)
}

/// The count goes to a variable of the caller's own.
const fn is_local(value: Value) -> bool {
    matches!(value, Value::Stack(at) if at < 0)
}

fn is_plain(arguments: &[Value; 5]) -> bool {
    is_buffer(arguments, is_length) && is_local(arguments[3])
}

fn is_counted(arguments: &[Value; 5]) -> bool {
    is_buffer(arguments, is_size) && arguments[3] == Value::Argument(3)
}

fn is_plain_with_flags(arguments: &[Value; 5]) -> bool {
    is_buffer(arguments, is_length) && arguments[3] == Value::Constant(0) && is_local(arguments[4])
}

fn is_counted_with_flags(arguments: &[Value; 5]) -> bool {
    is_buffer(arguments, is_size) && arguments[3] == Value::Argument(3) && arguments[4] == Value::Argument(4)
}

fn is_counted_without_flags(arguments: &[Value; 5]) -> bool {
    is_buffer(arguments, is_size) && arguments[3] == Value::Constant(0) && arguments[4] == Value::Argument(3)
}
