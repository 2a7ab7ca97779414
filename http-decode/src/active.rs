//! Requests that are active: seen, and not wholly answered.

use std::borrow::Cow;

use crate::{Exchange, Side, h1};

/// A request that was seen and whose response has not ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ActiveRequest {
    /// The role of the traced process.
    pub side: Side,
    /// The method, if it is one in common use.
    pub method: Option<&'static str>,
}

impl ActiveRequest {
    /// Returns the request of an exchange that has not ended, if it was seen.
    pub(crate) fn of(exchange: &Exchange) -> Option<Self> {
        let request = exchange.request.as_ref()?;
        // It may be something else, and is not emitted either.
        if request.head.is_unparsable() && exchange.response.is_none() {
            return None;
        }
        let method = match request.head.method.as_ref() {
            Some(Cow::Borrowed(method)) => Some(*method),
            Some(Cow::Owned(method)) => h1::method::known(method),
            None => None,
        };
        Some(Self {
            side: exchange.side,
            method,
        })
    }
}
