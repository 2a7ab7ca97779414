//! Header compression (RFC 7541), for a decoder that may not have seen the connection's beginning.
