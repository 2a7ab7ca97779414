//! Small libraries that the C compiler makes for a test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Holds a compiled file that is removed with the value.
pub(crate) struct Built(pub(crate) PathBuf);

impl Drop for Built {
    fn drop(&mut self) {
        // A file that stays behind in the temporary folder harms nothing.
        drop(fs::remove_file(&self.0));
    }
}

/// Compiles a source of `fixtures/elf` with the flags given.
pub(crate) fn compiled(source: &str, name: &str, flags: &[&str]) -> (Built, Vec<u8>) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/elf")
        .join(source);
    let output = Built(env::temp_dir().join(format!("symbolizer-{}-{name}", std::process::id())));
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let status = Command::new(compiler)
        .args(flags)
        .arg(source)
        .arg("-o")
        .arg(&output.0)
        .status();
    assert!(status.expect("a C compiler is installed").success());
    let image = fs::read(&output.0).unwrap();
    (output, image)
}
