//! Mozilla's NSS, whose library of TLS is `libssl3.so`.
//!
//! A program uses the functions of NSPR, such as `PR_Read`, for descriptors of every kind: files, pipes, sockets, and those with
//! TLS on top. So the probes are in libssl3, where only connections with TLS come by: a connection has a table of functions
//! (`sslSocketOps`, `lib/ssl/sslimpl.h`), one of two. The functions have no names in what distributions ship. The table is found
//! by its form, and proven by its functions that read and write: they only call those that receive and send, without flags.

mod tables;

use crate::elf::address::Vaddr;
use crate::elf::image::{Image, Presence, SymbolKind};
use crate::elf::survey::{Finding, Survey, SymbolSource};
use crate::hook::{Hook, Proof, Role};
use crate::libraries::family::Family;
use crate::libraries::found::Found;
use crate::libraries::function::{Argument, Count, Function, INT, POSITIVE_INT};
use crate::libraries::hooks::hook;
use crate::libraries::named::plan_of;
use crate::reason::Reason;

/// What puts TLS on top of a descriptor, and is exported by every libssl3 alone.
pub(crate) const IMPORT: &str = "SSL_ImportFD";

/// `ssl_SecureRecv(ss, buf, len, flags)`: with `PR_MSG_PEEK`, the only flag, it leaves the bytes to be read again.
const RECEIVE: Function =
    Function::moving("ssl_SecureRecv", Role::Read, INT, Count::Returned, POSITIVE_INT).only_without(FLAGS);

/// `ssl_SecureSend(ss, buf, len, flags)`.
const SEND: Function = Function::moving("ssl_SecureSend", Role::Write, INT, Count::Returned, POSITIVE_INT);

/// `ssl_SecureClose(ss)`, which frees it.
const CLOSE: Function = Function::called("ssl_SecureClose", Role::End);

const FLAGS: Argument = Argument(3, INT);

/// Looks for NSS.
pub(crate) fn find(image: &Image<'_>, survey: &Survey) -> Found {
    if survey.function(IMPORT).is_none() {
        return Found::Nothing;
    }
    let Some(table) = tables::secure(image) else {
        return Found::Refused(Reason::NssTable);
    };
    let functions = [(&RECEIVE, table.receive), (&SEND, table.send), (&CLOSE, table.close)];
    let hooks: Option<Vec<Hook>> = functions
        .into_iter()
        .map(|(function, address)| hook(image, function, &finding(image, function, address)?, Proof::Table))
        .collect();
    match hooks {
        Some(hooks) => Found::Plan(Box::new(plan_of(image, Family::Nss, hooks, Vec::new()))),
        None => Found::Refused(Reason::NssTable),
    }
}

/// Describes a function of the table; `None` if the image does not say where it ends.
fn finding(image: &Image<'_>, function: &Function, address: Vaddr) -> Option<Finding> {
    let (begin, end) = image.frames().around(address)?;
    (begin == address).then_some(Finding {
        name: function.name,
        source: SymbolSource::Table,
        presence: Presence::Defined,
        kind: SymbolKind::Function,
        address,
        size: end.0.checked_sub(begin.0)?,
    })
}
