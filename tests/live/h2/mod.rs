//! HTTP/2: gateways, clients and servers that speak it, from its first byte on and from somewhere in the middle.

mod claims;
mod load;
mod messages;
mod gateway;
mod grpc;
mod websocket;
mod late;
mod join;
mod loss;
mod secrets;
