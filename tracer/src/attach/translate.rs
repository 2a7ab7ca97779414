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

/// The registers are those of both machines by their DWARF numbers: rcx and x3, r8 and x4.
fn count(operands: &Operands) -> Count {
    let count = operands.count.map(|count| (count.place, count.loads));
    match count {
        Some((Place::Result, [None, None])) => Count::Returned,
        Some((Place::Register(2 | 3), [Some(0), None])) => Count::Fourth,
        Some((Place::Register(4 | 8), [Some(0), None])) => Count::Fifth,
        _ => Count::Other,
    }
}

#[cfg(test)]
mod tests {
    use symbolizer::{FileOffset, Instruction, Operand, Proof, Site, SymbolSource, Tier, Vaddr};

    use super::*;

    fn hook(kind: HookKind, role: Role, count: Option<Operand>) -> Hook {
        let (address, offset) = (Vaddr(0x1000), FileOffset(0x1000));
        let site = Site {
            tier: Tier::Emulated,
            address,
            offset,
            instruction: Instruction::Push,
        };
        Hook {
            kind,
            role,
            name: "a function".to_owned(),
            found: SymbolSource::Dynsym,
            address,
            offset,
            size: 1,
            site,
            operands: Operands {
                object: Operand::at(Place::Register(5), 8),
                buffer: None,
                length: None,
                count,
                transports: [None; 2],
                result: None,
            },
            proof: Proof::Interface,
        }
    }

    #[test]
    fn the_place_of_the_count_tells_the_functions_of_openssl_apart() {
        let role = |role, count| abi_role(Family::OpenSsl, &hook(HookKind::Return, role, Some(count)));
        let returned = Operand::at(Place::Result, 4);
        let behind = |register| Operand::loaded(Place::Register(register), 0, 8);
        assert_eq!(role(Role::Read, returned), Some(tracer_ebpf::Role::READ));
        assert_eq!(role(Role::Write, returned), Some(tracer_ebpf::Role::WRITE));
        // rcx and x3, r8 and x4.
        for fourth in [2, 3] {
            assert_eq!(role(Role::Read, behind(fourth)), Some(tracer_ebpf::Role::READ_EX));
            assert_eq!(role(Role::Write, behind(fourth)), Some(tracer_ebpf::Role::WRITE_EX));
        }
        for fifth in [4, 8] {
            assert_eq!(role(Role::Write, behind(fifth)), Some(tracer_ebpf::Role::WRITE_EX2));
            assert_eq!(role(Role::Read, behind(fifth)), None);
        }
        assert_eq!(role(Role::Read, Operand::at(Place::Register(1), 8)), None);
    }

    #[test]
    fn what_the_programs_do_not_know_has_no_role() {
        let end = |family, kind| abi_role(family, &hook(kind, Role::End, None));
        assert_eq!(end(Family::LibreSsl, HookKind::Entry), Some(tracer_ebpf::Role::FREE));
        assert_eq!(end(Family::OpenSsl, HookKind::Tap), None);
        assert_eq!(end(Family::GnuTls, HookKind::Entry), None);
    }
}
