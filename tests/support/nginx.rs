//! A real nginx with TLS, its own key, port and directory.

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
    Told,
    access_log::{self, Access, FORMAT, Tail},
    certificate::Certificate,
    kernel,
    loopback::{self, free_port},
    search,
    session::{self, FORMAT as SESSION, Session},
    told, wait,
};

/// Bytes of `/large`.
pub const LARGE: u64 = 1024 * 1024;

/// What nginx tells of an exchange; a request without `X-Request-ID`, or with the id 0, is not told of.
const TOLD: &str = "served $http_x_request_id $server_addr $server_port $remote_addr $remote_port";

/// Bytes of `/chunked`, which comes in chunks.
pub const CHUNKED: u64 = 40_000;

/// Workers of an nginx unless the test says otherwise.
const WORKERS: usize = 2;

/// A running nginx.
///
/// Paths under `/small/` give 6 bytes, under `/large/` [`LARGE`] bytes, under `/chunked/` [`CHUNKED`] bytes in chunks;
/// those under `/upload/` take a PUT of any length and give 204, those under `/post/` a POST. Clients choose HTTP/2 or
/// HTTP/1.1 by ALPN; those that offer nothing get HTTP/1.1.
#[derive(Debug)]
pub struct Nginx {
    directory: TempDir,
    /// The master; in the background, the process that started it.
    child: Child,
    pub(crate) master: u32,
    pub(crate) port: u16,
    pub(crate) workers: usize,
    background: bool,
    /// The first master in the background; all that comes of it is in its session.
    session: u32,
}

/// What differs from one nginx to another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup<'a> {
    /// Folder whose libraries are taken before the system's.
    pub libraries: Option<&'a str>,
    /// More locations, in nginx's words.
    pub locations: &'a str,
    /// How many workers there are; none is two. What has few is attached to, and left, sooner.
    pub workers: Option<usize>,
    /// Words before its own, of a program that becomes nginx in the end, such as `ip netns exec NAME`.
    pub within: &'a [&'a str],
    /// The program to run, if it is not the one in the path.
    pub program: Option<&'a Path>,
    /// The port, if it is to be a certain one.
    pub port: Option<u16>,
    /// The user that its workers become, if it is not root.
    pub user: Option<&'a str>,
    /// Whether it goes to the background, as a service does: only then can its binary be upgraded.
    pub background: bool,
}

impl Setup<'_> {
    /// What runs, with an absolute path: nginx executes its own name to upgrade itself.
    fn command(&self) -> Result<Command> {
        let found = search::program("nginx")?;
        let program = self.program.unwrap_or(&found);
        let Some((first, rest)) = self.within.split_first() else {
            return Ok(Command::new(program));
        };
        let mut command = Command::new(first);
        command.args(rest).arg(program);
        Ok(command)
    }
}

impl Nginx {
    /// Starts one and waits until it answers.
    pub fn start() -> Result<Self> {
        Self::start_with(Setup::default())
    }

    /// Starts one that differs.
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

    /// The master's process id.
    pub const fn master(&self) -> u32 {
        self.master
    }

    /// The workers' process ids.
    pub fn workers(&self) -> Result<Vec<u32>> {
        kernel::children(self.master())
    }

    /// The port it listens on, on every loopback address.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    /// The unix socket that it listens on too, with TLS.
    pub fn unix_socket(&self) -> PathBuf {
        self.directory.path().join("tls.sock")
    }

    /// Its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }

    /// What it has logged so far.
    pub fn log(&self) -> Result<Vec<Access>> {
        access_log::read(&self.directory.path().join("access.log"))
    }

    /// Waits until it has logged so many requests.
    pub fn wait_until_logged(&self, count: usize) -> Result<()> {
        let mut tail = Tail::open(&self.directory.path().join("access.log"))?;
        let enough = wait::until_true(&format!("{count} lines in the access log"), || {
            Ok(tail.count()? >= count)
        });
        enough.with_context(|| format!("nginx logged {:?} requests", tail.count()))
    }

    /// Waits until it has logged so many requests, and gives them.
    pub fn wait_for_log(&self, count: usize) -> Result<Vec<Access>> {
        self.wait_until_logged(count)?;
        self.log()
    }

    /// Waits until it has logged so many requests with an `X-Request-ID`, and gives what it says of them.
    pub fn wait_for_told(&self, requests: usize) -> Result<Vec<Told>> {
        told::wait_for_log(&self.directory.path().join("told.log"), requests)
    }

    /// Waits until it has logged so many requests with an `X-Request-ID`, and gives their TLS sessions by the clients'
    /// addresses.
    pub fn sessions(&self, requests: usize) -> Result<HashMap<String, Session>> {
        self.wait_for_told(requests)?;
        session::read(&self.directory.path().join("sessions.log"))
    }

    /// Ends it at once, and its workers.
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

    /// The file that names the master.
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
                // What was started ends once it has begun the master.
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
            // Whatever an upgrade has left is in the session of the first master, which may not have been met yet.
            let unmet = || kernel::pid_in(&self.pid_file()).unwrap_or(0);
            kernel::kill_session(if self.session == 0 { unmet() } else { self.session });
        } else if !stopped {
            // The master does not listen any more; its workers end with their sockets.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// A body in chunks has no length that is known before: server-side includes see to that.
fn configure(root: &Path, certificate: &Certificate, port: u16, setup: Setup<'_>) -> String {
    let (plain, unix) = (root.join("plain.sock"), root.join("tls.sock"));
    let (plain, unix) = (plain.display(), unix.display());
    let (locations, workers) = (setup.locations, setup.workers.unwrap_or(WORKERS));
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
            log_format told '{TOLD}';
            access_log access.log ids;
            log_format session '{SESSION}';
            access_log told.log told if=$http_x_request_id;
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
        }}"
    )
}
