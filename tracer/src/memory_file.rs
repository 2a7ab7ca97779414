//! Files in memory alone, as the stdin of another program.

use std::{
    fs::File,
    io::{self, Seek as _, Write as _},
};

use rustix::fs::{MemfdFlags, memfd_create};

/// Makes a file that is read from its start. Not a pipe: writing to it does not wait for its reader, whatever the size.
pub(crate) fn with(name: &str, content: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}
