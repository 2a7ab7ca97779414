//! nginx as a gateway, its clients, and its hops.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use support::{
    Exchange, Nginx, Trace, Tracer, curl, lines::Lines, loopback::free_port, nginx::Setup, paced::Paced, wait,
};

/// How long halves wait for each other, and how long a process is observed before what has no id joins.
const HOLD: &str = "50ms";

/// nginx in front of an upstream server, which it asks with and without TLS.
pub(super) struct Gateway {
    pub(super) upstream: Paced,
    nginx: Nginx,
    pub(super) port: u16,
}

impl Gateway {
    pub(super) fn start() -> Result<Self> {
        Self::start_with("")
    }

    /// Starts a gateway with more locations.
    pub(super) fn start_with(locations: &str) -> Result<Self> {
        let (upstream, port) = (Paced::start()?, free_port()?);
        let (plain, secure) = (upstream.plain(), upstream.secure());
        let servers = format!(
            "log_format times '$http_x_probe $request_time $upstream_response_time $upstream_connect_time $status';
            limit_req_zone $binary_remote_addr zone=slowly:1m rate=10r/s;
            upstream kept {{ server {}; keepalive 8; }}
            server {{
                listen 127.0.0.1:{port} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;
                access_log times.log times;
                proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffering off;
                location /settle {{ proxy_pass {plain}; }}
                location /plain/ {{ proxy_pass {plain}/; }}
                location /secure/ {{ proxy_pass {secure}/; }}
                location /streamed/ {{ proxy_request_buffering off; proxy_pass {secure}/; }}
                location /mirrored/ {{ mirror /copy; proxy_pass {secure}; }}
                location = /copy {{ internal; proxy_pass {plain}/copy; }}
                location /mirrored/lagging/ {{ mirror /held; proxy_pass {secure}; }}
                location = /held {{ internal; proxy_pass {plain}/held; }}
                location /shadowed/ {{ mirror /shadow; proxy_pass {secure}/; }}
                location = /shadow {{
                    internal; proxy_pass {plain}/never; proxy_read_timeout 500ms; error_page 504 = @again;
                }}
                location @again {{ proxy_pass {plain}; }}
                location /limited/ {{ limit_req zone=slowly burst=100; proxy_pass {secure}/; }}
                location /kept/ {{ proxy_pass https://kept/; }}
                {locations}
            }}",
            upstream.secure_address()
        );
        let nginx = Nginx::start_with(Setup {
            servers: &servers,
            workers: Some(1),
            ..Setup::default()
        })?;
        Ok(Self { upstream, nginx, port })
    }

    pub(super) fn trace(&self) -> Result<Tracer> {
        self.trace_with(HOLD)
    }

    /// Traces it with another hold.
    pub(super) fn trace_with(&self, hold: &str) -> Result<Tracer> {
        Tracer::of(&[self.nginx.master()], &["--hops", "--hold", hold, "-o", "json"])
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    /// Requests a path with an id, which nginx passes on.
    pub(super) fn request(&self, path: &str, id: &str, more: &[&str]) -> Result<()> {
        let (id, probe) = (format!("X-Request-ID: {id}"), format!("X-Probe: {id}"));
        let url = self.url(path);
        let arguments = [&["--fail", "-H", &id, "-H", &probe, &url], more].concat();
        curl::request(&arguments).map(drop)
    }

    /// Requests a path until the gateway has been observed for long enough that a request without an id is joined.
    pub(super) fn settle(&self, tracer: &Tracer) -> Result<()> {
        wait::until_true("a join without an id", || {
            curl::request(&[&self.url("/settle")])?;
            Ok(tracer.has_printed(r#""joined":"#))
        })
    }

    /// Waits until the log has this many lines, and returns it.
    pub(super) fn log(&self, count: usize) -> Result<String> {
        let path = self.nginx.certificate().with_file_name("times.log");
        wait::until("the log of the gateway", || {
            let text = fs::read_to_string(&path)?;
            Ok((text.lines().count() >= count).then_some(text))
        })
    }

    /// Starts a client in the background.
    pub(super) fn spawn(&self, path: &str, id: &str) -> Result<Client> {
        let mut command = Command::new("curl");
        command.args(["--silent", "--insecure", "--http1.1", "--no-buffer", "-H"]);
        command.arg(format!("X-Request-ID: {id}")).arg(self.url(path));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let received = Lines::read(child.stdout.take().context("stdout is not piped")?);
        Ok(Client { child, received })
    }
}

/// A client that runs in the background.
pub(super) struct Client {
    child: Child,
    pub(super) received: Lines,
}

impl Client {
    /// Ends it at once, so that the kernel closes its connection.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.kill());
    }
}

/// A line of type `hop`.
pub(super) struct Hop(pub(super) Value);

impl Hop {
    /// Returns the hops of a trace whose downstream exchange, or the upstream one that is alone, has a path that starts so.
    pub(super) fn of(trace: &Trace, path: &str) -> Result<Vec<Self>> {
        let mut hops: Vec<_> = trace.lines_of("hop")?.into_iter().map(Self).collect();
        hops.retain(|hop| {
            let exchange = hop.downstream().or_else(|| hop.upstreams().into_iter().next());
            exchange.is_some_and(|exchange| exchange.text("/request/path").is_some_and(|of| of.starts_with(path)))
        });
        Ok(hops)
    }

    pub(super) fn downstream(&self) -> Option<Exchange> {
        self.0.get("downstream").cloned().map(Exchange)
    }

    pub(super) fn upstreams(&self) -> Vec<Exchange> {
        let upstreams = self.0["upstreams"].as_array().into_iter().flatten();
        upstreams
            .map(|upstream| Exchange(upstream["exchange"].clone()))
            .collect()
    }

    pub(super) fn joined(&self) -> Vec<Option<&str>> {
        let upstreams = self.0["upstreams"].as_array().into_iter().flatten();
        upstreams.map(|upstream| upstream["joined"].as_str()).collect()
    }

    /// Returns both exchanges of a hop with one upstream exchange.
    pub(super) fn pair(&self) -> [Exchange; 2] {
        let mut upstreams = self.upstreams();
        let (Some(downstream), Some(upstream), true) = (self.downstream(), upstreams.pop(), upstreams.is_empty())
        else {
            panic!("not one downstream and one upstream exchange: {}", self.0);
        };
        [downstream, upstream]
    }
}
