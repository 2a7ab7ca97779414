//! wolfSSL: lighttpd, and a C program that calls it in different ways.

use anyhow::Result;
use support::lighttpd::Library;

use crate::named::{self, BY_SEND, Client};

const CLIENT: Client = Client {
    flags: &["-DOF_WOLFSSL", "-lwolfssl"],
    library: "wolfssl",
};

named::tests_of!(Library::WolfSsl, CLIENT);

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn functions_of_the_program_s_own_send_through_a_socket_that_is_found() -> Result<()> {
    CLIENT.assert_way("own", BY_SEND)
}
