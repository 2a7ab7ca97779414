//! `tlscope inspect -p PID`, compared with binutils and openssl on the same file.

use std::{collections::HashMap, path::Path, process::Command};

use anyhow::{Context as _, Result};
use serde_json::Value;
use support::{Nginx, binary, kernel, run, schema};

/// The output of `readelf` for a library.
struct Readelf {
    symbols: HashMap<String, u64>,
    /// Virtual address, offset and size of each loaded segment.
    segments: Vec<[u64; 3]>,
    notes: String,
}

impl Readelf {
    fn of(path: &Path) -> Result<Self> {
        let ask = |option: &str| run::succeed(Command::new("readelf").args([option, "-W"]).arg(path));
        let symbols = ask("-s")?.stdout.lines().filter_map(symbol).collect();
        let segments = ask("-l")?.stdout.lines().filter_map(segment).collect();
        Ok(Self {
            symbols,
            segments,
            notes: ask("-n")?.stdout,
        })
    }

    fn offset(&self, address: u64) -> Option<u64> {
        let within = |[start, _, size]: &&[u64; 3]| (*start..start + size).contains(&address);
        let [start, offset, _] = self.segments.iter().find(within)?;
        Some(address - start + offset)
    }
}

/// Parses `12: 0000000000035470 130 FUNC GLOBAL DEFAULT 14 SSL_read@@OPENSSL_3.0.0`.
fn symbol(line: &str) -> Option<(String, u64)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let name = words.get(7)?.split('@').next()?.to_owned();
    (*words.get(3)? == "FUNC" && *words.get(6)? != "UND").then_some(())?;
    Some((name, u64::from_str_radix(words.get(1)?, 16).ok()?))
}

/// Parses `LOAD 0x01f000 0x000000000001f000 0x000000000001f000 0x05c4f9 0x05c4f9 R E 0x1000`.
fn segment(line: &str) -> Option<[u64; 3]> {
    let mut words = line.split_whitespace();
    (words.next()? == "LOAD").then_some(())?;
    let numbers: Vec<_> = words.take(4).filter_map(parse_hex).collect();
    Some([*numbers.get(1)?, *numbers.first()?, *numbers.get(3)?])
}

fn parse_hex(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

fn inspect(pid: u32, form: &str) -> Result<String> {
    let output = run::succeed(&mut binary::command(&["inspect", "-p", &pid.to_string(), "-o", form])?)?;
    assert_eq!(output.stderr, "");
    Ok(output.stdout)
}

/// Returns whether a function calls an address, according to objdump.
fn calls(library: &Path, caller: &str, address: u64) -> Result<bool> {
    let mut objdump = Command::new("objdump");
    objdump.args(["-d", "--no-show-raw-insn", &format!("--disassemble={caller}")]);
    let listing = run::succeed(objdump.arg(library))?.stdout;
    let operand = format!("{address:x}");
    let is_call = |line: &str| {
        let mut words = line
            .split_whitespace()
            .skip_while(|word| !matches!(*word, "call" | "jmp"));
        words.nth(1) == Some(operand.as_str())
    };
    Ok(listing.lines().any(is_call))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn function_addresses_match_readelf() -> Result<()> {
    let nginx = Nginx::start()?;
    let printed = inspect(nginx.master(), "json")?;
    let line = schema::parse(printed.lines().next().context("no file is printed")?)?;
    let path = Path::new(line["path"].as_str().context("the line has no path")?);
    assert!(path.ends_with("libssl.so.3"), "{line}");
    let (plan, readelf) = (&line["plan"], Readelf::of(path)?);
    let functions = plan["functions"].as_array().context("the plan has no functions")?;
    for function in functions {
        let name = function["name"].as_str().context("the function has no name")?;
        let address = function["address"]
            .as_str()
            .and_then(parse_hex)
            .context("the function has no address")?;
        assert_eq!(
            function["offset"].as_str().and_then(parse_hex),
            readelf.offset(address),
            "{name}"
        );
        match function["found"].as_str() {
            // A call that copies, in a function that only tables lead to.
            Some("its callers") if function["kind"] == "tap" => {
                assert_eq!(function["proof"], "data flow from the public functions", "{name}");
            }
            // What sends, behind functions that only tables lead to.
            Some("its callers") if function["kind"] == "lift" => {
                assert!(function["operands"]["sequence"].is_string(), "{name}");
            }
            // The end of a way through tables.
            Some("its callers") if name.ends_with("'s method") => {}
            Some("its callers") => {
                let caller = name.strip_suffix("'s callee").context("the name lacks the caller")?;
                assert!(calls(path, caller, address)?, "{caller} does not call {address:#x}");
            }
            found => {
                assert_eq!(found, Some(".dynsym"), "{name}");
                assert_eq!(readelf.symbols.get(name), Some(&address), "{name}");
            }
        }
    }
    let reading = ["SSL_read", "SSL_read's callee"];
    let writing = ["SSL_write", "SSL_write's callee", "SSL_write's method"];
    for names in [&reading[..], &writing, &["SSL_free"]] {
        assert!(
            functions
                .iter()
                .any(|function| names.iter().any(|name| function["name"] == *name)),
            "{names:?} are not found"
        );
    }
    let build_id = plan["build_id"].as_str().context("the plan has no build id")?;
    assert!(
        readelf.notes.contains(&format!("Build ID: {build_id}")),
        "{build_id}: {}",
        readelf.notes
    );
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_version_matches_that_of_the_openssl_command() -> Result<()> {
    let nginx = Nginx::start()?;
    let stated = run::succeed(Command::new("openssl").args(["version", "-v"]))?.stdout;
    let library = stated
        .split_once("(Library: ")
        .map_or(stated.trim(), |(_, library)| library.trim_end_matches(")\n"));
    for form in ["json", "text"] {
        let printed = inspect(nginx.master(), form)?;
        assert!(printed.contains(library), "{library} is not in: {printed}");
        assert!(printed.contains("SSL_read") && printed.contains(".dynsym"), "{printed}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn inspect_by_name_covers_all_processes_of_that_name() -> Result<()> {
    let nginx = Nginx::start()?;
    let printed = run::succeed(&mut binary::command(&["inspect", "--name", "nginx", "-o", "json"])?)?.stdout;
    let lines: Vec<Value> = printed.lines().map(schema::parse).collect::<Result<_>>()?;
    let mut pids = kernel::children(nginx.master())?;
    pids.push(nginx.master());
    for pid in pids {
        let of_pid = |line: &&Value| line["pid"] == pid && line["plan"].is_object();
        assert_eq!(lines.iter().filter(of_pid).count(), 1, "{pid} is not in: {printed}");
    }
    let text = run::succeed(&mut binary::command(&["inspect", "--name", "nginx", "-o", "text"])?)?.stdout;
    assert!(
        text.contains("processes  ") && text.contains(&nginx.master().to_string()),
        "{text}"
    );
    Ok(())
}
