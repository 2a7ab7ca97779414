//! Exports: what other systems get of a tape. No test needs root.
//!
//! Where a package of the other system is missing, its tests are ignored with the reason.

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use support::otlp::Collector;

#[path = "../replay/tape_builder.rs"]
#[expect(dead_code, reason = "the tests of replay use all of it")]
mod tape_builder;
#[path = "../replay/tapes.rs"]
#[expect(dead_code, reason = "the tests of replay use all of it")]
mod tapes;
mod exported;
#[cfg(test)]
mod otlp;
#[cfg(test)]
mod otlp_trouble;

fn main() -> ExitCode {
    let trials = otlp::TESTS.iter().chain(otlp_trouble::TESTS);
    let trials = trials.map(|(name, test)| trial(name, otlp_reason, *test)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test with its name.
type Test = (&'static str, fn() -> Result<()>);

/// Makes a test that is ignored if `reason` returns why it cannot run.
fn trial(name: &str, reason: fn() -> Result<Option<&'static str>>, test: fn() -> Result<()>) -> Trial {
    Trial::ignorable_test(name, move || {
        let failed = |error: anyhow::Error| Failed::from(format!("{error:#}"));
        if let Some(reason) = reason().map_err(failed)? {
            return Ok(Completion::ignored_with(reason));
        }
        test().map_err(failed).map(|()| Completion::Completed)
    })
}

fn otlp_reason() -> Result<Option<&'static str>> {
    let is_missing = !Collector::is_installed()?;
    Ok(is_missing.then_some("opentelemetry-proto of PyPI is missing, which scripts/setup downloads"))
}
