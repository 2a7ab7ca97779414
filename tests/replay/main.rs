//! Tapes through the whole user side: the same records give the same output, byte for byte. No test needs root.

#![cfg(test)]

mod tapes;
mod expected;
mod flags;
mod secrets;
mod made;
mod connections;
