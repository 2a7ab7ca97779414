//! Every limit, at its bound and one beyond, and its counter; and hostile peers, which stay within the memory limit.
#![cfg(test)]

mod bounds;
mod hostile;
mod tape;
