//! Support for the end-to-end tests: starts `tlscope`, gateways and clients, waits for them, and reads their output.
//!
//! Each program runs for one test, in a temporary directory, and ends when it is dropped. Assertions are in the tests,
//! not here.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

pub mod wait;
pub mod http;
pub mod lines;
pub mod run;
pub mod copy;
pub mod search;
pub mod binary;
pub mod tracer;
pub mod trace;
pub mod metrics;
pub mod prometheus;
pub mod rsyslog;
pub mod exchange;
pub mod loopback;
pub mod certificate;
pub mod nginx;
pub mod upgrade;
pub mod access_log;
pub mod schema;
pub mod exchange_log;
pub mod session;
pub mod go;
pub mod rust;
pub mod s2n;
pub mod envoy;
pub mod go_server;
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
pub mod paced;
pub mod unknown_version;
pub mod libraries;
pub mod namespace;
pub mod tmux;
pub mod jail;
pub mod cgroup;
pub mod kernel;
pub mod secrets;
pub mod otlp;

pub use access_log::Access;
pub use apache::Apache;
pub use exchange::Exchange;
pub use exchange_log::LoggedExchange;
pub use haproxy::Haproxy;
pub use lighttpd::Lighttpd;
pub use metrics::Metrics;
pub use nghttpx::Nghttpx;
pub use nginx::Nginx;
pub use prometheus::Prometheus;
pub use rsyslog::Rsyslog;
pub use run::CommandOutput;
pub use tmux::Tmux;
pub use trace::Trace;
pub use tracer::Tracer;

/// Returns the path of a file in this folder, such as a script.
pub fn source_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("support").join(name)
}

/// Returns the folder where `scripts/setup` puts programs.
fn cache() -> Result<PathBuf> {
    let home = env::var_os("HOME").context("HOME is not set")?;
    Ok(Path::new(&home).join(".cache/tlscope-tests"))
}

/// Returns the folder of a bare Debian 12, which `scripts/setup` makes.
pub fn bare_debian() -> Result<PathBuf> {
    Ok(cache()?.join("bookworm"))
}

/// Returns the folder of a Debian 12 with systemd, nginx and curl, which `scripts/setup` makes.
pub fn debian_with_systemd() -> Result<PathBuf> {
    Ok(cache()?.join("bookworm-systemd"))
}

/// Returns the folder of a package of `PyPI`, where `scripts/setup` unpacks it.
pub fn wheel(name: &str) -> Result<PathBuf> {
    let folder = match env::var_os("TLSCOPE_WHEELS") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&env::var_os("HOME").context("HOME is not set")?).join(".cache/tlscope/wheels"),
    };
    Ok(folder.join(name))
}
