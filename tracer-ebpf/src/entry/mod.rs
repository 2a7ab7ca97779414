//! The programs, by what they are attached to. Each reads its context and calls the layers below; nothing calls them.

mod call;
mod socket;
mod process;
