//! A server or a client that uses s2n-tls.
//!
//! `serve CERTIFICATE KEY` answers each request with 6 bytes, or with the length of its body in as many bytes.
//! `ask PORT CONNECTIONS REQUESTS` sends GET and POST requests in turn, with bodies of `BODY` bytes.
//!
//! Both print `up`, begin at a line on stdin, log each exchange as `exchange_log.rs` parses it, and end at the end of stdin. The
//! server prints its port, the client `done`. Sockets do not block, so that calls are repeated.

use std::{
    env, fs,
    io::{self, BufRead as _, Read as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::{
        fd::{AsRawFd as _, RawFd},
        raw::{c_int, c_void},
    },
    task::Poll,
    thread,
};

use s2n_tls::{
    callbacks::VerifyHostNameCallback,
    config::{Builder, Config},
    connection::Connection,
    enums::{Blinding, Mode},
    security,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const BODY: usize = 1024 * 1024 + 3;
/// Below what tlscope captures of a call.
const PIECE: usize = 300_007;

struct AnyHost;

impl VerifyHostNameCallback for AnyHost {
    fn verify_host_name(&self, _: &str) -> bool {
        true
    }
}

/// What the library sends and receives with: functions of the program's own, as in `s2n-tls-tokio`.
unsafe extern "C" fn send(context: *mut c_void, from: *const u8, length: u32) -> c_int {
    unsafe { libc::send(context as RawFd, from.cast(), length as usize, libc::MSG_NOSIGNAL) as c_int }
}

unsafe extern "C" fn receive(context: *mut c_void, to: *mut u8, length: u32) -> c_int {
    unsafe { libc::recv(context as RawFd, to.cast(), length as usize, 0) as c_int }
}

struct Tls {
    connection: Connection,
    socket: TcpStream,
    held: Vec<u8>,
}

impl Tls {
    fn new(mode: Mode, config: Config, socket: TcpStream) -> Result<Self> {
        socket.set_nonblocking(true)?;
        let mut connection = Connection::new(mode);
        connection.set_config(config)?;
        connection.set_blinding(Blinding::SelfService)?;
        let context = socket.as_raw_fd() as usize as *mut c_void;
        connection.set_send_callback(Some(send))?;
        connection.set_receive_callback(Some(receive))?;
        unsafe {
            connection.set_send_context(context)?;
            connection.set_receive_context(context)?;
        }
        if mode == Mode::Client {
            connection.set_server_name("localhost")?;
        }
        let mut tls = Self {
            connection,
            socket,
            held: Vec::new(),
        };
        loop {
            match tls.connection.poll_negotiate() {
                Poll::Ready(done) => {
                    done?;
                    return Ok(tls);
                }
                Poll::Pending => tls.wait(libc::POLLIN)?,
            }
        }
    }

    fn wait(&self, events: libc::c_short) -> Result<()> {
        let mut one = libc::pollfd {
            fd: self.socket.as_raw_fd(),
            events,
            revents: 0,
        };
        match unsafe { libc::poll(&raw mut one, 1, 10_000) } {
            1 => Ok(()),
            _ => Err("nothing happens".into()),
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.connection.poll_send(bytes) {
                Poll::Ready(sent) => bytes = &bytes[sent?..],
                Poll::Pending => self.wait(libc::POLLOUT)?,
            }
        }
        Ok(())
    }

    /// Reads more; `false` at the end.
    fn read(&mut self) -> Result<bool> {
        let mut room = [0; 20_000];
        loop {
            match self.connection.poll_recv(&mut room) {
                Poll::Ready(read) => {
                    let read = read?;
                    self.held.extend_from_slice(&room[..read]);
                    return Ok(read > 0);
                }
                Poll::Pending => self.wait(libc::POLLIN)?,
            }
        }
    }

    /// Reads a head and its body; `None` at the end.
    fn message(&mut self) -> Result<Option<(String, Vec<u8>)>> {
        let end = loop {
            if let Some(at) = self.held.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read()? {
                return Ok(None);
            }
        };
        let head = String::from_utf8(self.held[..end].to_vec())?;
        let length = field(&head, "content-length").map_or(Ok(0), str::parse::<usize>)?;
        while self.held.len() < end + length {
            if !self.read()? {
                return Err("the body is cut".into());
            }
        }
        let body = self.held[end..end + length].to_vec();
        self.held.drain(..end + length);
        Ok(Some((head, body)))
    }

    fn log(&self, verb: &str, id: &str) -> Result<()> {
        let words = |address: SocketAddr| format!("{} {}", address.ip().to_canonical(), address.port());
        let (local, remote) = (self.socket.local_addr()?, self.socket.peer_addr()?);
        println!("{verb} {id} {} {}", words(local), words(remote));
        Ok(())
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn answer(socket: TcpStream, config: Config) -> Result<()> {
    let mut tls = Tls::new(Mode::Server, config, socket)?;
    while let Ok(Some((head, body))) = tls.message() {
        let text = if body.is_empty() { "small\n".to_owned() } else { format!("{}", body.len()) };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        tls.log("served", field(&head, "x-request-id").unwrap_or("none"))?;
        tls.write(answer.as_bytes())?;
        if field(&head, "connection") == Some("close") {
            break;
        }
    }
    let _ended = tls.connection.poll_shutdown_send();
    Ok(())
}

fn serve(certificate: &str, key: &str) -> Result<()> {
    let mut builder = Builder::new();
    builder.set_security_policy(&security::DEFAULT_TLS13)?;
    builder.load_pem(&fs::read(certificate)?, &fs::read(key)?)?;
    let config = builder.build()?;
    begin()?;
    let listener = TcpListener::bind("[::]:0")?;
    println!("port {}", listener.local_addr()?.port());
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let config = config.clone();
            thread::spawn(move || answer(socket, config));
        }
    });
    end()
}

fn ask_over(port: u16, connection: usize, requests: usize, config: Config) -> Result<()> {
    let mut tls = Tls::new(Mode::Client, config, TcpStream::connect(("127.0.0.1", port))?)?;
    for number in 0..requests {
        let id = format!("s2n-{connection}-{number}");
        let (method, size) = if number % 2 == 0 { ("GET", 0) } else { ("POST", BODY) };
        let head = format!("{method} /{id} HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\nContent-Length: {size}\r\n\r\n");
        tls.log("asked", &id)?;
        tls.write(head.as_bytes())?;
        for piece in vec![b'b'; size].chunks(PIECE) {
            tls.write(piece)?;
        }
        let expected = if size == 0 { "small\n".to_owned() } else { size.to_string() };
        match tls.message()? {
            Some((_, body)) if body == expected.as_bytes() => {}
            other => return Err(format!("{other:?}").into()),
        }
    }
    Ok(())
}

fn ask(port: u16, connections: usize, requests: usize) -> Result<()> {
    let mut builder = Builder::new();
    builder.set_security_policy(&security::DEFAULT_TLS13)?;
    unsafe { builder.disable_x509_verification()? };
    builder.set_verify_host_callback(AnyHost)?;
    let config = builder.build()?;
    begin()?;
    let one = |connection| {
        let config = config.clone();
        thread::spawn(move || ask_over(port, connection, requests, config))
    };
    let threads: Vec<_> = (0..connections).map(one).collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    println!("done");
    end()
}

fn begin() -> Result<()> {
    println!("up");
    io::stdin().lock().read_line(&mut String::new())?;
    Ok(())
}

fn end() -> Result<()> {
    io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", certificate, key] => serve(certificate, key),
        ["ask", port, connections, requests] => ask(port.parse()?, connections.parse()?, requests.parse()?),
        _ => Err("serve CERTIFICATE KEY, or ask PORT CONNECTIONS REQUESTS".into()),
    }
}
