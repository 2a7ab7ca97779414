//! The allocator's unused pages, which count as resident memory of this process.

/// Returns freed memory to the kernel. BTF and images take tens of megabytes for a moment; glibc would keep them.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` is thread-safe, takes no pointer, and releases only memory that no allocation uses.
    unsafe {
        libc::malloc_trim(0)
    };
}
