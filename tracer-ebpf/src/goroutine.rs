//! The goroutine that hits a probe, and where its stack is.
//!
//! A goroutine moves between threads, and the runtime moves its stack in memory when that grows or shrinks. What is on the
//! stack stays as far below the top of the stack (`runtime.copystack`, go1.27.3, `src/runtime/stack.go`).

use aya_ebpf::programs::ProbeContext;
use tracer_ebpf::{AddressKey, Cookie};

use crate::{memory::read_user, operands};

/// A goroutine and its stack.
#[derive(Clone, Copy)]
pub(crate) struct Goroutine {
    /// Address of the runtime's `g`, which begins with the bounds of the stack (`src/runtime/runtime2.go`, Go 1.4 to 1.27).
    address: u64,
    low: u64,
    top: u64,
    pointer: u64,
}

impl Goroutine {
    /// Finds the goroutine that runs; `None` if the stack pointer is not on its stack.
    #[inline(always)]
    pub(crate) fn current(ctx: &ProbeContext, cookie: Cookie) -> Option<Self> {
        let (address, pointer) = (operands::goroutine(ctx, cookie), operands::pointer(ctx));
        let low: u64 = read_user(address)?;
        let top: u64 = read_user(address.wrapping_add(8))?;
        let found = Self {
            address,
            low,
            top,
            pointer,
        };
        found.below_top(pointer).map(|_| found)
    }

    /// Returns the key of the call whose frame is the innermost one; the stack pointer is `depth` bytes below where the call was
    /// entered.
    #[inline(always)]
    pub(crate) fn key(&self, tgid: u32, depth: u64) -> AddressKey {
        let below_top = self.top.wrapping_sub(self.pointer.wrapping_add(depth));
        AddressKey::of_goroutine(self.address, tgid, below_top as u32)
    }

    /// Returns how many bytes below the top of the stack an address is; `None` if it is elsewhere.
    #[inline(always)]
    pub(crate) fn below_top(&self, address: u64) -> Option<u64> {
        // The runtime ends a program whose stack has a gigabyte.
        let is_inside = self.low <= address && address < self.top && self.top - self.low <= u32::MAX as u64;
        is_inside.then(|| self.top - address)
    }

    /// Returns the address so many bytes below the top of the stack.
    #[inline(always)]
    pub(crate) fn address(&self, below_top: u64) -> u64 {
        self.top.wrapping_sub(below_top)
    }
}
