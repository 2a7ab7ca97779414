//! Reads machine code: which structure fields a function returns, what it calls, and where a probe may sit in it.
//!
//! There is one interpreter. `x86_64` and `aarch64` translate an instruction to operations, `state` executes those on
//! abstract values. With it `flow` follows the paths of a small function one by one, and `fixpoint` all paths of a large
//! one together. `accessor`, `calls` and `place` are what is asked of it.
//!
//! Where calls of a function end is a question of its whole `graph`, with the functions that it ends by jumping to:
//! `forward` says what holds at each instruction, `finality` from where on the result is final, and `exits` chooses
//! sites. Of Go, `leaves` lists the returns, and `approach` the jumps that stand for them.

mod aarch64;
mod approach;
#[cfg(test)]
mod around;
mod compared;
mod facts;
mod fields;
mod finality;
mod flow;
mod forward;
mod lift;
mod lowest;
mod operation;
mod place;
mod spilled;
mod stack;
mod state;
mod step;
mod table;
mod field;
mod value;
mod x86_64;
pub(crate) mod accessor;
pub(crate) mod bytes;
pub(crate) mod callee;
pub(crate) mod calls;
pub(crate) mod convention;
pub(crate) mod counter;
pub(crate) mod effects;
pub(crate) mod fixpoint;
pub(crate) mod exits;
pub(crate) mod graph;
pub(crate) mod instruction;
pub(crate) mod leaves;
pub(crate) mod loads;
pub(crate) mod site;

pub(crate) use field::Field;
pub(crate) use fields::{Call as AccessorCall, outcomes};
pub(crate) use operation::Destination;
pub(crate) use place::Needs;
pub(crate) use value::Value;
