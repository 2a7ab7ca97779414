//! What the programs in the kernel call a hook: the one place that knows both the hooks of a plan and the roles of the
//! ABI.
//!
//! The ABI's roles each imply a function of OpenSSL's interface, with its operands. A library whose functions are none
//! of these is refused as a whole: half of its hooks would tell half the truth.

use symbolizer::{Family, Hook, HookKind, Operands, OtherLibrary, Place, ProbePlan, Reason, Role};

/// Returns why a plan cannot be carried out, if it cannot.
pub const fn refusal(plan: &ProbePlan) -> Option<Reason> {
    match plan.library.family {
        Family::OpenSsl | Family::LibreSsl | Family::BoringSsl | Family::AwsLc => None,
        Family::GnuTls => Some(Reason::LibraryUnsupported(OtherLibrary::GnuTls)),
    }
}

/// Returns the role that the programs know a hook by; `None` if they cannot express it.
pub(super) fn abi_role(family: Family, hook: &Hook) -> Option<tracer_ebpf::Role> {
    match (family, hook.kind) {
        (
            Family::OpenSsl | Family::LibreSsl | Family::BoringSsl | Family::AwsLc,
            HookKind::Entry | HookKind::Return,
        ) => openssl(hook.role, &hook.operands),
        (
            Family::OpenSsl | Family::LibreSsl | Family::BoringSsl | Family::AwsLc,
            HookKind::Exit | HookKind::Tap | HookKind::Lift,
        )
        | (Family::GnuTls, HookKind::Entry | HookKind::Exit | HookKind::Tap | HookKind::Lift | HookKind::Return) => {
            None
        }
    }
}

fn openssl(role: Role, operands: &Operands) -> Option<tracer_ebpf::Role> {
    let count = count(operands);
    Some(match (role, count) {
        (Role::Read, Count::Returned) => tracer_ebpf::Role::READ,
        (Role::Read, Count::Fourth) => tracer_ebpf::Role::READ_EX,
        (Role::Write, Count::Returned) => tracer_ebpf::Role::WRITE,
        (Role::Write, Count::Fourth) => tracer_ebpf::Role::WRITE_EX,
        (Role::Write, Count::Fifth) => tracer_ebpf::Role::WRITE_EX2,
        (Role::Read, Count::Fifth | Count::Other)
        | (Role::Write, Count::Other)
        | (Role::Flush, Count::Returned | Count::Fourth | Count::Fifth | Count::Other) => return None,
        (Role::EarlyRead, _) => tracer_ebpf::Role::READ_EARLY,
        (Role::EarlyWrite, _) => tracer_ebpf::Role::WRITE_EARLY,
        (Role::Sendfile, _) => tracer_ebpf::Role::SENDFILE,
        (Role::Descriptor, _) => tracer_ebpf::Role::SET_FD,
        (Role::Bio, _) => tracer_ebpf::Role::SET_BIO,
        (Role::Handshake, _) => tracer_ebpf::Role::HANDSHAKE,
        (Role::Clear, _) => tracer_ebpf::Role::CLEAR,
        (Role::End, _) => tracer_ebpf::Role::FREE,
        (Role::Ciphertext, _) => tracer_ebpf::Role::BIO_WRITE,
    })
}

/// Where a function leaves how many bytes have passed.
#[derive(Clone, Copy)]
enum Count {
    Returned,
    /// Where its fourth argument points to.
    Fourth,
    /// Where its fifth argument points to.
    Fifth,
    Other,
}

/// The registers are those of both machines: x3 and rcx, x4 and r8.
fn count(operands: &Operands) -> Count {
    let count = operands.count.map(|count| (count.place, count.loads));
    match count {
        Some((Place::Result, [None, None])) => Count::Returned,
        Some((Place::Register(1 | 3), [Some(0), None])) => Count::Fourth,
        Some((Place::Register(4 | 8), [Some(0), None])) => Count::Fifth,
        _ => Count::Other,
    }
}
