//! What is known of the connections of a plan, and what will not be seen of them.

use symbolizer::{
    Facts, Family, Hook, HookKind, LayoutUnknown, NetConn, Plans, ProbePlan, Role, Sending, SymbolSource,
};
use tracer_capture::attach::Kinds;

/// What cannot be traced in any file.
const UNSEEN: &str = "SSL_sendfile and other kernel TLS: the plaintext does not pass through the library";

/// What cannot be traced in `GnuTLS`.
const UNSEEN_OF_GNUTLS: &str =
    "what gnutls_record_recv_packet hands out, and what the kernel sends and receives by kernel TLS";

/// What cannot be traced in Mbed TLS.
const UNSEEN_OF_MBED_TLS: &str = "early data that a client writes with mbedtls_ssl_write_early_data, and copies of the library with other \
                                  names";

/// What cannot be traced in wolfSSL.
const UNSEEN_OF_WOLF_SSL: &str =
    "early data that a client writes with wolfSSL_write_early_data, and copies of the library with other names";

/// What cannot be traced in s2n-tls.
const UNSEEN_OF_S2N: &str =
    "what s2n_sendfile and the kernel send by kernel TLS, and copies of the library with other names";

/// What cannot be traced in NSS.
const UNSEEN_OF_NSS: &str = "early data that a client writes";

/// What cannot be traced in Go's `crypto/tls`.
const UNSEEN_OF_GO: &str = "TLS of Go packages that name their functions otherwise, and QUIC";

/// What cannot be traced of rustls.
const UNSEEN_OF_RUSTLS: &str = "early data that a server receives, what the kernel encrypts (kTLS), and QUIC; a connection \
                                begins anew, as if joined late, when its program has changed the keys that it sends with";

/// Where the addresses of rustls's connections come from.
const ADDRESSES_OF_RUSTLS: &str = "by the ciphertext in what goes through sockets";
const NO_ADDRESSES_OF_RUSTLS: &str = "unknown: where a record has been encrypted, its connection is in no known place";

/// What is known of its handshakes.
const NEGOTIATED_IN_RUSTLS: &str = "unknown: where rustls keeps it is not analysed";

/// What cannot be traced besides if the public functions are probed.
const UNSEEN_BEHIND: &str =
    "SSL objects used through BIO_f_ssl (BIO_read, BIO_write): the library does not call its own entry points there";

/// Returns what will not be seen of a library.
pub(super) fn unseen(plan: &ProbePlan, beside: &Plans) -> Vec<String> {
    // A tap is where the bytes are, however the library was called.
    let is_public = |hook: &Hook| hook.found != SymbolSource::Callers && hook.kind != HookKind::Tap;
    let carries_plaintext = |hook: &&Hook| hook.role.carries_plaintext();
    let (always, has_bios) = match plan.library.family {
        Family::GnuTls => (UNSEEN_OF_GNUTLS, false),
        Family::MbedTls => (UNSEEN_OF_MBED_TLS, false),
        Family::WolfSsl => (UNSEEN_OF_WOLF_SSL, false),
        Family::S2n => (UNSEEN_OF_S2N, false),
        Family::Nss => (UNSEEN_OF_NSS, false),
        Family::Go => (UNSEEN_OF_GO, false),
        Family::Rustls => (UNSEEN_OF_RUSTLS, false),
        Family::OpenSsl | Family::LibreSsl | Family::BoringSsl | Family::AwsLc => (UNSEEN, true),
    };
    let mut unseen = vec![always.to_owned()];
    let used = Kinds::default().choose(plan);
    let mut used = used.iter().map(|chosen| chosen.hook);
    if has_bios && used.by_ref().filter(carries_plaintext).any(is_public) {
        unseen.push(UNSEEN_BEHIND.to_owned());
    }
    unseen.extend(
        beside
            .reasons
            .iter()
            .map(|reason| format!("what another library in the same file does: {reason}")),
    );
    unseen
}

const fn addresses_of_go(below: NetConn) -> &'static str {
    match (below.embedded, below.call) {
        (Some(_), Some(_)) => {
            "from the net.TCPConn that the tls.Conn is on, also through connections that embed another one, else from the \
             socket that a write sends through"
        }
        (Some(_), None) => {
            "from the net.TCPConn that the tls.Conn is on, also through connections that embed another one"
        }
        (None, Some(_)) => {
            "from the net.TCPConn that the tls.Conn is on, else from the socket that a write sends through"
        }
        (None, None) => "from the net.TCPConn that the tls.Conn is on, not through other connections around it",
    }
}

const fn addresses_of_sends(sending: Sending) -> &'static str {
    if sending.frame.is_some() && sending.wbio.is_some() {
        "by the ciphertext in what goes through sockets"
    } else {
        "unknown: what sends records is not found"
    }
}

/// Returns where the addresses of connections come from.
pub(super) fn addresses(plan: &ProbePlan) -> String {
    if plan.sending.within_calls {
        let descriptors = plan.hooks.iter().any(|hook| hook.role == Role::Descriptor);
        return format!(
            "{}from the socket that the thread sends records through within a call",
            if descriptors {
                "from the descriptor that a call sets, else "
            } else {
                ""
            }
        );
    }
    if plan.library.family == Family::GnuTls {
        return "from the session, where it holds a descriptor, else by the ciphertext in what goes through sockets"
            .to_owned();
    }
    if plan.library.family == Family::Rustls {
        let has_record = plan.hooks.iter().any(|hook| hook.role == Role::Ciphertext);
        return if has_record {
            ADDRESSES_OF_RUSTLS
        } else {
            NO_ADDRESSES_OF_RUSTLS
        }
        .to_owned();
    }
    if plan.library.family == Family::Go {
        return match plan.net_conn {
            Some(below) => addresses_of_go(below).to_owned(),
            None => "unknown: the structures of this version of Go have not been examined".to_owned(),
        };
    }
    match &plan.layout {
        Err(LayoutUnknown::Stripped) => addresses_of_sends(plan.sending).to_owned(),
        Ok(_) if plan.socket_name.is_none() => {
            "only from SSL_set_fd: the crypto library's own kind of socket BIO cannot be told from others".to_owned()
        }
        Ok(layout) => format!(
            "from the socket BIO (SSL+{:#x}, BIO+{:#x}, by {})",
            layout.rbio, layout.bio_num, layout.origin
        ),
        Err(unknown) => format!("only from SSL_set_fd: {unknown}"),
    }
}

/// Returns which results of a handshake are known.
pub(super) fn negotiated(plan: &ProbePlan) -> String {
    match plan.library.family {
        Family::Go => negotiated_in_go(&plan.facts).to_owned(),
        Family::Rustls => NEGOTIATED_IN_RUSTLS.to_owned(),
        Family::OpenSsl
        | Family::LibreSsl
        | Family::BoringSsl
        | Family::AwsLc
        | Family::GnuTls
        | Family::MbedTls
        | Family::WolfSsl
        | Family::S2n
        | Family::Nss => negotiated_in_c(&plan.facts),
    }
}

/// Returns which results of a handshake of Go can be read.
const fn negotiated_in_go(facts: &Facts) -> &'static str {
    match facts.version {
        Some(_) => "version, alpn, by the table of versions; cipher, server name unknown",
        None => "unknown: the structures of this version of Go have not been examined",
    }
}

/// Returns which results of a handshake can be read, and for which no offset was found in the library's code.
fn negotiated_in_c(facts: &Facts) -> String {
    let cipher = facts.session.and(facts.session_cipher).and(facts.cipher_name);
    let all = [
        ("version", facts.version),
        ("cipher", cipher),
        ("alpn", facts.alpn.and(facts.alpn_length)),
        ("server name", facts.server_name),
    ];
    let named = |known: bool| {
        let of_kind = all.iter().filter(|(_, offset)| offset.is_some() == known);
        of_kind.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    match (named(true), named(false)) {
        (read, missing) if missing.is_empty() => format!("{read}, by the library's own code"),
        (read, missing) if read.is_empty() => format!("{missing} unknown: the library's own code does not say where"),
        (read, missing) => format!("{read}; {missing} unknown: the library's own code does not say where"),
    }
}
