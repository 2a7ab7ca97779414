//! Ids as they are printed: with the masks that they have in their fields.

use http_decode::Exchange;

use super::{Printable, values::Composer};
use crate::ids::{Id, Ids};

impl Composer<'_> {
    /// Prints the request id, the trace id and the parent id.
    pub(super) fn ids<'a>(&mut self, exchange: &'a Exchange) -> [Option<Printable<'a>>; 3] {
        let Ids {
            request_id,
            trace_id,
            parent_id,
        } = self.redactor.id_headers.find(exchange);
        [request_id, trace_id, parent_id].map(|id| id.map(|id| self.id(&id)))
    }

    /// Prints an id. What is secret in its field is masked in it too.
    fn id<'a>(&mut self, id: &Id<'a>) -> Printable<'a> {
        let length = id.field.value.map_or(0, |value| value.expose().len());
        let [_, secrets] = self.field_secrets(id.field);
        let secrets = secrets.within(length, &id.part);
        self.text(id.value().expose(), secrets)
    }
}
