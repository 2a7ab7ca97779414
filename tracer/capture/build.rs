//! Builds the BPF object that the binary carries, with whichever toolchain is there.
//!
//! In: the package `tracer-ebpf`. Out: `OUT_DIR/tlscope.bpf.o`. Refuses to guess: when no toolchain can build it, the
//! one message says what to install.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

const TARGET: &str = "bpfel-unknown-none";

fn main() -> Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").context("cargo sets CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    let workspace = manifest.ancestors().nth(2).context("the package is two folders down")?;
    for input in ["tracer-ebpf/src", "tracer-ebpf/Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={}", workspace.join(input).display());
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=TLSCOPE_BPF_RUSTC");

    let linker = find_linker()?;
    let toolchain = find_toolchain()?;
    build(workspace, &out, &linker, &toolchain)?;
    let object = out.join("bpf").join(TARGET).join("release/tracer-ebpf");
    fs::copy(&object, out.join("tlscope.bpf.o")).with_context(|| format!("no object at {}", object.display()))?;
    Ok(())
}

/// A compiler that can build for BPF.
struct Toolchain {
    rustc: PathBuf,
    /// Whether `core` must be built as well, because the compiler brings none for the target.
    build_core: bool,
}

fn find_linker() -> Result<PathBuf> {
    let linker = find_program("bpf-linker");
    linker.context(
        "bpf-linker is missing; run scripts/setup, or: apt-get install llvm-22-dev libpolly-22-dev libzstd-dev zlib1g-dev \
         && LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --no-default-features --features llvm-22",
    )
}

/// Prefers a compiler that brings `core` for the target, as Debian's does; else a nightly one with rust-src.
fn find_toolchain() -> Result<Toolchain> {
    let named = env::var_os("TLSCOPE_BPF_RUSTC").map(PathBuf::from);
    for rustc in named.into_iter().chain([PathBuf::from("/usr/bin/rustc")]) {
        if sysroot(&rustc, &[]).is_some_and(|root| root.join("lib/rustlib").join(TARGET).join("lib").is_dir()) {
            return Ok(Toolchain {
                rustc,
                build_core: false,
            });
        }
    }
    if let Some(root) = sysroot(Path::new("rustup"), &["run", "nightly", "rustc"])
        && root.join("lib/rustlib/src/rust/library/core").is_dir()
    {
        return Ok(Toolchain {
            rustc: root.join("bin/rustc"),
            build_core: true,
        });
    }
    bail!(
        "no Rust compiler for {TARGET}; run scripts/setup, or: apt-get install rustc-web rust-web-src \
         libstd-rust-web-dev-bpf (Debian), or: rustup toolchain install nightly --component rust-src"
    )
}

fn sysroot(program: &Path, before: &[&str]) -> Option<PathBuf> {
    let output = Command::new(program)
        .args(before)
        .args(["--print", "sysroot"])
        .output()
        .ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(path.trim()))
}

fn build(workspace: &Path, out: &Path, linker: &Path, toolchain: &Toolchain) -> Result<()> {
    let cargo = env::var_os("CARGO").context("cargo sets CARGO")?;
    let arch = env::var("CARGO_CFG_TARGET_ARCH").context("cargo sets CARGO_CFG_TARGET_ARCH")?;
    let mut command = Command::new(cargo);
    command.current_dir(workspace).args([
        "build",
        "--release",
        "--locked",
        "-p",
        "tracer-ebpf",
        "--bin",
        "tracer-ebpf",
    ]);
    command
        .args(["--features", "programs", "--target", TARGET, "--target-dir"])
        .arg(out.join("bpf"));
    if toolchain.build_core {
        command.args(["-Z", "build-std=core"]);
    }
    clear_outer_build(&mut command);
    // aya-ebpf, and the atomic additions of the programs, need unstable features of any compiler.
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", &toolchain.rustc);
    command.env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", linker);
    let flags = [
        "-C debuginfo=2",
        "-C link-arg=--btf",
        // Else memory is filled byte by byte in a loop, each round of which the verifier walks.
        "-C link-arg=--disable-expand-memcpy-in-order",
        &format!("--cfg=bpf_target_arch=\"{arch}\""),
    ];
    command.env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_RUSTFLAGS", flags.join(" "));
    let status = command.status().context("cargo did not start")?;
    ensure!(status.success(), "the BPF programs did not build");
    Ok(())
}

/// Keeps the settings of the outer build out of the inner one: it is for another target and another compiler.
fn clear_outer_build(command: &mut Command) {
    for name in [
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    command
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTUP_TOOLCHAIN");
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let candidates = env::split_paths(OsStr::new(&path)).chain(home.map(|home| home.join("bin")));
    candidates.map(|folder| folder.join(name)).find(|file| file.is_file())
}
