//! What the rules of a policy ask the gate of each exchange.

use std::sync::Arc;

use super::field_index::{FieldIndex, Head};

/// What is wanted of each exchange.
#[derive(Clone, Debug, Default)]
pub struct WantedFacts {
    /// What is wanted of the fields of requests, and of responses. Nothing is wanted at all without it.
    pub fields: Option<[Arc<FieldIndex>; 2]>,
    /// The size in bytes beyond which the sizes of heads are, of requests and of responses.
    pub sizes: [Option<u64>; 2],
    /// Names of the fields of requests whose fingerprints are, in lower case.
    pub credentials: Vec<String>,
    /// Whether the server name of the handshake is, where it differs from the host.
    pub server_name: bool,
}

impl WantedFacts {
    /// Returns what is wanted of the fields of a head.
    pub(super) fn index(&self, head: Head) -> Option<&FieldIndex> {
        self.fields.as_ref().map(|fields| &**head.of(fields))
    }
}
