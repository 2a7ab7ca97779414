//! The offsets derived from the installed OpenSSL, held against what the library's own functions say at run time.
//!
//! `handshake.c` is compiled against the system's libssl, and does one kind of handshake for each trial. Where the C
//! compiler or the library's headers are absent, a trial that says so is ignored.
#![cfg(test)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use symbolizer::{Facts, Layout};

/// How the program is told that an offset is not known.
const UNKNOWN: &str = "-1";
const OFFSETS: usize = 12;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match Program::compile() {
        Ok(program) => libtest_mimic::run(&arguments, trials(&Arc::new(program))).exit_code(),
        Err(reason) => {
            eprintln!("handshake: ignored, {reason}");
            let name = format!("handshakes (ignored: {reason})");
            let ignored = Trial::test(name, || Err("it cannot run here".into())).with_ignored_flag(true);
            libtest_mimic::run(&arguments, vec![ignored]).exit_code()
        }
    }
}

fn trials(program: &Arc<Program>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (version, version_name) in [("771", "TLS 1.2"), ("772", "TLS 1.3")] {
        for kind in ["fresh", "resumed"] {
            for name in ["heeded", "unheeded"] {
                let program = Arc::clone(program);
                let title = format!("a {kind} handshake of {version_name} with a server name {name} is read as it is");
                trials.push(Trial::test(title, move || program.agrees([version, kind, name])));
            }
        }
    }
    let program = Arc::clone(program);
    let title = "an offset that is off is noticed";
    trials.push(Trial::test(title, move || program.notices_wrong_offsets()));
    trials
}

/// The compiled program; its file goes with it.
struct Program(PathBuf);

impl Drop for Program {
    fn drop(&mut self) {
        // A file that stays behind in the temporary folder harms nothing.
        drop(fs::remove_file(&self.0));
    }
}

impl Program {
    /// Compiles the program, or says what is missing.
    fn compile() -> Result<Self, String> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/handshake/handshake.c");
        let program = Self(std::env::temp_dir().join(format!("symbolizer-handshake-{}", std::process::id())));
        let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        compiler.arg(source).arg("-o").arg(&program.0);
        compiler.args(["-Wall", "-Wextra", "-Werror", "-lssl", "-lcrypto", "-ldl"]);
        let output = compiler
            .output()
            .map_err(|_absent| "there is no C compiler".to_owned())?;
        let errors = String::from_utf8_lossy(&output.stderr);
        if errors.contains("openssl/") && errors.contains("No such file") {
            return Err("OpenSSL's headers are not installed".to_owned());
        }
        assert!(output.status.success(), "{errors}");
        Ok(program)
    }

    fn agrees(&self, kind: [&str; 3]) -> Result<(), Failed> {
        let output = self.run(kind, &self.offsets()?)?;
        let printed = String::from_utf8(output.stdout)?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        let compared: u32 = printed.trim().parse()?;
        // Two ends before and after a handshake, six fields and two of the application protocol each.
        assert!(compared > 30, "{compared}");
        Ok(())
    }

    /// Moves each offset, one at a time; the program must fail each time.
    fn notices_wrong_offsets(&self) -> Result<(), Failed> {
        let right = self.offsets()?;
        for index in 0..OFFSETS {
            let mut wrong = right.clone();
            wrong[index] = (right[index].parse::<u16>()? + 8).to_string();
            let output = self.run(["771", "resumed", "heeded"], &wrong)?;
            assert!(!output.status.success(), "offset {index} does not matter");
        }
        Ok(())
    }

    fn run(&self, kind: [&str; 3], offsets: &[String]) -> Result<Output, Failed> {
        Ok(Command::new(&self.0).args(kind).args(offsets).output()?)
    }

    /// Plans the libssl that the program itself maps.
    fn offsets(&self) -> Result<Vec<String>, Box<dyn Error>> {
        let output = Command::new(&self.0).arg("libraries").output()?;
        let paths = String::from_utf8(output.stdout)?;
        let mut images = paths.lines().map(fs::read);
        let (ssl, crypto) = (
            images.next().ok_or("no libssl")??,
            images.next().ok_or("no libcrypto")??,
        );
        let crypto = symbolizer::crypto(&crypto)?.ok_or("the libcrypto is none")?;
        assert_eq!(symbolizer::needed_crypto(&ssl, &[&crypto])?, Some(0));
        let plans = symbolizer::plan(&ssl, Some(&crypto))?;
        let plan = plans.plans.first().ok_or_else(|| format!("{:?}", plans.reasons))?;
        let layout = plan.layout.map_err(|unknown| unknown.to_string())?;
        Ok(words(&layout, &plan.facts))
    }
}

/// The offsets in the order the program wants them.
fn words(layout: &Layout, facts: &Facts) -> Vec<String> {
    let known = [layout.rbio, layout.wbio, layout.bio_method, layout.bio_num].map(Some);
    let facts = [
        facts.version,
        facts.session,
        facts.session_cipher,
        facts.cipher_name,
        facts.alpn,
        facts.alpn_length,
        facts.server_name,
        facts.session_server_name,
    ];
    let word = |offset: Option<u16>| offset.map_or_else(|| UNKNOWN.to_owned(), |offset| offset.to_string());
    known.into_iter().chain(facts).map(word).collect()
}
