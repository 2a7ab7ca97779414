//! The command `tlscope`.
fn main() {}
