//! How the process gets its memory from the kernel.

/// Asks the kernel for small pages only, for this process and those it starts. A process that fills and frees buffers all the
/// time otherwise has the kernel zero two megabytes where it needs a few kilobytes: in `parquet-sink` that was a tenth of
/// the CPU time and a fifth of the memory (`docs/performance.md`). Where the kernel has no such pages, nothing happens.
pub fn use_small_pages() {
    // A kernel without huge pages refuses, and then there is nothing to turn off.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(test)]
mod tests {
    #[test]
    fn huge_pages_are_off_afterwards_where_there_are_any() {
        if rustix::thread::transparent_huge_pages_are_disabled().is_ok() {
            super::use_small_pages();
            assert!(rustix::thread::transparent_huge_pages_are_disabled().unwrap());
        }
    }
}
