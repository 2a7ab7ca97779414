//! nginx with TLS, and with its own key, port and directory.

use std::{
    collections::HashMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{
    LoggedExchange,
    access_log::{self, Access, FORMAT, Tail},
    certificate::Certificate,
    exchange_log, kernel,
    loopback::{self, free_port},
    search,
    session::{self, FORMAT as SESSION, Session},
    wait,
};

/// The size of `/large` in bytes.
pub const LARGE: u64 = 1024 * 1024;

/// The format of the exchange log, which leaves out requests without `X-Request-ID`, or with the id 0.
const EXCHANGE: &str = "served $http_x_request_id $server_addr $server_port $remote_addr $remote_port";

/// The size of `/chunked` in bytes, which is sent in chunks.
pub const CHUNKED: u64 = 40_000;

/// The default number of workers.
const WORKERS: usize = 2;

/// A running nginx.
///
/// Paths under `/small/` give 6 bytes, under `/large/` [`LARGE`] bytes, under `/chunked/` [`CHUNKED`] bytes in chunks;
/// those under `/upload/` take a PUT of any length and give 204, those under `/post/` a POST. ALPN selects HTTP/2 or
/// HTTP/1.1; without ALPN it is HTTP/1.1.
#[derive(Debug)]
pub struct Nginx {
    directory: TempDir,
    /// The master, or, in the background, the process that started it.
    child: Child,
    pub(crate) master: u32,
    pub(crate) port: u16,
    pub(crate) workers: usize,
    background: bool,
    /// The first master in the background, which leads the session of all later processes.
    session: u32,
}

/// Options of an nginx.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup<'a> {
    /// A folder for `LD_LIBRARY_PATH`.
    pub libraries: Option<&'a str>,
    /// Additional configuration of the server.
    pub locations: &'a str,
    /// More servers beside it, and what they need, such as log formats.
    pub servers: &'a str,
    /// The number of workers; `None` is two. tlscope attaches to and detaches from fewer workers faster.
    pub workers: Option<usize>,
    /// The beginning of a command that executes nginx, such as `ip netns exec NAME`.
    pub exec_prefix: &'a [&'a str],
    /// The program to run, if not the nginx in `PATH`.
    pub program: Option<&'a Path>,
    /// The port, if not any free one.
    pub port: Option<u16>,
    /// The user of its workers, if not root.
    pub user: Option<&'a str>,
    /// Whether it runs in the background, as a service does, which an upgrade of the binary requires.
    pub background: bool,
}

impl Setup<'_> {
    /// Makes the command, with an absolute path, since nginx executes `argv[0]` to upgrade itself.
    fn command(&self) -> Result<Command> {
        let found = search::program("nginx")?;
        let program = self.program.unwrap_or(&found);
        let Some((first, rest)) = self.exec_prefix.split_first() else {
            return Ok(Command::new(program));
        };
        let mut command = Command::new(first);
        command.args(rest).arg(program);
        Ok(command)
    }
}

impl Nginx {
    /// Starts nginx with default options and waits until its workers run.
    pub fn start() -> Result<Self> {
        Self::start_with(Setup::default())
    }

    /// Starts nginx with options and waits until its workers run.
    pub fn start_with(setup: Setup<'_>) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let port = setup.port.map_or_else(free_port, Ok)?;
        let root = directory.path();
        let certificate = Certificate::make(root)?;
        for folder in ["www/upload", "tmp"] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::write(root.join("www/large"), vec![b'l'; usize::try_from(LARGE)?])?;
        fs::write(root.join("www/chunked.html"), vec![b'c'; usize::try_from(CHUNKED)?])?;
        let configuration = root.join("nginx.conf");
        fs::File::create(&configuration)?.write_all(configure(root, &certificate, port, setup).as_bytes())?;
        let mut command = setup.command()?;
        command
            .arg("-p")
            .arg(root)
            .arg("-c")
            .arg(&configuration)
            .args(["-e", "error.log"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(folder) = setup.libraries {
            command.env("LD_LIBRARY_PATH", folder);
        }
        let child = command.spawn().context("nginx did not start")?;
        let mut nginx = Self {
            directory,
            master: child.id(),
            child,
            port,
            workers: setup.workers.unwrap_or(WORKERS),
            background: setup.background,
            session: 0,
        };
        nginx.wait_until_up()?;
        nginx.session = nginx.master;
        Ok(nginx)
    }

    /// Returns the PID of the master.
    pub const fn master(&self) -> u32 {
        self.master
    }

    /// Returns the PIDs of the workers.
    pub fn workers(&self) -> Result<Vec<u32>> {
        kernel::children(self.master())
    }

    /// Returns the port that it listens on, on every loopback address.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    /// Returns the UNIX socket that it also listens on, with TLS.
    pub fn unix_socket(&self) -> PathBuf {
        self.directory.path().join("tls.sock")
    }

    /// Returns the path of its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }

    /// Returns its access log.
    pub fn log(&self) -> Result<Vec<Access>> {
        access_log::read(&self.directory.path().join("access.log"))
    }

    /// Waits until its access log has this many requests.
    pub fn wait_until_logged(&self, count: usize) -> Result<()> {
        let mut tail = Tail::open(&self.directory.path().join("access.log"))?;
        let enough = wait::until_true(&format!("{count} lines in the access log"), || {
            Ok(tail.count()? >= count)
        });
        enough.with_context(|| format!("nginx logged {:?} requests", tail.count()))
    }

    /// Waits until its access log has this many requests, and returns them.
    pub fn wait_for_log(&self, count: usize) -> Result<Vec<Access>> {
        self.wait_until_logged(count)?;
        self.log()
    }

    /// Waits until its exchange log has this many requests with an `X-Request-ID`, and returns their exchanges.
    pub fn wait_for_exchanges(&self, requests: usize) -> Result<Vec<LoggedExchange>> {
        exchange_log::wait_for(&self.directory.path().join("exchanges.log"), requests)
    }

    /// Waits until its exchange log has this many requests with an `X-Request-ID`, and returns their TLS sessions by
    /// client address.
    pub fn sessions(&self, requests: usize) -> Result<HashMap<String, Session>> {
        self.wait_for_exchanges(requests)?;
        session::read(&self.directory.path().join("sessions.log"))
    }

    /// Ends it and its workers at once.
    pub fn stop(&mut self) -> Result<()> {
        if self.background && kernel::is_running(self.master) {
            kernel::signal(self.master, libc::SIGTERM)?;
            wait::until_true("the end of nginx", || Ok(!kernel::is_running(self.master)))?;
        } else if self.child.try_wait()?.is_none() {
            kernel::signal(self.master, libc::SIGTERM)?;
            wait::until("the end of nginx", || Ok(self.child.try_wait()?))?;
        }
        Ok(())
    }

    /// Returns the PID file of the master.
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.directory.path().join("nginx.pid")
    }

    fn wait_until_up(&mut self) -> Result<()> {
        wait::until("the workers of nginx", || {
            let status = self.child.try_wait()?;
            let error = || fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default();
            ensure!(
                status.is_none_or(|status| self.background && status.success()),
                "nginx ended: {}",
                error()
            );
            if self.background {
                // The started process ends once the master runs.
                let Some(master) = status.and_then(|_| kernel::pid_in(&self.pid_file())) else {
                    return Ok(None);
                };
                self.master = master;
            }
            Ok((self.workers()?.len() == self.workers).then_some(()))
        })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let stopped = self.stop().is_ok();
        if self.background {
            // Processes of an upgrade are in the session of the first master. If the start failed, the PID file names
            // it.
            let from_file = || kernel::pid_in(&self.pid_file()).unwrap_or(0);
            kernel::kill_session(if self.session == 0 { from_file() } else { self.session });
        } else if !stopped {
            // The master does not react; its workers end with their sockets.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Returns the configuration. Server-side includes make responses in chunks, since their length is unknown.
fn configure(root: &Path, certificate: &Certificate, port: u16, setup: Setup<'_>) -> String {
    let (plain, unix) = (root.join("plain.sock"), root.join("tls.sock"));
    let (plain, unix) = (plain.display(), unix.display());
    let (locations, servers) = (setup.locations, setup.servers);
    let workers = setup.workers.unwrap_or(WORKERS);
    let listens = loopback::hosts()
        .into_iter()
        .map(|host| format!("listen {host}:{port} ssl http2;"));
    let listens = listens.collect::<Vec<_>>().concat();
    let user = setup.user.unwrap_or("root");
    let daemon = if setup.background { "on" } else { "off" };
    let Certificate { key, certificate } = certificate;
    let (key, certificate) = (key.display(), certificate.display());
    format!(
        "daemon {daemon}; user {user} root; worker_processes {workers}; pid nginx.pid; error_log error.log;
        env LD_LIBRARY_PATH;
        events {{ worker_connections 1024; }}
        http {{
            log_format ids '{FORMAT}';
            log_format exchange '{EXCHANGE}';
            access_log access.log ids;
            log_format session '{SESSION}';
            access_log exchanges.log exchange if=$http_x_request_id;
            access_log sessions.log session if=$http_x_request_id;
            client_body_temp_path tmp/body; proxy_temp_path tmp/proxy; fastcgi_temp_path tmp/fastcgi;
            uwsgi_temp_path tmp/uwsgi; scgi_temp_path tmp/scgi;
            keepalive_requests 1000000; keepalive_timeout 600s; client_max_body_size 64m;
            large_client_header_buffers 8 16k; server_tokens off;
            default_type text/plain;
            server {{
                {listens}
                listen unix:{unix} ssl http2;
                ssl_certificate {certificate};
                ssl_certificate_key {key};
                add_header X-Request-ID $request_id always;
                root www;
                location /small/ {{ return 200 'small\\n'; }}
                location /large/ {{ rewrite ^ /large break; }}
                location /chunked/ {{ rewrite ^ /chunked.html break; types {{ text/html html; }} ssi on; }}
                location /upload/ {{ dav_methods PUT; }}
                location /post/ {{ proxy_pass http://unix:{plain}:/; }}
                {locations}
            }}
            server {{
                listen unix:{plain};
                access_log off;
                location / {{ return 204; }}
            }}
            {servers}
        }}"
    )
}
