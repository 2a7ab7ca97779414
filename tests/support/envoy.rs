//! Envoy, from the project's release: its TLS library is linked in, and has no names.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{certificate::Certificate, kernel, loopback, wait};

/// A running Envoy of two workers, which ends TLS and passes all requests on to a server of TLS.
#[derive(Debug)]
pub struct Envoy {
    directory: TempDir,
    child: Child,
    /// The process that `child` has taken over from.
    former: Option<Child>,
    port: u16,
}

/// Has a process write the number that its successor finds it by, close its connections within a second once there is one, and
/// end after two.
const RESTARTABLE: [&str; 7] = [
    "--use-dynamic-base-id",
    "--drain-time-s",
    "1",
    "--parent-shutdown-time-s",
    "2",
    "--drain-strategy",
    "immediate",
];

impl Envoy {
    /// Returns whether it is installed.
    pub fn is_installed() -> Result<bool> {
        Ok(program()?.is_file())
    }

    /// Starts it in front of a server, which it talks to in HTTP/1.1 or in HTTP/2.
    pub fn start(server: u16, protocol: &str) -> Result<Self> {
        Self::start_with(server, protocol, &["--disable-hot-restart"])
    }

    /// Starts it in front of a server such that it can be [restarted](Self::restart).
    pub fn start_restartable(server: u16, protocol: &str) -> Result<Self> {
        Self::start_with(server, protocol, &RESTARTABLE)
    }

    fn start_with(server: u16, protocol: &str, options: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let root = directory.path();
        let certificate = Certificate::make(root)?;
        let port = loopback::free_port()?;
        let listener = listener(port, &certificate, &root.join("access.log"));
        let resources = json!({ "listeners": [listener], "clusters": [cluster(server, protocol)] });
        fs::write(
            root.join("envoy.json"),
            json!({ "static_resources": resources }).to_string(),
        )?;
        let child = spawn(root, options)?;
        let mut envoy = Self {
            directory,
            child,
            former: None,
            port,
        };
        wait::until_true("envoy listens", || {
            ensure!(
                envoy.child.try_wait()?.is_none(),
                "envoy ended: {}",
                fs::read_to_string(envoy.directory.path().join("stderr.log"))?
            );
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
        })?;
        Ok(envoy)
    }

    /// Starts another process, which takes over its sockets that listen. The former one closes its connections.
    pub fn restart(&mut self) -> Result<()> {
        let root = self.directory.path();
        let base = fs::read_to_string(root.join("base"))?;
        let successor = ["--base-id", base.trim(), "--restart-epoch", "1"];
        let options: Vec<_> = successor.into_iter().chain(RESTARTABLE.into_iter().skip(1)).collect();
        let child = spawn(root, &options)?;
        self.former = Some(std::mem::replace(&mut self.child, child));
        Ok(())
    }

    /// Waits until the former process has ended.
    pub fn wait_for_former(&mut self) -> Result<()> {
        let mut former = self.former.take().context("it was not restarted")?;
        wait::until_true("the former envoy has ended", || Ok(former.try_wait()?.is_some()))
    }

    /// Returns its PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/", self.port)
    }

    /// Ends it, and returns the ids of its access log, in order.
    pub fn finish(mut self) -> Result<Vec<String>> {
        kernel::signal(self.child.id(), libc::SIGTERM)?;
        self.child.wait()?;
        let log = fs::read_to_string(self.directory.path().join("access.log"))?;
        let mut ids: Vec<_> = log.lines().map(str::to_owned).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended already.
        for child in [Some(&mut self.child), self.former.as_mut()].into_iter().flatten() {
            drop(kernel::signal(child.id(), libc::SIGTERM));
            drop(child.wait());
        }
    }
}

/// Starts a process with the configuration in a folder.
fn spawn(root: &Path, options: &[&str]) -> Result<Child> {
    let mut command = Command::new(program()?);
    command
        .args(["--concurrency", "2", "--log-level", "error"])
        .args(options);
    command.arg("--base-id-path").arg(root.join("base"));
    command.arg("-c").arg(root.join("envoy.json"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(fs::File::create(root.join("stderr.log"))?);
    command.spawn().context("envoy did not start")
}

/// Returns the path of the program, where `scripts/setup` puts it.
fn program() -> Result<PathBuf> {
    Ok(crate::cache()?.join("envoy-1.40.0/envoy"))
}

fn typed(kind: &str, mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.insert("@type".into(), json!(format!("type.googleapis.com/envoy.{kind}")));
    }
    value
}

fn listener(port: u16, certificate: &Certificate, log: &Path) -> Value {
    let Certificate { key, certificate } = certificate;
    let tls = json!({ "common_tls_context": {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificates": [{ "certificate_chain": { "filename": certificate }, "private_key": { "filename": key } }],
    } });
    let log =
        json!({ "path": log, "log_format": { "text_format_source": { "inline_string": "%REQ(X-REQUEST-ID)%\n" } } });
    let route = json!({ "match": { "prefix": "/" }, "route": { "cluster": "server" } });
    let connections = json!({
        "stat_prefix": "in",
        "generate_request_id": false,
        "preserve_external_request_id": true,
        "access_log": [{
            "name": "file",
            "typed_config": typed("extensions.access_loggers.file.v3.FileAccessLog", log),
        }],
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [route] }] },
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": typed("extensions.filters.http.router.v3.Router", json!({})),
        }],
    });
    let manager = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    json!({
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
        "filter_chains": [{
            "transport_socket": {
                "name": "envoy.transport_sockets.tls",
                "typed_config": typed("extensions.transport_sockets.tls.v3.DownstreamTlsContext", tls),
            },
            "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": typed(manager, connections),
            }],
        }],
    })
}

fn cluster(server: u16, protocol: &str) -> Value {
    let (name, alpn) = if protocol == "h2" {
        ("http2_protocol_options", "h2")
    } else {
        ("http_protocol_options", "http/1.1")
    };
    let tls = json!({ "common_tls_context": { "alpn_protocols": [alpn] } });
    let options = json!({ "explicit_http_config": { name: {} } });
    let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": server } });
    json!({
        "name": "server",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": "server",
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": typed("extensions.transport_sockets.tls.v3.UpstreamTlsContext", tls),
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions":
                typed("extensions.upstreams.http.v3.HttpProtocolOptions", options),
        },
    })
}
