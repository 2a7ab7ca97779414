//! Hops of nginx whose exchanges are more than a request with its answer: mirrors, upgrades, streams, clients that go away and
//! uploads; and the time in the gateway.

mod gateway;
mod exchanges;
mod times;
