//! The command line: arguments, exit codes, and errors in one line. No test needs root.

#![cfg(test)]

mod refused;
mod usage;
mod audit;
mod inspect;
mod debug_file;
mod doctor;
mod manners;
mod tape;
mod schema;
mod object;
mod core_dump;
