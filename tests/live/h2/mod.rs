//! HTTP/2 gateways, clients and servers, traced from the first byte or joined late.

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
