//! Ids as they are printed: with the masks that they have in their fields.

use http_decode::Exchange;

use super::{Printable, values::Composer};
use crate::ids::Id;

/// The ids of an exchange as they are printed.
#[derive(Debug, Default)]
pub(super) struct PrintedIds<'a> {
    pub(super) request_id: Option<Printable<'a>>,
    pub(super) trace_id: Option<Printable<'a>>,
    pub(super) parent_id: Option<Printable<'a>>,
}

impl Composer<'_> {
    pub(super) fn ids<'a>(&mut self, exchange: &'a Exchange) -> PrintedIds<'a> {
        let ids = self.redactor.id_headers.find(exchange);
        PrintedIds {
            request_id: ids.request_id.map(|id| self.id(id)),
            trace_id: ids.trace_id.map(|id| self.id(id)),
            parent_id: ids.parent_id.map(|id| self.id(id)),
        }
    }

    /// Prints an id. What is secret in its field is masked in it too.
    fn id<'a>(&mut self, id: Id<'a>) -> Printable<'a> {
        let length = id.field.value.map_or(0, |value| value.expose().len());
        let [_, secrets] = self.field_secrets(id.field);
        let secrets = secrets.within(length, &id.part);
        self.text(id.value().expose(), secrets)
    }
}
