//! Verifies that a process runs the code that was analysed.
//!
//! A file may be overwritten after a process mapped it. A probe would then modify the middle of an instruction, so the
//! memory at each probe is compared with the file first. Breakpoints of other probes and tools are ignored.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::PathBuf};

use thiserror::Error;

use super::MappedObject;

/// Bytes that are compared at each offset.
const WINDOW: usize = 16;

/// Bytes that are compared at the start of the file: the headers, and the build id, which linkers place after them.
const HEADERS: usize = 1024;

/// Bytes of an instruction that a probe replaces. Where they are several, all offsets are multiples of their number.
const REPLACED: usize = if cfg!(target_arch = "aarch64") { 4 } else { 1 };

/// Why a process cannot be probed in a file.
#[derive(Debug, Error)]
pub enum Mismatch {
    /// The memory of the process differs from the file.
    #[error("{path} was written to since it was mapped: at {offset:#x} the process runs other code", path = path.display())]
    Bytes {
        /// The file.
        path: PathBuf,
        /// The file offset.
        offset: u64,
    },
    /// The offset is not mapped or not readable.
    #[error("{path} cannot be compared with what the process runs, at {offset:#x}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The file offset.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
}

/// Compares a process's memory with a file: the headers, the build id, and the code at each of the file offsets.
///
/// # Errors
///
/// Returns the first difference.
pub fn verify(pid: u32, object: &MappedObject, offsets: impl Iterator<Item = u64>) -> Result<(), Mismatch> {
    let memory = File::open(format!("/proc/{pid}/mem")).map_err(unreadable(object, 0))?;
    if object.address_of(0).is_some() {
        compare::<HEADERS>(&memory, object, 0)?;
    }
    for offset in offsets {
        compare::<WINDOW>(&memory, object, offset)?;
    }
    Ok(())
}

/// Returns how many of the file offsets have a breakpoint in a process's memory that the file does not have: a probe, or a
/// debugger's.
///
/// # Errors
///
/// Fails if the memory or the file cannot be read.
pub fn breakpoints(pid: u32, object: &MappedObject, offsets: impl Iterator<Item = u64>) -> io::Result<usize> {
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut found = 0;
    for offset in offsets {
        let (mut run, mut analysed) = ([0; REPLACED], [0; REPLACED]);
        if let Some(address) = object.address_of(offset) {
            memory.read_exact_at(&mut run, address)?;
            object.file.read_exact_at(&mut analysed, offset)?;
            found += usize::from(is_breakpoint(&run) && !is_breakpoint(&analysed));
        }
    }
    Ok(found)
}

fn compare<const N: usize>(memory: &File, object: &MappedObject, offset: u64) -> Result<(), Mismatch> {
    let absent = || io::Error::from(io::ErrorKind::NotFound);
    let address = object.address_of(offset).ok_or_else(absent);
    let address = address.map_err(unreadable(object, offset))?;
    let (mut run, mut analysed) = ([0; N], [0; N]);
    let of_memory = memory.read_at(&mut run, address).map_err(unreadable(object, offset))?;
    let of_file = object
        .file
        .read_at(&mut analysed, offset)
        .map_err(unreadable(object, offset))?;
    let both = of_memory.min(of_file);
    let (run, analysed) = (
        run.get(..both).unwrap_or_default(),
        analysed.get(..both).unwrap_or_default(),
    );
    if both > 0 && is_same(run, analysed) {
        return Ok(());
    }
    Err(Mismatch::Bytes {
        path: object.path.clone(),
        offset,
    })
}

fn unreadable(object: &MappedObject, offset: u64) -> impl Fn(io::Error) -> Mismatch {
    move |source| Mismatch::Unreadable {
        path: object.path.clone(),
        offset,
        source,
    }
}

fn is_same(run: &[u8], analysed: &[u8]) -> bool {
    let mut pairs = run.chunks(REPLACED).zip(analysed.chunks(REPLACED));
    pairs.all(|(run, analysed)| run == analysed || is_breakpoint(run))
}

/// Returns whether an instruction is one with which probes and debuggers replace others: `int3`, or `brk` of any number (Arm
/// ARM, C6.2.49).
fn is_breakpoint(run: &[u8]) -> bool {
    if cfg!(target_arch = "aarch64") {
        let word = run.first_chunk().copied().map(u32::from_le_bytes);
        word.is_some_and(|word| word & 0xffe0_001f == 0xd420_0000)
    } else {
        run == [0xcc]
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, ptr};

    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

    use super::*;
    use crate::target::Target;

    const BYTES: usize = 4096;

    /// `brk #5`, the kernel's own (v6.18, `arch/arm64/include/asm/brk-imm.h`, `UPROBES_BRK_IMM`), or `int3`.
    const BREAKPOINT: &[u8] = if cfg!(target_arch = "aarch64") {
        &[0xa0, 0, 0x20, 0xd4]
    } else {
        &[0xcc]
    };

    /// Runs `test` with the address of an executable, writable, private mapping of a file, and its object.
    fn mapping_a_file(test: impl FnOnce(*mut u8, &MappedObject)) {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let mut file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        file.write_all(&[0x90; BYTES]).unwrap();
        // SAFETY: without `MAP_FIXED` the kernel chooses an unused range, so no existing reference is affected. The file
        // is never truncated while it is mapped.
        let address = unsafe {
            let access = ProtFlags::READ | ProtFlags::WRITE | ProtFlags::EXEC;
            mmap(ptr::null_mut(), BYTES, access, MapFlags::PRIVATE, &file, 0).unwrap()
        };
        let target = Target::discover(std::process::id()).unwrap();
        let object = target.objects.iter().find(|object| object.path == *path).unwrap();
        test(address.cast(), object);
        // SAFETY: the range was mapped above, and `test`, the only user of its address, has returned.
        unsafe { munmap(address, BYTES).unwrap() };
    }

    fn verified(object: &MappedObject, offset: u64) -> Result<(), Mismatch> {
        verify(std::process::id(), object, [offset].into_iter())
    }

    #[test]
    fn an_unmodified_file_is_accepted() {
        mapping_a_file(|_, object| {
            for offset in [0, 2000, BYTES as u64 - 1] {
                verified(object, offset).unwrap();
            }
        });
    }

    #[test]
    fn modified_code_is_refused_at_its_offset() {
        mapping_a_file(|address, object| {
            // SAFETY: the address is inside the mapping, which is writable and larger, and no reference into it exists.
            unsafe { address.wrapping_add(3000).write(0x55) };
            verified(object, 2000).unwrap();
            assert!(matches!(
                verified(object, 2990),
                Err(Mismatch::Bytes { offset: 2990, .. })
            ));
        });
    }

    #[test]
    fn breakpoints_that_are_not_in_the_file_are_counted() {
        mapping_a_file(|address, object| {
            // SAFETY: the bytes are inside the mapping, which is writable and larger, and no reference into it exists.
            unsafe { ptr::copy_nonoverlapping(BREAKPOINT.as_ptr(), address.wrapping_add(3000), BREAKPOINT.len()) };
            let count = |offsets: &[u64]| breakpoints(std::process::id(), object, offsets.iter().copied());
            assert_eq!(count(&[2000, 3000, 1 << 40]).unwrap(), 1);
            assert_eq!(count(&[2000]).unwrap(), 0);
            verified(object, 2996).unwrap();
        });
    }

    #[test]
    fn a_modified_header_is_refused_for_every_offset() {
        mapping_a_file(|address, object| {
            // SAFETY: the address is inside the mapping, which is writable and larger, and no reference into it exists.
            unsafe { address.wrapping_add(1000).write(0x55) };
            assert!(matches!(verified(object, 3000), Err(Mismatch::Bytes { offset: 0, .. })));
        });
    }

    #[test]
    fn an_offset_that_is_not_mapped_cannot_be_compared() {
        mapping_a_file(|_, object| {
            assert!(matches!(verified(object, 1 << 40), Err(Mismatch::Unreadable { .. })));
        });
    }

    #[test]
    fn a_breakpoint_is_not_a_difference() {
        let code = &[0x55; 4][..REPLACED];
        assert!(is_same(BREAKPOINT, code) && is_same(code, code));
        assert!(!is_same(code, BREAKPOINT) && !is_same(code, &[0x56; 4][..REPLACED]));
    }
}
