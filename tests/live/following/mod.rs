//! Gateways as they live: processes, libraries and files that come and go while they are traced.

mod generations;
mod forks;
mod late;
mod namespaces;
mod files;
mod selection;
mod first;
mod untraced;
mod growth;
mod deaths;
