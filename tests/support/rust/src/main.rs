//! A server or a client of rustls that logs its exchanges.
//!
//! ```text
//! serve HOW CERTIFICATE KEY                        on 127.0.0.1; its port is in the line `port N`
//! ask HOW ADDRESS CONNECTIONS REQUESTS PROTOCOL    that many requests over each of that many connections
//! ```
//!
//! HOW is `threads`, with a thread and a `rustls::StreamOwned` for each connection and HTTP/1.1 alone; or `tokio`, with
//! hyper over `tokio_rustls`, where PROTOCOL is `h1` or `h2`. It prints `up`, and begins at the first line on stdin. A
//! server ends when stdin does, and a client after its requests.

mod common;
mod threads;
mod tls;
mod tokio_hyper;

use std::io::{self, Read as _};

use common::Failure;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    common::say("up");
    io::stdin().read_line(&mut String::new())?;
    match words[..] {
        ["serve", how, certificate, key] => {
            let is_async = how == "tokio";
            let config = tls::server(certificate, key, is_async)?;
            std::thread::spawn(move || {
                let served = if is_async {
                    tokio_hyper::serve(config)
                } else {
                    threads::serve(config)
                };
                common::check(served);
            });
            io::stdin().read_to_end(&mut Vec::new())?;
            std::process::exit(0)
        }
        ["ask", how, address, connections, requests, protocol] => {
            let (connections, requests) = (connections.parse()?, requests.parse()?);
            if how == "tokio" {
                tokio_hyper::ask(address, connections, requests, protocol == "h2")?;
            } else {
                threads::ask(address, connections, requests)?;
            }
            common::say("done");
            io::stdin().read_to_end(&mut Vec::new())?;
            Ok(())
        }
        _ => Err("see the head of main.rs".into()),
    }
}
