//! HTTP/1.1 over `rustls::StreamOwned`, with a thread for each connection.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use crate::{
    common::{self, ANSWER, Failure, ID},
    tls::{self, rustls},
};

/// Answers every request.
pub fn serve(config: Arc<rustls::ServerConfig>) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    common::say(&format!("port {}", listener.local_addr()?.port()));
    for socket in listener.incoming() {
        let (socket, config) = (socket?, Arc::clone(&config));
        thread::spawn(move || common::check(answer_all(socket, config)));
    }
    Ok(())
}

fn answer_all(socket: TcpStream, config: Arc<rustls::ServerConfig>) -> Result<(), Failure> {
    let (local, remote) = (socket.local_addr()?, socket.peer_addr()?);
    let connection = rustls::ServerConnection::new(config)?;
    let mut stream = BufReader::new(rustls::StreamOwned::new(connection, socket));
    while let Some((_, id, length)) = read_head(&mut stream)? {
        stream.read_exact(&mut vec![0; length])?;
        common::log("served", &id, local, remote);
        let length = ANSWER.len();
        let head = format!("HTTP/1.1 200 OK\r\n{ID}: {id}\r\ncontent-length: {length}\r\n\r\n");
        stream.get_mut().write_all(head.as_bytes())?;
        stream.get_mut().write_all(ANSWER.as_bytes())?;
        stream.get_mut().flush()?;
    }
    Ok(())
}

/// Asks over each connection from a thread of its own.
pub fn ask(address: &str, connections: usize, requests: usize) -> Result<(), Failure> {
    let config = tls::client(&[])?;
    let threads: Vec<_> = (0..connections)
        .map(|connection| {
            let (address, config) = (address.to_owned(), Arc::clone(&config));
            thread::spawn(move || common::check(ask_over_one(&address, config, connection, requests)))
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread has panicked")?;
    }
    Ok(())
}

fn ask_over_one(
    address: &str,
    config: Arc<rustls::ClientConfig>,
    connection: usize,
    requests: usize,
) -> Result<(), Failure> {
    let socket = TcpStream::connect(address)?;
    let (local, remote) = (socket.local_addr()?, socket.peer_addr()?);
    let session = rustls::ClientConnection::new(config, tls::name()?)?;
    let mut stream = BufReader::new(rustls::StreamOwned::new(session, socket));
    for request in 0..requests {
        let id = format!("t{connection}-{request}");
        let text =
            format!("POST /{request} HTTP/1.1\r\nhost: localhost\r\n{ID}: {id}\r\ncontent-length: 4\r\n\r\nbody");
        stream.get_mut().write_all(text.as_bytes())?;
        stream.get_mut().flush()?;
        let (first, answered, length) = read_head(&mut stream)?.ok_or("the server has closed the connection")?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        if !first.starts_with("HTTP/1.1 200") || answered != id || body != ANSWER.as_bytes() {
            return Err(format!("{id} was answered with {first}").into());
        }
        common::log("asked", &id, local, remote);
    }
    stream.get_mut().conn.send_close_notify();
    stream.get_mut().flush()?;
    Ok(())
}

/// Reads a head: its first line, the request's ID, and the length of the body. `None` at the end of the stream.
fn read_head<S: Read + Write>(stream: &mut BufReader<S>) -> Result<Option<(String, String, usize)>, Failure> {
    let (mut first, mut id, mut length) = (String::new(), String::new(), 0);
    if stream.read_line(&mut first).unwrap_or(0) == 0 {
        return Ok(None);
    }
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(Some((first, id, length)));
        }
        let (name, value) = line.split_once(':').ok_or("a header has no colon")?;
        if name.eq_ignore_ascii_case(ID) {
            id = value.trim().to_owned();
        } else if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
}
