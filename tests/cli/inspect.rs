//! `tlscope inspect` on libraries, other files, and processes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

use anyhow::{Context as _, Result};
use support::{binary, kernel};

use crate::refused::{assert_is_refusal, assert_refused, tlscope};

fn libssl() -> Result<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"];
    let mut candidates = folders.iter().map(|folder| Path::new(folder).join("libssl.so.3"));
    candidates
        .find(|path| path.is_file())
        .context("the system has no libssl.so.3")
}

#[test]
fn a_library_is_inspected_without_root() -> Result<()> {
    let library = libssl()?.display().to_string();
    let output = tlscope(&["inspect", &library])?;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    assert!(output.stdout.contains("SSL_read"), "{}", output.stdout);
    Ok(())
}

#[test]
fn a_library_is_inspected_with_the_crypto_library_beside_it() -> Result<()> {
    let library = libssl()?;
    let beside = tlscope(&["inspect", &library.display().to_string(), "-o", "text"])?.stdout;
    assert!(
        beside.contains("OpenSSL 3") && beside.contains("from the socket BIO"),
        "{beside}"
    );
    // Without libcrypto its structures are unknown.
    let folder = tempfile::tempdir()?;
    let alone = folder.path().join("libssl.so.3");
    fs::copy(library, &alone)?;
    let alone = tlscope(&["inspect", &alone.display().to_string(), "-o", "text"])?.stdout;
    assert!(alone.contains("only from SSL_set_fd"), "{alone}");
    Ok(())
}

#[test]
fn a_name_without_a_process_is_refused() -> Result<()> {
    let name = format!("nobody-{}", process::id());
    assert_refused(&["inspect", "--name", &name], &[&name, "no process is named"])
}

#[test]
fn what_is_not_an_elf_file_is_refused() -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let path = file.path().display().to_string();
    assert_refused(&["inspect", &path], &[&path])?;
    fs::write(&path, "#!/bin/sh\n")?;
    assert_refused(&["inspect", &path], &[&path, "not an ELF file"])?;
    assert_refused(&["inspect", "/none/such"], &["/none/such"])?;
    assert_refused(&["inspect", "/"], &["/"])
}

#[test]
fn a_truncated_library_causes_no_panic() -> Result<()> {
    let image = fs::read(libssl()?)?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("cut.so");
    let name = path.display().to_string();
    // Positions around the headers, and evenly spaced ones in the rest.
    let rest = (1..40).map(|part| image.len() * part / 40);
    for cut in [0, 1, 15, 16, 52, 63, 64, 65, 119, 120, 1000].into_iter().chain(rest) {
        fs::write(&path, image.get(..cut).context("the library is too short")?)?;
        let output = tlscope(&["inspect", &name])?;
        if output.code == Some(1) {
            assert_is_refusal(&output, &[&name]);
        }
        assert!(
            matches!(output.code, Some(0 | 1)) && !output.stderr.contains("panicked"),
            "cut at {cut}: {}",
            output.stderr
        );
    }
    Ok(())
}

#[test]
fn a_file_without_tls_is_refused() -> Result<()> {
    let program = fs::canonicalize("/proc/self/exe")?.display().to_string();
    assert_refused(&["inspect", &program], &[&program, "TLS"])
}

#[test]
fn tlscope_itself_contains_no_tls_library_but_that_of_its_exports() -> Result<()> {
    // It has the names that it searches for, which must not be taken for the libraries.
    let own = binary::tlscope()?.display().to_string();
    let output = tlscope(&["inspect", &own])?;
    let told = [output.stdout, output.stderr].concat();
    // How it was built decides whether rustls can be traced.
    assert!(told.contains("rustls 0.23."), "{told}");
    for other in ["openssl", "boringssl", "gnutls", "  library    go"] {
        assert!(!told.to_lowercase().contains(other), "{told}");
    }
    Ok(())
}

#[test]
fn a_process_without_tls_is_refused() -> Result<()> {
    let mut sleep = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn()?;
    let pid = sleep.id().to_string();
    let output = tlscope(&["inspect", "-p", &pid]);
    sleep.kill()?;
    sleep.wait()?;
    assert_is_refusal(&output?, &[&pid, "TLS"]);
    Ok(())
}

#[test]
fn a_process_that_does_not_exist_is_refused() -> Result<()> {
    let mut gone = Command::new("true").spawn()?;
    let pid = gone.id().to_string();
    gone.wait()?;
    for pid in [pid.as_str(), "4294967295"] {
        assert_refused(&["inspect", "-p", pid], &[pid, "no process"])?;
    }
    Ok(())
}

#[test]
fn a_thread_id_is_refused_with_the_pid_of_its_process() -> Result<()> {
    kernel::with_a_thread(|tid| {
        let (tid, own) = (tid.to_string(), format!("-p {}", process::id()));
        assert_refused(&["inspect", "-p", &tid], &[&tid, "thread", &own])
    })
}

#[test]
fn a_kernel_thread_is_refused() -> Result<()> {
    let pid = kernel::kernel_thread()?.to_string();
    assert_refused(&["inspect", "-p", &pid], &[&pid])
}

#[test]
fn a_process_name_cannot_break_a_message_into_lines() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let forged = folder.path().join("\ntlscope: ready");
    std::os::unix::fs::symlink("/bin/sleep", &forged)?;
    let mut sleep = Command::new(&forged).arg("600").stdin(Stdio::null()).spawn()?;
    let pid = sleep.id().to_string();
    let output = tlscope(&["inspect", "-p", &pid]);
    sleep.kill()?;
    sleep.wait()?;
    let output = output?;
    assert_is_refusal(&output, &[&pid, "\\ntlscope"]);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    Ok(())
}

#[test]
fn a_file_name_cannot_break_a_message_into_lines() -> Result<()> {
    for (name, spelled) in [
        ("/none/a\ntlscope: ready", "a\\ntlscope: ready"),
        ("/none/a\u{1b}[2J\u{2028}\u{202e}", "a\\u{1b}[2J\\u{2028}\\u{202e}"),
    ] {
        for command in ["inspect", "replay"] {
            let output = tlscope(&[command, name])?;
            assert_is_refusal(&output, &[spelled]);
            assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        }
    }
    Ok(())
}
