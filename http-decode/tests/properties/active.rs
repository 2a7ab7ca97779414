//! Active requests are those whose heads were seen and whose exchanges have not ended.

use http_decode::{Connection, Ended, MomentPart, Output, Settings};
use proptest::prelude::*;

use super::support::{conversation, drain, push};

proptest! {
    #[test]
    fn a_request_is_active_until_its_exchange_ends(
        conversation in conversation(),
        cuts in proptest::collection::vec(1_usize..120, 1..20),
    ) {
        let mut connection = Connection::new(Settings::default());
        connection.keep_moments();
        let mut active = 0;
        for piece in conversation.pieces(&cuts) {
            push(&mut connection, &piece);
            let moments = connection.take_moments();
            active += moments.iter().filter(|moment| matches!(moment.part, MomentPart::Request { .. })).count();
            active -= drain(&mut connection).iter().filter(|output| ends(output)).count();
            prop_assert_eq!(connection.active_requests().count(), active);
        }
        connection.close(conversation.end(), Ended::Closed, None);
        prop_assert_eq!(connection.active_requests().count(), 0);
    }
}

/// Returns whether a request ends with an output. Of these conversations, no request is unseen.
fn ends(output: &Output) -> bool {
    match output {
        Output::Exchange(exchange) => exchange.ended.is_some(),
        Output::End(_) => true,
        Output::Gap(_) | Output::Undecoded(..) => false,
    }
}
