//! An upstream server of which a path says how fast it answers, and with what: see `python/paced.py`.

use anyhow::Result;

use crate::program::Program;

/// A running upstream server.
#[derive(Debug)]
pub struct Paced {
    program: Program,
    plain: u16,
    secure: u16,
}

impl Paced {
    /// Starts it, and waits until it listens.
    pub fn start() -> Result<Self> {
        let mut program = Program::python("paced.py", &[])?;
        program.begin()?;
        let (plain, secure) = (
            program.wait_for("plain ")?.parse()?,
            program.wait_for("secure ")?.parse()?,
        );
        Ok(Self { program, plain, secure })
    }

    /// Returns its URL without TLS and without a path.
    pub fn plain(&self) -> String {
        format!("http://{}", self.plain_address())
    }

    /// Returns its URL with TLS and without a path.
    pub fn secure(&self) -> String {
        format!("https://{}", self.secure_address())
    }

    /// Returns its address without TLS.
    pub fn plain_address(&self) -> String {
        format!("127.0.0.1:{}", self.plain)
    }

    /// Returns its address with TLS.
    pub fn secure_address(&self) -> String {
        format!("127.0.0.1:{}", self.secure)
    }

    /// Waits until this many requests wait for the end of their connections, or have seen it: `waits` or `gone`.
    pub fn wait_for_count(&self, word: &str, count: usize) -> Result<()> {
        self.program.wait_for_count(word, count)
    }

    /// Answers a copy that is held.
    pub fn release_copy(&mut self) -> Result<()> {
        self.program.send_line("release")
    }

    /// Ends the streams of events.
    pub fn end_events(&mut self) -> Result<()> {
        self.program.send_line("enough")
    }
}
