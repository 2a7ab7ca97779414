//! The user interface of `tlscope top`.
//!
//! It runs in a thread of its own and looks at a [`Board`](tracer_observe::top::Board), to which the decoding thread adds.
//! `state` is what the user has chosen, and changes with keys; `draw` makes a screen of it and of a view of the board, and both
//! know no terminal.

mod columns;
mod state;
mod draw;
mod terminal;
mod sink;

pub(crate) use sink::TopSink;
pub(crate) use terminal::{Terminal, give_back};
