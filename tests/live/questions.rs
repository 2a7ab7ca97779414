//! The questions about a gateway in README.md: the command that it gives for each is run as it stands there, on a gateway with two
//! upstream servers, and what it prints on a terminal must hold the answer.

use std::{fs, process::Command};

use anyhow::{Context as _, Result};
use support::{Nginx, Tracer, curl, loopback::free_port, nginx::Setup, paced::Paced, run, source_file, wait};

/// The id in README.md for which a real one is put in.
const SHOWN_ID: &str = "0db2f0620a9990b0001a766e5ca2e020";

/// nginx in front of a server that checks who asks, and of one that answers.
struct Gateway {
    checks: Paced,
    shop: Paced,
    nginx: Nginx,
    port: u16,
}

impl Gateway {
    fn start() -> Result<Self> {
        let (checks, shop, port) = (Paced::start()?, Paced::start()?, free_port()?);
        let (check, answer) = (checks.plain(), shop.secure());
        let servers = format!(
            "server {{
                listen 127.0.0.1:{port} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;
                proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header X-Request-ID $request_id;
                proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Debug '';
                proxy_hide_header X-Upstream; add_header X-Gateway nginx always; add_header X-Request-ID $request_id always;
                location /quick/ {{ auth_request /allowed; proxy_pass {answer}/; }}
                location /checkout {{ auth_request /allowed; proxy_pass {answer}/delay/1050; }}
                location /account {{ auth_request /denied; proxy_pass {answer}/; }}
                location = /allowed {{ internal; proxy_pass {check}/allowed; }}
                location = /denied {{ internal; proxy_pass {check}/denied; }}
                location = /gate {{ auth_basic gate; auth_basic_user_file nobody; proxy_pass {answer}/; }}
            }}"
        );
        let nginx = Nginx::start_with(Setup {
            servers: &servers,
            workers: Some(1),
            ..Setup::default()
        })?;
        Ok(Self {
            checks,
            shop,
            nginx,
            port,
        })
    }

    /// Runs the command for a question, with this id put in, and waits until it is ready.
    fn ask(&self, question: &str, id: &str) -> Result<Tracer> {
        let words = command(question)?;
        let pid = self.nginx.master().to_string();
        let words = words.iter().map(|word| match word.as_str() {
            "PID" => &pid,
            SHOWN_ID => id,
            word => word,
        });
        let words: Vec<_> = words.chain(["-o", "text"]).collect();
        assert_eq!(words.first(), Some(&"tlscope"), "{words:?}");
        Tracer::ready(words.get(1..).context("no command")?)
    }

    fn request(&self, path: &str, more: &[&str]) -> Result<()> {
        let url = format!("https://127.0.0.1:{}{path}", self.port);
        curl::request(&[&[url.as_str(), "-H", "X-Debug: 1"], more].concat()).map(drop)
    }
}

/// Returns the words of the command that README.md gives for a question.
fn command(question: &str) -> Result<Vec<String>> {
    let readme = fs::read_to_string(source_file("../../README.md"))?;
    let found = readme.lines().find_map(|line| {
        let (command, comment) = line.split_once(" # ")?;
        (comment.trim_start().starts_with(question) && command.starts_with("tlscope ")).then_some(command)
    });
    let command = found.with_context(|| format!("README.md has no command for: {question}"))?;
    let words = run::succeed(Command::new("sh").args(["-c", &format!("printf '%s\\n' {command}")]))?;
    Ok(words.stdout.lines().map(str::to_owned).collect())
}

/// Waits until a hop is printed as a whole, and returns the lines of all.
fn hops(tracer: Tracer) -> Result<Vec<String>> {
    wait::until_true("a hop", || {
        Ok(tracer.has_printed("--- ") && tracer.printed("").last().is_some_and(String::is_empty))
    })?;
    let trace = tracer.stop()?;
    assert_eq!(trace.code, Some(0));
    Ok(trace.stdout.clone())
}

/// Returns the only line that begins so and contains this.
fn only<'a>(lines: &'a [String], begin: &str, part: &str) -> Result<&'a str> {
    let mut found = lines
        .iter()
        .filter(|line| line.starts_with(begin) && line.contains(part));
    let line = found
        .next()
        .with_context(|| format!("no line `{begin}` with {part} in {lines:#?}"))?;
    assert_eq!(found.next(), None, "a second line `{begin}` with {part} in {lines:#?}");
    Ok(line)
}

/// Returns the number before ` us` in a line.
fn micros(line: &str) -> Result<u64> {
    let (before, _) = line.split_once(" us").with_context(|| format!("no time in {line}"))?;
    let number = before.rsplit(' ').next().unwrap_or_default();
    number.parse().with_context(|| format!("no time in {line}"))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn which_upstream_made_this_request_slow() -> Result<()> {
    let gateway = Gateway::start()?;
    let tracer = gateway.ask("which upstream made this request slow", "")?;
    for path in ["/quick/1", "/checkout", "/quick/2"] {
        gateway.request(path, &[])?;
    }
    let lines = hops(tracer)?;
    let downstream = only(&lines, "--- ", "")?;
    assert!(downstream.contains(" GET /checkout "), "{downstream}");
    assert!(micros(downstream)? >= 1_050_000, "{downstream}");
    let slow = only(&lines, "+++ ", &format!("remote {}", gateway.shop.secure_address()))?;
    assert!(micros(slow)? >= 1_050_000, "{slow}");
    let fast = only(&lines, "+++ ", &format!("remote {}", gateway.checks.plain_address()))?;
    assert!(micros(fast)? < 1_000_000, "{fast}");
    let own = only(&lines, "* ", " us in the gateway")?;
    assert!(micros(own)? < 1_000_000, "{own}");
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn what_did_the_gateway_do_to_my_headers() -> Result<()> {
    let gateway = Gateway::start()?;
    let tracer = gateway.ask("what did the gateway do to my headers", "")?;
    for path in ["/quick/1", "/checkout"] {
        gateway.request(path, &[])?;
    }
    let lines = hops(tracer)?;
    assert!(only(&lines, "--- ", "")?.contains(" GET /checkout "), "{lines:#?}");
    // Those of the request to the server that answered: what follows its line.
    let shop = only(&lines, "+++ ", &format!("remote {}", gateway.shop.secure_address()))?;
    let its: Vec<_> = lines.iter().skip_while(|line| *line != shop).cloned().collect();
    for line in [
        "-x-debug: 1",
        "+x-forwarded-for: 127.0.0.1",
        "-:path: /checkout",
        "+:path: /delay/1050",
        "-x-upstream: python",
        "+x-gateway: nginx",
    ] {
        assert!(its.iter().any(|of| of == line), "no {line} in {its:#?}");
    }
    // One in the request, and one in the response.
    assert_eq!(
        its.iter().filter(|line| line.starts_with("+x-request-id: ")).count(),
        2,
        "{its:#?}"
    );
    let unchanged = |line: &&String| line.contains("user-agent") || line.contains("content-length");
    assert_eq!(its.iter().find(unchanged), None);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn why_does_this_client_get_401() -> Result<()> {
    let gateway = Gateway::start()?;
    let tracer = gateway.ask("why does this client get 401", "")?;
    for path in ["/quick/1", "/account"] {
        gateway.request(path, &[])?;
    }
    let lines = hops(tracer)?;
    assert!(
        only(&lines, "--- ", " GET /account ")?.contains(": 401, "),
        "{lines:#?}"
    );
    let denied = only(&lines, "+++ ", "")?;
    assert!(
        denied.contains(" GET /denied ") && denied.contains(": 401, "),
        "{denied}"
    );
    assert!(
        denied.contains(&format!("remote {}", gateway.checks.plain_address())),
        "{denied}"
    );
    only(&lines, "< www-authenticate: Bearer realm=", "invalid_token")?;
    drop(lines);

    // Of an answer of the gateway itself, no upstream server knows.
    let tracer = gateway.ask("why does this client get 401", "")?;
    gateway.request("/gate", &[])?;
    let lines = hops(tracer)?;
    only(&lines, "--- ", " GET /gate ")?;
    only(&lines, "* no upstream exchange", "")?;
    only(&lines, "< www-authenticate: Basic realm=", "gate")?;
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn where_is_the_request_with_this_id() -> Result<()> {
    let gateway = Gateway::start()?;
    let tracer = gateway.ask("where is the request with this id", "wanted-7")?;
    for id in ["other", "wanted-7", "wanted-70"] {
        gateway.request("/quick/1", &["-H", &format!("X-Request-ID: {id}")])?;
    }
    let lines = hops(tracer)?;
    only(&lines, "--- ", " GET /quick/1 ")?;
    for address in [gateway.checks.plain_address(), gateway.shop.secure_address()] {
        only(&lines, "+++ ", &format!("remote {address}"))?;
    }
    Ok(())
}
