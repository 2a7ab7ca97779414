//! Giving memory back that was needed for a moment.

/// Returns what was freed to the kernel: what the C library keeps for the next allocation would count as this process's
/// for as long as it runs.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, and allocated memory stays as it is.
    unsafe {
        libc::malloc_trim(0)
    };
}
