//! Connections of no interest: nothing of them is decoded once that is known, and the kernel need not bring it.

use std::fmt;

use http_decode::{Direction, Side};

use super::{Connection, Correlator};
use crate::event::ConnKey;

/// Whether a connection with known addresses, on which the traced process has this side, is of interest.
pub struct Interest(Box<IsOfInterest>);

type IsOfInterest = dyn Fn(&Connection, Side) -> bool + Send;

impl Interest {
    /// Creates an interest in the connections for which this returns `true`.
    pub fn new(is_of_interest: impl Fn(&Connection, Side) -> bool + Send + 'static) -> Self {
        Self(Box::new(is_of_interest))
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interest").finish_non_exhaustive()
    }
}

impl Correlator {
    /// Decodes connections only as far as is needed to see that they are of no interest.
    #[must_use]
    pub fn with_interest(self, interest: Option<Interest>) -> Self {
        Self { interest, ..self }
    }

    /// Gives a connection up if it turns out to be of no interest, and announces that.
    pub(super) fn judge(&mut self, key: ConnKey) {
        let Some(Interest(is_of_interest)) = &self.interest else {
            return;
        };
        let Some(tracked) = self.connections.find(key).filter(|tracked| !tracked.is_judged) else {
            return;
        };
        tracked.update_proxied();
        let (Some(side), Some(_)) = (tracked.decoder.side(), &tracked.connection.local) else {
            return;
        };
        tracked.is_judged = true;
        if !is_of_interest(&tracked.connection, side) {
            tracked.decoder.dismiss();
            for direction in [Direction::Read, Direction::Write] {
                self.announce_skip(key, direction);
            }
        }
    }
}
