//! NSS: lighttpd, a program with libcurl's build for it, and a C program that calls it in different ways.

use anyhow::{Result, ensure};
use support::{Exchange, Nginx, Tracer, lighttpd::Library, nginx, program::Program};

use crate::{
    claims::{assert_addresses_of_client, assert_bodies, assert_facts_of_client, assert_same_requests, stop_after},
    lighttpd::assert_all,
    named::{self, BY_SEND, Client},
};

/// How many requests libcurl sends.
const EACH: usize = 1_000;

/// The size of the bodies that libcurl uploads, in bytes.
const UPLOAD: u64 = 1024 * 1024 + 3;

const CLIENT: Client = Client {
    flags: &[
        "-DOF_NSS",
        "-I/usr/include/nss",
        "-I/usr/include/nspr",
        "-lssl3",
        "-lnss3",
        "-lnspr4",
    ],
    library: "nss",
};

named::tests_of!(Library::Nss, CLIENT);

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_request_of_libcurl_with_nss_is_printed_once() -> Result<()> {
    let nginx = Nginx::start()?;
    let [port, requests] = [nginx.port().to_string(), EACH.to_string()];
    let mut program = Program::c_with("curl_nss.c", &["-l:libcurl-nss.so.4"], &[&port, &requests])?;
    let tracer = Tracer::of(&[program.pid()], &[])?;
    program.begin()?;
    program.wait_for("done")?;
    let (trace, log) = stop_after(tracer, &nginx, EACH)?;
    program.finish()?;
    let exchanges = assert_same_requests(&trace, &log)?;
    assert_all(&exchanges, "/tls", "nss");
    assert_facts_of_client(&exchanges, &log)?;
    assert_addresses_of_client(&exchanges, &log, &nginx, BY_SEND)?;
    for (path, count, sent, received) in [
        ("/small/", EACH / 100 * 98, 0, 6),
        ("/upload/", EACH / 100, UPLOAD, 0),
        ("/large/", EACH / 100, 0, nginx::LARGE),
    ] {
        let is_of = |exchange: &&Exchange| exchange.text("/request/path").is_some_and(|of| of.starts_with(path));
        let of_path: Vec<_> = exchanges.iter().filter(is_of).cloned().collect();
        ensure!(of_path.len() == count, "{} exchanges of {path}", of_path.len());
        assert_bodies(&of_path, sent, received);
    }
    Ok(())
}
