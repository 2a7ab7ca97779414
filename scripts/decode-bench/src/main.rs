//! How fast http-decode is beside httparse and nghttp2.
//!
//! In: a number of rounds. Out: a few lines of medians and ratios. Every round runs all that is compared, one after the
//! other, so that a machine that slows down slows down all of it. Refuses to judge: that is for whoever reads it.

mod deflater;
mod hpack;
mod http1;
mod http2;
mod inflater;
mod rounds;

use rounds::Rounds;

fn main() {
    let rounds = std::env::args()
        .nth(1)
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(50);
    let rounds = Rounds(rounds);
    http1::run(&rounds);
    http2::run(&rounds);
    hpack::run(&rounds);
}
