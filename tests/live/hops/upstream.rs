//! An upstream server that is asked with and without TLS.

use anyhow::Result;
use support::{Nginx, loopback::free_port, nginx::Setup};

use super::trace::Hop;

/// How a gateway asks its upstream server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Carrier {
    Tls,
    Plain,
}

/// An nginx that listens with TLS on one port, and without on another.
///
/// Paths under `/app/` and `/bare/` give 6 bytes, the former with an `X-Request-ID` of its own.
pub(super) struct Upstream {
    nginx: Nginx,
    plain_port: u16,
}

impl Upstream {
    pub(super) fn start() -> Result<Self> {
        let plain_port = free_port()?;
        let nginx = Nginx::start_with(Setup {
            locations: &format!(
                "listen 127.0.0.1:{plain_port}; listen [::1]:{plain_port};
                location /app/ {{ return 200 'small\\n'; }}
                location /bare/ {{ add_header X-Upstream nginx; return 200 'small\\n'; }}
                location = /auth {{ return 204; }}
                location /retry/ {{ return 500; }}"
            ),
            workers: Some(1),
            ..Setup::default()
        })?;
        Ok(Self { nginx, plain_port })
    }

    pub(super) const fn port(&self, carrier: Carrier) -> u16 {
        match carrier {
            Carrier::Tls => self.nginx.port(),
            Carrier::Plain => self.plain_port,
        }
    }

    /// Returns the URL of its root, without a slash at the end.
    pub(super) fn url(&self, carrier: Carrier) -> String {
        let scheme = match carrier {
            Carrier::Tls => "https",
            Carrier::Plain => "http",
        };
        format!("{scheme}://127.0.0.1:{}", self.port(carrier))
    }

    /// Asserts that this server was asked for each upstream exchange, in this way, as far as their addresses are known.
    pub(super) fn assert_asked(&self, hops: &[Hop], carrier: Carrier) {
        for exchange in hops.iter().flat_map(Hop::upstreams) {
            assert_eq!(
                exchange.text("/tls") == Some("none"),
                carrier == Carrier::Plain,
                "{exchange:?}"
            );
            let Some(remote) = exchange.text("/connection/remote") else {
                continue;
            };
            assert!(remote.ends_with(&format!(":{}", self.port(carrier))), "{exchange:?}");
        }
    }
}
