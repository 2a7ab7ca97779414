//! What the end-to-end tests share: the real `tlscope`, real peers, and ways to wait for them.
//!
//! Everything here is started for one test, in a directory of its own, and is gone when it is dropped. Nothing here
//! knows what a test claims: it starts, waits with a deadline, and hands back what was printed or logged.

use std::path::{Path, PathBuf};

pub mod wait;
pub mod lines;
pub mod run;
pub mod copy;
pub mod search;
pub mod binary;
pub mod tracer;
pub mod trace;
pub mod exchange;
pub mod loopback;
pub mod certificate;
pub mod nginx;
pub mod generations;
pub mod access_log;
pub mod schema;
pub mod told;
pub mod session;
pub mod haproxy;
pub mod apache;
pub mod lighttpd;
pub mod wrk;
pub mod load;
pub mod curl;
pub mod wget;
pub mod h2load;
pub mod nghttp;
pub mod nghttpx;
pub mod program;
pub mod library;
pub mod folder;
pub mod namespace;
pub mod jail;
pub mod cgroup;
pub mod kernel;
pub mod secrets;

pub use access_log::Access;
pub use apache::Apache;
pub use exchange::Exchange;
pub use haproxy::Haproxy;
pub use lighttpd::Lighttpd;
pub use nghttpx::Nghttpx;
pub use nginx::Nginx;
pub use run::Ran;
pub use told::Told;
pub use trace::Trace;
pub use tracer::Tracer;

/// A file that lies beside this one, such as a script.
pub fn source_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("support").join(name)
}
