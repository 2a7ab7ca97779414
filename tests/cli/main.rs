//! The command line as its users meet it: words, exit codes, one line for every refusal. No test needs root.

#![cfg(test)]

mod refused;
mod usage;
mod inspect;
mod tape;
mod schema;
mod object;
mod core_dump;
