//! What the rules of a policy ask of values before they are masked: how long they are, and which are equal.
//!
//! It is found inside the gate, and leaves it as numbers and keyed hashes.

use http_decode::{Exchange, Fields};

use super::{Facts, Sizes, fingerprint::has_mask, values::Composer};

impl Composer<'_> {
    /// Returns what is wanted of an exchange; nothing if nothing is.
    pub(super) fn facts(&self, exchange: &Exchange) -> Option<Box<Facts>> {
        let wanted = &self.redactor.wanted_facts;
        if wanted.is_nothing() {
            return None;
        }
        let request = exchange.request.as_ref().map(|request| &request.head.fields);
        let response = exchange.response.as_ref().map(|response| &response.head.fields);
        let sizes = |fields: Option<&Fields>| fields.filter(|_| wanted.sizes).map(sizes);
        let credential = |name: &String| {
            let field = request?.get(name)?;
            let value = field
                .value
                .filter(|value| !has_mask(value.expose()))?
                .expose()
                .trim_ascii();
            (!value.is_empty()).then(|| self.redactor.session(value)).flatten()
        };
        Some(Box::new(Facts {
            request: sizes(request),
            response: sizes(response),
            credentials: wanted.credentials.iter().map(credential).collect(),
        }))
    }
}

fn sizes(fields: &Fields) -> Sizes {
    let mut sizes = Sizes::default();
    for (at, field) in fields.raw().enumerate() {
        let name = field.name.map_or(0, <[u8]>::len) as u64;
        let value = field.value.map_or(0, |value| value.expose().len()) as u64;
        sizes.bytes = sizes.bytes.saturating_add(name).saturating_add(value);
        if value > sizes.longest {
            (sizes.longest, sizes.longest_at) = (value, at);
        }
    }
    sizes
}
