//! A steady load: some clients keep their connections, others open one for each request.

use anyhow::Result;

use crate::{Nginx, program::Program};

/// The number of clients of each kind.
pub const CLIENTS: usize = 4;

/// A running load.
#[derive(Debug)]
pub struct Steady(Program);

impl Steady {
    /// Starts to request paths under `/small/`.
    pub fn start(nginx: &Nginx) -> Result<Self> {
        let mut program = Program::python("steady.py", &[&nginx.port().to_string(), &CLIENTS.to_string()])?;
        program.begin()?;
        program.wait_for("begun")?;
        Ok(Self(program))
    }

    /// Ends the load when every request is answered, and returns their number.
    pub fn stop(mut self) -> Result<usize> {
        self.0.send_line("end")?;
        let answered = self.0.wait_for("answered")?;
        self.0.finish()?;
        Ok(answered.parse()?)
    }
}
