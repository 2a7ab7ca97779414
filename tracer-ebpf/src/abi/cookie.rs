//! What is attached with a probe: its site, and how a call ends there.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Carrier, Role};

/// An attach cookie: the index of a probe's site (16 bits), how a call ends there (16), its role (8), the carrier of its
/// connections (8), and the depth of its stack (16). Records bear the cookie of their site, without an end and a depth.
///
/// Minimum kernel version: 5.15 (`bpf_get_attach_cookie`).
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct Cookie(pub u64);

impl Cookie {
    /// Packs a site's index and its role, for connections that a TLS library carries.
    pub const fn new(site: u32, role: Role) -> Self {
        Self((site & 0xffff) as u64 | (role.number() as u64) << 32)
    }

    /// Returns the index into the site configurations and counters.
    pub const fn site(self) -> u32 {
        (self.0 & 0xffff) as u32
    }

    /// Returns the cookie with another carrier.
    #[must_use]
    pub const fn with_carrier(self, carrier: Carrier) -> Self {
        Self(self.0 & !(0xff << 40) | (carrier.0 as u64) << 40)
    }

    /// Returns what carries the bytes of the site's connections.
    pub const fn carrier(self) -> Carrier {
        Carrier(((self.0 >> 40) & 0xff) as u8)
    }

    /// Returns the cookie of a probe where the stack pointer is so many bytes below where it was at the function's entry.
    #[must_use]
    pub const fn with_depth(self, depth: u16) -> Self {
        Self(self.0 & 0xffff_ffff_ffff | (depth as u64) << 48)
    }

    /// Returns how many bytes the stack pointer is below where it was at the function's entry.
    pub const fn depth(self) -> u64 {
        self.0 >> 48
    }

    /// Returns the cookie of a probe at a call's end.
    #[must_use]
    pub const fn with_end(self, end: CallEnd) -> Self {
        Self(self.0 & !0xffff_0000 | (end.0 as u64) << 16)
    }

    /// Returns how a call ends at the probe.
    pub const fn end(self) -> CallEnd {
        CallEnd(((self.0 >> 16) & 0xffff) as u16)
    }

    /// Returns the cookie as records bear it.
    #[must_use]
    pub const fn of_site(self) -> Self {
        Self(self.0 & 0xffff_0000_ffff)
    }

    /// Returns what the function does; `None` if this version has no such role.
    pub const fn role(self) -> Option<Role> {
        Role::of_number(((self.0 >> 32) & 0xff) as u8)
    }
}

/// How a call ends at a probe: what its result is (10 bits), whether that is a constant (1), and the condition on the flags
/// under which the call ends (5). A register has a number and a width of four or eight bytes, and so has a word of the stack.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(transparent)]
pub struct CallEnd(pub u16);

impl CallEnd {
    const WIDE: u16 = 1 << 5;
    const STACK: u16 = 1 << 6;
    const CONSTANT: u16 = 1 << 10;
    const CONDITION: u32 = 11;

    /// The result is in a register, by its DWARF number; four bytes with a sign, or eight.
    pub const fn of_register(number: u8, is_wide: bool) -> Self {
        let wide = if is_wide { Self::WIDE } else { 0 };
        Self((number & 31) as u16 | wide)
    }

    /// The result is on the stack, so many words of eight bytes above the stack pointer, at most 31; it has eight bytes.
    pub const fn of_stack(words: u8) -> Self {
        Self((words & 31) as u16 | Self::WIDE | Self::STACK)
    }

    /// The result is a number.
    pub const fn of_constant(number: i8) -> Self {
        Self(number.cast_unsigned() as u16 | Self::CONSTANT)
    }

    /// The call ends only under a condition: the lower four bits of an x86-64 conditional jump's opcode, or those of an
    /// aarch64 `b.cond`.
    #[must_use]
    pub const fn when(self, condition: u8) -> Self {
        Self(self.0 | ((condition & 15) as u16 | 16) << Self::CONDITION)
    }

    /// Returns the register that holds the result.
    pub const fn register(self) -> u8 {
        (self.0 & 31) as u8
    }

    /// Returns how many bytes above the stack pointer the result is; `None` if it is in a register.
    pub const fn above_stack_pointer(self) -> Option<u64> {
        if self.0 & (Self::STACK | Self::CONSTANT) == Self::STACK {
            Some(8 * (self.0 & 31) as u64)
        } else {
            None
        }
    }

    /// Returns whether the result has eight bytes in its register.
    pub const fn is_wide(self) -> bool {
        self.0 & Self::WIDE != 0
    }

    /// Returns the result, if it is a constant.
    pub const fn constant(self) -> Option<i64> {
        if self.0 & Self::CONSTANT == 0 {
            return None;
        }
        Some(((self.0 & 0xff) as u8).cast_signed() as i64)
    }

    /// Returns the condition under which the call ends; `None` if it always does.
    pub const fn condition(self) -> Option<u8> {
        let condition = (self.0 >> Self::CONDITION) as u8;
        if condition & 16 == 0 {
            None
        } else {
            Some(condition & 15)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_gives_back_what_was_packed() {
        for register in 0..32 {
            for is_wide in [false, true] {
                let end = CallEnd::of_register(register, is_wide);
                assert_eq!((end.register(), end.is_wide()), (register, is_wide));
                assert_eq!((end.constant(), end.condition()), (None, None));
                assert_eq!(end.above_stack_pointer(), None);
            }
            let end = CallEnd::of_stack(register).when(7);
            assert_eq!(end.above_stack_pointer(), Some(8 * u64::from(register)));
            assert_eq!((end.is_wide(), end.constant(), end.condition()), (true, None, Some(7)));
        }
        for constant in [i8::MIN, -1, 0, 1, i8::MAX] {
            let end = CallEnd::of_constant(constant).when(14);
            assert_eq!((end.constant(), end.condition()), (Some(constant.into()), Some(14)));
            assert_eq!(end.above_stack_pointer(), None);
        }
        let cookie = Cookie::new(7, Role::Read)
            .with_end(CallEnd::of_register(3, true).when(0))
            .with_depth(40);
        assert_eq!((cookie.end().register(), cookie.end().condition()), (3, Some(0)));
        assert_eq!(
            (cookie.site(), cookie.role(), cookie.depth()),
            (7, Some(Role::Read), 40)
        );
        assert_eq!(cookie.of_site(), Cookie::new(7, Role::Read));
    }

    #[test]
    fn a_cookie_gives_back_what_was_packed() {
        let cookie = Cookie::new(0xbeef, Role::Clear);
        assert_eq!((cookie.site(), cookie.role()), (0xbeef, Some(Role::Clear)));
        assert_eq!(cookie.carrier(), Carrier::TLS);
        let plain = cookie.with_carrier(Carrier::PLAIN);
        assert_eq!(
            (plain.site(), plain.role(), plain.carrier()),
            (0xbeef, Some(Role::Clear), Carrier::PLAIN)
        );
    }

    #[test]
    fn a_depth_is_apart_from_the_rest_of_a_cookie() {
        let last = u16::MAX.into();
        let cookie = Cookie::new(last, Role::Write).with_carrier(Carrier::KERNEL_TLS);
        let deep = cookie.with_depth(3).with_depth(u16::MAX);
        assert_eq!(deep.depth(), 0xffff);
        assert_eq!(
            (deep.site(), deep.role(), deep.carrier()),
            (last, Some(Role::Write), Carrier::KERNEL_TLS)
        );
        assert_eq!((deep.of_site(), cookie.depth()), (cookie, 0));
    }
}
