//! Calls of `bpf(2)` that aya does not offer: links of many uprobes (Linux 6.6), and programs that are loaded for them.

use std::{
    ffi::{CStr, c_char},
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use aya_obj::{
    Function, Program,
    generated::{bpf_attach_type::BPF_TRACE_UPROBE_MULTI, bpf_attr, bpf_cmd, bpf_prog_type::BPF_PROG_TYPE_KPROBE},
};

/// `BPF_F_UPROBE_MULTI_RETURN` (`linux/bpf.h`): the program runs as the function returns.
const RETURN: u32 = 1;

/// The probes of one link.
pub(super) struct MultiLink<'a> {
    /// The program that they run.
    pub(super) program: BorrowedFd<'a>,
    /// Path of the probed file.
    pub(super) path: &'a CStr,
    /// File offset and cookie of each probe.
    pub(super) points: &'a [(u64, u64)],
    /// Whether they run as the functions at the offsets return.
    pub(super) is_return: bool,
    /// The process that they are for, or 0 for all.
    pub(super) pid: u32,
}

/// Loads the type information of programs.
pub(super) fn load_btf(btf: &[u8]) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    // SAFETY: every member of the union is plain data, for which all zeros is a value.
    let args = unsafe { &mut attr.__bindgen_anon_7 };
    args.btf = btf.as_ptr() as u64;
    args.btf_size = count(btf.len())?;
    create(bpf_cmd::BPF_BTF_LOAD, &attr)
}

/// Loads a program for links of many uprobes.
pub(super) fn load_program(program: &Program, function: &Function, btf: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let (functions, lines) = (
        function.func_info.func_info_bytes(),
        function.line_info.line_info_bytes(),
    );
    let mut attr = zeroed();
    // SAFETY: as in [`load_btf`].
    let args = unsafe { &mut attr.__bindgen_anon_3 };
    args.prog_type = BPF_PROG_TYPE_KPROBE as u32;
    args.expected_attach_type = BPF_TRACE_UPROBE_MULTI as u32;
    args.insns = function.instructions.as_ptr() as u64;
    args.insn_cnt = count(function.instructions.len())?;
    args.license = program.license.as_ptr() as u64;
    args.prog_btf_fd = fd(btf);
    args.func_info = functions.as_ptr() as u64;
    args.func_info_cnt = count(function.func_info.len())?;
    args.func_info_rec_size = count(function.func_info_rec_size)?;
    args.line_info = lines.as_ptr() as u64;
    args.line_info_cnt = count(function.line_info.len())?;
    args.line_info_rec_size = count(function.line_info_rec_size)?;
    for (to, from) in args.prog_name.iter_mut().take(NAME_BYTES).zip(function.name.bytes()) {
        *to = c_char::from_le_bytes([from]);
    }
    create(bpf_cmd::BPF_PROG_LOAD, &attr)
}

/// Attaches the probes of a link; dropping the descriptor detaches all of them at once.
pub(super) fn attach(link: &MultiLink<'_>) -> io::Result<OwnedFd> {
    let (offsets, cookies): (Vec<u64>, Vec<u64>) = link.points.iter().copied().unzip();
    let mut attr = zeroed();
    // SAFETY: as in [`load_btf`].
    let create_args = unsafe { &mut attr.link_create };
    create_args.__bindgen_anon_1.prog_fd = fd(link.program);
    create_args.attach_type = BPF_TRACE_UPROBE_MULTI as u32;
    // SAFETY: as in [`load_btf`].
    let args = unsafe { &mut create_args.__bindgen_anon_3.uprobe_multi };
    args.path = link.path.as_ptr() as u64;
    args.offsets = offsets.as_ptr() as u64;
    args.cookies = cookies.as_ptr() as u64;
    args.cnt = count(link.points.len())?;
    args.flags = if link.is_return { RETURN } else { 0 };
    args.pid = link.pid;
    create(bpf_cmd::BPF_LINK_CREATE, &attr)
}

/// `BPF_OBJ_NAME_LEN`, without the zero at the end.
const NAME_BYTES: usize = 15;

fn zeroed() -> bpf_attr {
    // SAFETY: as in [`load_btf`].
    unsafe { std::mem::zeroed() }
}

fn fd(of: BorrowedFd<'_>) -> u32 {
    of.as_raw_fd().cast_unsigned()
}

fn count(of: usize) -> io::Result<u32> {
    u32::try_from(of).map_err(|_overflow| io::ErrorKind::InvalidInput.into())
}

/// Calls `bpf(2)` with a command that creates an object. The buffers that `attr` points to live until it returns: those of
/// the callers do.
fn create(command: bpf_cmd, attr: &bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads `attr` and what it points to, and writes neither: no log is asked for.
    let created = unsafe { libc::syscall(libc::SYS_bpf, command as u32, &raw const *attr, size_of::<bpf_attr>()) };
    let created = i32::try_from(created).map_err(|_overflow| io::Error::from(io::ErrorKind::InvalidData))?;
    if created < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: these commands return a new descriptor, which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(created) })
}
