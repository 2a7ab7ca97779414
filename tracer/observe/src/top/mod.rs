//! The live table of `tlscope top`: per route, upstream and status, and the latest exchanges with their heads.
//!
//! A [`Top`] is a sink that adds lines to a [`Board`], which a user interface looks at from another thread whenever it
//! draws. Time is that of the records.

mod traffic;
mod kept;
mod figures;
mod view;
mod board;
mod sink;
#[cfg(test)]
mod tests;

pub use board::Board;
pub use figures::Figures;
pub use kept::Kept;
pub use sink::Top;
pub use view::{Row, RowId, Span, View};
