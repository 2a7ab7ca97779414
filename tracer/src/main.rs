//! The command `tlscope`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tracer::command::run()
}
