//! The system call that the current thread is in, and the memory of the process whose bytes it moves.
//!
//! At the tracepoints where a socket has sent or received, the call has yet to return: what it was given is untouched, and
//! what it hands out is there. Bytes that are moved later, by io_uring or by a thread of the kernel, or within another call,
//! have no memory here.

use aya_ebpf::{
    bindings::pt_regs,
    helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs},
};

#[cfg(not(bpf_target_arch = "aarch64"))]
use crate::memory::read_kernel;
use crate::{identity::descriptor, memory::read_user};

/// Where the bytes of a system call are.
pub(crate) struct Memory {
    /// Address of the bytes, or of an array of `struct iovec`.
    pub(crate) address: u64,
    /// How many of these there are; 0 if the bytes are at the address.
    pub(crate) buffers: u64,
    /// How many bytes are at the address, if they are there.
    pub(crate) length: u64,
}

impl Memory {
    /// Nothing.
    pub(crate) const NONE: Self = Self {
        address: 0,
        buffers: 0,
        length: 0,
    };
}

/// What [`find`] returns: the memory is not known.
pub(crate) const UNKNOWN: u32 = 0;
/// It is.
pub(crate) const FOUND: u32 = 1;
/// There is none: the kernel moves bytes between a file or a pipe and a socket.
pub(crate) const KERNEL: u32 = 2;

/// From a `struct msghdr` of the process to its array of buffers, and to how many there are (`include/linux/socket.h`). A
/// `struct mmsghdr` begins with one.
const MESSAGE_BUFFERS: u64 = 16;
const MESSAGE_COUNT: u64 = 24;

/// What a system call says about its bytes.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Form {
    /// The address of a buffer.
    Buffer,
    /// The address of an array of buffers, and how many they are.
    Vector,
    /// The address of a message.
    Message,
    /// The address of an array of messages, and how many they are.
    Messages,
    /// Descriptors only.
    Descriptors,
    /// Something else.
    Other,
}

/// The numbers of system calls (`arch/x86/entry/syscalls/syscall_64.tbl`).
#[cfg(not(bpf_target_arch = "aarch64"))]
#[inline(always)]
const fn form(number: u64) -> Form {
    match number {
        // read, write, sendto, recvfrom
        0 | 1 | 44 | 45 => Form::Buffer,
        // readv, writev, preadv2, pwritev2
        19 | 20 | 327 | 328 => Form::Vector,
        // sendmsg, recvmsg
        46 | 47 => Form::Message,
        // recvmmsg, sendmmsg
        299 | 307 => Form::Messages,
        // sendfile, splice
        40 | 275 => Form::Descriptors,
        _ => Form::Other,
    }
}

/// The numbers of system calls (`include/uapi/asm-generic/unistd.h`).
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
const fn form(number: u64) -> Form {
    match number {
        // read, write, sendto, recvfrom
        63 | 64 | 206 | 207 => Form::Buffer,
        // readv, writev, preadv2, pwritev2
        65 | 66 | 286 | 287 => Form::Vector,
        // sendmsg, recvmsg
        211 | 212 => Form::Message,
        // recvmmsg, sendmmsg
        243 | 269 => Form::Messages,
        // sendfile, splice
        71 | 76 => Form::Descriptors,
        _ => Form::Other,
    }
}

/// Finds the memory that the current system call moves the bytes of a socket from or to.
///
/// The call must be one on a descriptor of that socket: the kernel may use sockets of its own within any call.
#[inline(never)]
pub(crate) fn find(sock: u64, memory: &mut Memory) -> u32 {
    let Some(call) = Call::current() else {
        return UNKNOWN;
    };
    match form(call.number()) {
        Form::Buffer => (memory.address, memory.length) = (call.second(), call.third()),
        Form::Vector => (memory.address, memory.buffers) = (call.second(), call.third()),
        Form::Message => {
            if read_message(memory, call.second()).is_none() {
                return UNKNOWN;
            }
        }
        Form::Messages => {
            // Which one of several it is, is not known.
            if call.third() != 1 || read_message(memory, call.second()).is_none() {
                return UNKNOWN;
            }
        }
        Form::Descriptors => return KERNEL,
        Form::Other => return UNKNOWN,
    }
    if descriptor::sock_of(call.first()) == sock {
        FOUND
    } else {
        UNKNOWN
    }
}

/// Reads the buffers of a message, an empty array of which stands for no bytes.
#[inline(always)]
fn read_message(memory: &mut Memory, message: u64) -> Option<()> {
    memory.address = read_user(message + MESSAGE_BUFFERS)?;
    memory.buffers = read_user(message + MESSAGE_COUNT)?;
    (memory.buffers != 0).then_some(())
}

/// The registers of the current thread as it has entered the kernel by a system call, which has yet to return.
#[derive(Clone, Copy)]
struct Call(*const pt_regs);

/// Reads a register. The kernel describes the structure to the verifier, which allows reads at constant offsets.
macro_rules! register {
    ($call:expr, $($field:tt)+) => {
        // SAFETY: the helper returned the registers of the current thread, which does not run meanwhile. Volatile: the
        // compiler would choose an address first.
        unsafe { core::ptr::read_volatile(&raw const (*$call.0).$($field)+) }
    };
}

#[cfg(not(bpf_target_arch = "aarch64"))]
impl Call {
    /// What is in the register of the result until there is one (`arch/x86/entry/entry_64.S`): `-ENOSYS`.
    const NO_RESULT: u64 = 38_u64.wrapping_neg();
    /// The code segment of 64-bit programs (`arch/x86/include/asm/segment.h`): others have other numbers of calls.
    const USER_CS: u16 = 0x33;

    #[inline(always)]
    fn current() -> Option<Self> {
        // SAFETY: the helper takes the current task, which the other one returns.
        let call = Self(unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as *const pt_regs);
        let segment: u16 = read_kernel(call.0 as usize + core::mem::offset_of!(pt_regs, cs))?;
        // A thread of the kernel for io_uring has the registers of the call that made it, but no stack.
        let is_in_call = register!(call, rax) == Self::NO_RESULT && register!(call, rsp) != 0;
        (is_in_call && segment == Self::USER_CS).then_some(call)
    }

    #[inline(always)]
    fn number(self) -> u64 {
        register!(self, orig_rax)
    }

    #[inline(always)]
    fn first(self) -> u32 {
        register!(self, rdi) as u32
    }

    #[inline(always)]
    fn second(self) -> u64 {
        register!(self, rsi)
    }

    #[inline(always)]
    fn third(self) -> u64 {
        register!(self, rdx)
    }
}

#[cfg(bpf_target_arch = "aarch64")]
impl Call {
    /// From the registers to the first argument, which the result replaces, and to the number of the call (`struct pt_regs` in
    /// `arch/arm64/include/asm/ptrace.h`).
    const FIRST: usize = size_of::<pt_regs>();
    const NUMBER: usize = Self::FIRST + 8;

    #[inline(always)]
    fn current() -> Option<Self> {
        // SAFETY: the helper takes the current task, which the other one returns.
        let call = Self(unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as *const pt_regs);
        let first: u64 = crate::memory::read_kernel(call.0 as usize + Self::FIRST)?;
        // The result has yet to replace the first argument.
        (register!(call, regs[0]) == first && register!(call, sp) != 0).then_some(call)
    }

    #[inline(always)]
    fn number(self) -> u64 {
        let number: Option<i32> = crate::memory::read_kernel(self.0 as usize + Self::NUMBER);
        i64::from(number.unwrap_or(-1)) as u64
    }

    #[inline(always)]
    fn first(self) -> u32 {
        register!(self, regs[0]) as u32
    }

    #[inline(always)]
    fn second(self) -> u64 {
        register!(self, regs[1])
    }

    #[inline(always)]
    fn third(self) -> u64 {
        register!(self, regs[2])
    }
}
