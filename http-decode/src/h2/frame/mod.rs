//! Frames (RFC 9113 sections 4 and 6) of one direction.
