//! Compares the speed of http-decode with that of httparse and nghttp2.
//!
//! The argument is the number of rounds. Each round runs both sides of a comparison in turn, so that a machine that
//! slows down slows down both. Prints medians and ratios.

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
