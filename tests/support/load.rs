//! A steady load on a gateway that changes: some clients keep their connections, some open one for each request.

use anyhow::Result;

use crate::{Nginx, program::Program};

/// Clients of each kind.
pub const CLIENTS: usize = 4;

/// A running load.
#[derive(Debug)]
pub struct Steady(Program);

impl Steady {
    /// Begins to ask for paths under `/small/`.
    pub fn start(nginx: &Nginx) -> Result<Self> {
        let mut program = Program::python("steady.py", &[&nginx.port().to_string(), &CLIENTS.to_string()])?;
        program.begin()?;
        program.wait_for("begun")?;
        Ok(Self(program))
    }

    /// Ends it when every request has its answer, and gives how many there were.
    pub fn stop(mut self) -> Result<usize> {
        self.0.tell("end")?;
        let answered = self.0.wait_for("answered")?;
        self.0.finish()?;
        Ok(answered.parse()?)
    }
}
