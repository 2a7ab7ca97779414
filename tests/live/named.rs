//! What is asserted of `named.c`, with each library that it is a client of.

use anyhow::{Result, ensure};
use support::{Nginx, Tracer, program::Program};

use crate::{
    claims::{assert_addresses_of_client, assert_bodies, assert_facts_of_client, assert_same_requests},
    following::deaths::wait_until_no_calls,
    lighttpd::assert_all,
};

/// The size of the bodies that the program uploads, in bytes.
const BODY: u64 = 2 * 1024 * 1024 + 5;

/// How many requests the program sends.
const REQUESTS: usize = 40;

/// The source of addresses that were learned from what was sent within a call.
pub(crate) const BY_SEND: &str = "nested_send";

/// A client of a library.
pub(crate) struct Client {
    /// The arguments of the compiler.
    pub(crate) flags: &'static [&'static str],
    /// The library's name in lines.
    pub(crate) library: &'static str,
}

impl Client {
    /// Starts the program.
    fn start(&self, nginx: &Nginx, requests: usize, way: &str) -> Result<Program> {
        let args = [&nginx.port().to_string(), &requests.to_string(), way];
        Program::c_with("named.c", self.flags, &args)
    }

    /// Asserts that each exchange of a program which calls the library in some way is printed once and whole, with the addresses
    /// in nginx's log.
    pub(crate) fn assert_way(&self, way: &str, source: &str) -> Result<()> {
        let before = usize::from(way == "late");
        let nginx = Nginx::start()?;
        let mut program = self.start(&nginx, before + REQUESTS, way)?;
        let earlier = nginx.wait_for_log(before)?.len();
        let tracer = Tracer::of(&[program.pid()], &[])?;
        program.begin()?;
        program.wait_for("done")?;
        tracer.wait_for_lines(REQUESTS)?;
        let trace = tracer.stop()?;
        let log = nginx.wait_for_log(earlier + REQUESTS)?.split_off(earlier);
        program.finish()?;
        let exchanges = assert_same_requests(&trace, &log)?;
        assert_facts_of_client(&exchanges, &log)?;
        assert_all(&exchanges, "/tls", self.library);
        let (gets, puts): (Vec<_>, Vec<_>) = exchanges
            .iter()
            .cloned()
            .partition(|exchange| exchange.text("/request/method") == Some("GET"));
        ensure!(!gets.is_empty() && !puts.is_empty(), "both methods are used");
        assert_bodies(&gets, 0, 6);
        assert_bodies(&puts, BODY, 0);
        assert_addresses_of_client(&exchanges, &log, &nginx, source)
    }

    /// Asserts that a process which is killed within a call leaves nothing in the tables of calls.
    pub(crate) fn assert_killed_within_a_call(&self) -> Result<()> {
        let nginx = Nginx::start()?;
        let mut program = self.start(&nginx, 2, "stuck")?;
        // A trace ends with its last process.
        let other = self.start(&nginx, 0, "plain")?;
        let tracer = Tracer::of(&[program.pid(), other.pid()], &[])?;
        program.begin()?;
        program.wait_for("stuck")?;
        tracer.wait_for_lines(2)?;
        let has_calls = || Ok(tracer.bpf_objects()?.entries("CALLS")? > 0);
        support::wait::until_true("a call in flight", has_calls)?;
        program.kill()?;
        wait_until_no_calls(&tracer)?;
        let trace = tracer.stop()?;
        assert_eq!(trace.code, Some(0));
        assert_same_requests(&trace, &nginx.wait_for_log(2)?).map(drop)
    }
}

/// The tests of a library with lighttpd and with the program, which are the same for each.
macro_rules! tests_of {
    ($library:expr, $client:expr) => {
        #[test]
        #[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
        fn every_exchange_of_lighttpd_has_the_addresses_in_its_log() -> anyhow::Result<()> {
            $crate::lighttpd::assert_addresses_in_log($library, $crate::named::BY_SEND)
        }

        #[test]
        #[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
        fn every_http_2_exchange_of_lighttpd_has_the_addresses_of_its_client() -> anyhow::Result<()> {
            $crate::lighttpd::assert_http_2($library)?;
            $crate::lighttpd::assert_concurrent_streams($library)
        }

        #[test]
        #[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
        fn bodies_of_lighttpd_are_counted_to_the_last_byte() -> anyhow::Result<()> {
            $crate::lighttpd::assert_bodies_counted($library)
        }

        #[test]
        #[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
        fn workers_of_lighttpd_are_followed_and_older_connections_joined() -> anyhow::Result<()> {
            $crate::lighttpd::assert_followed($library)?;
            $crate::lighttpd::assert_joined_late($library)
        }

        #[test]
        #[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
        fn repeated_calls_of_a_client_are_counted_once() -> anyhow::Result<()> {
            // The program also looks at each answer before it reads it, if the library has a function for that.
            $client.assert_way("plain", $crate::named::BY_SEND)?;
            $client.assert_way("again", $crate::named::BY_SEND)
        }

        #[test]
        #[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
        fn a_connection_joined_late_has_addresses() -> anyhow::Result<()> {
            $client.assert_way("late", $crate::named::BY_SEND)
        }

        #[test]
        #[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
        fn a_process_killed_within_a_call_leaves_no_entries() -> anyhow::Result<()> {
            $client.assert_killed_within_a_call()
        }
    };
}
pub(crate) use tests_of;
