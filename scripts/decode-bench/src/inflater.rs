//! nghttp2's decoder of header blocks.

use std::{
    ffi::{c_int, c_void},
    ptr,
};

use crate::deflater::Field;

const FINAL: c_int = 1;
const EMIT: c_int = 2;

#[link(name = "nghttp2")]
unsafe extern "C" {
    fn nghttp2_hd_inflate_new(inflater: *mut *mut c_void) -> c_int;
    fn nghttp2_hd_inflate_del(inflater: *mut c_void);
    fn nghttp2_hd_inflate_change_table_size(inflater: *mut c_void, bytes: usize) -> c_int;
    fn nghttp2_hd_inflate_hd2(
        inflater: *mut c_void,
        field: *mut Field,
        flags: *mut c_int,
        block: *const u8,
        length: usize,
        is_last: c_int,
    ) -> isize;
    fn nghttp2_hd_inflate_end_headers(inflater: *mut c_void) -> c_int;
}

/// nghttp2's decoder of header blocks.
pub struct Inflater(*mut c_void);

impl Inflater {
    /// Makes a decoder that allows a dynamic table of up to 1 MiB.
    pub fn new() -> Self {
        let mut inflater = ptr::null_mut();
        // SAFETY: the first call writes a pointer to a new inflater, and the second one runs only if that succeeded.
        let made = unsafe {
            nghttp2_hd_inflate_new(&raw mut inflater) == 0
                && nghttp2_hd_inflate_change_table_size(inflater, 1 << 20) == 0
        };
        assert!(made, "no inflater");
        Self(inflater)
    }

    /// Decodes a block. Returns the number of fields, and the total length of their names and values in bytes.
    pub fn inflate(&mut self, mut block: &[u8]) -> (usize, usize) {
        let (mut fields, mut bytes) = (0, 0);
        loop {
            let mut field = Field {
                name: ptr::null(),
                value: ptr::null(),
                name_length: 0,
                value_length: 0,
                flags: 0,
            };
            let mut flags = 0;
            // SAFETY: `self` owns the inflater, the pointer and length are those of `block`, and the outputs outlive
            // the call.
            let read = unsafe {
                nghttp2_hd_inflate_hd2(self.0, &raw mut field, &raw mut flags, block.as_ptr(), block.len(), 1)
            };
            block = &block[usize::try_from(read).expect("a block")..];
            if flags & EMIT != 0 {
                fields += 1;
                bytes += field.name_length + field.value_length;
            }
            if flags & FINAL != 0 {
                // SAFETY: `self` owns the inflater.
                unsafe { nghttp2_hd_inflate_end_headers(self.0) };
                return (fields, bytes);
            }
        }
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: the library made it, and nothing uses it after the drop.
        unsafe { nghttp2_hd_inflate_del(self.0) }
    }
}
