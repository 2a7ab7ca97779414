//! Processes, libraries and files that come and go during a trace.

mod reload;
mod forks;
mod late;
mod namespaces;
mod files;
mod selection;
mod first;
mod untraced;
mod growth;
pub(crate) mod deaths;
