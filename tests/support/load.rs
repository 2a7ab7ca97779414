//! Loads: clients of which some keep their connections and others open one for each request, and busy processes.

use std::process::{Child, Command};

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

/// Processes that use all the time of the CPUs that they get.
#[derive(Debug)]
pub struct Busy(Vec<Child>);

impl Busy {
    /// Starts so many processes.
    pub fn start(count: usize) -> Result<Self> {
        let mut busy = Self(Vec::new());
        for _ in 0..count {
            busy.0
                .push(Command::new("sh").args(["-c", "while :; do :; done"]).spawn()?);
        }
        Ok(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // They never end by themselves.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
