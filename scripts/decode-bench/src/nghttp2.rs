//! What is used of libnghttp2: its inflater and its deflater.
//!
//! In: header blocks, or fields. Out: lengths of names and values, or header blocks. Refuses blocks that are malformed.

use std::{
    ffi::{c_int, c_void},
    ptr,
};

#[repr(C)]
struct Field {
    name: *const u8,
    value: *const u8,
    name_length: usize,
    value_length: usize,
    flags: u8,
}

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
    fn nghttp2_hd_deflate_new(deflater: *mut *mut c_void, max_bytes: usize) -> c_int;
    fn nghttp2_hd_deflate_del(deflater: *mut c_void);
    fn nghttp2_hd_deflate_bound(deflater: *mut c_void, fields: *const Field, count: usize) -> usize;
    fn nghttp2_hd_deflate_hd(
        deflater: *mut c_void,
        block: *mut u8,
        length: usize,
        fields: *const Field,
        count: usize,
    ) -> isize;
}

/// nghttp2's decoder of header blocks.
pub struct Inflater(*mut c_void);

impl Inflater {
    /// Makes one that lets the encoder's table grow as it says.
    pub fn new() -> Self {
        let mut inflater = ptr::null_mut();
        // SAFETY: the library writes a pointer to a new inflater, and then takes it.
        let made = unsafe {
            nghttp2_hd_inflate_new(&raw mut inflater) == 0
                && nghttp2_hd_inflate_change_table_size(inflater, 1 << 20) == 0
        };
        assert!(made, "no inflater");
        Self(inflater)
    }

    /// Decodes a block; gives the number of fields, and the bytes of their names and values.
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
            // SAFETY: the inflater lives, the block is as long as said, and the field is only written.
            let read = unsafe {
                nghttp2_hd_inflate_hd2(self.0, &raw mut field, &raw mut flags, block.as_ptr(), block.len(), 1)
            };
            block = &block[usize::try_from(read).expect("a block")..];
            if flags & EMIT != 0 {
                fields += 1;
                bytes += field.name_length + field.value_length;
            }
            if flags & FINAL != 0 {
                // SAFETY: the inflater lives.
                unsafe { nghttp2_hd_inflate_end_headers(self.0) };
                return (fields, bytes);
            }
        }
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: it was made by the library, and is not used again.
        unsafe { nghttp2_hd_inflate_del(self.0) }
    }
}

/// nghttp2's encoder of header blocks.
pub struct Deflater(*mut c_void);

impl Deflater {
    /// Makes one with a table of the usual size.
    pub fn new() -> Self {
        let mut deflater = ptr::null_mut();
        // SAFETY: the library writes a pointer to a new deflater.
        assert_eq!(
            unsafe { nghttp2_hd_deflate_new(&raw mut deflater, 4096) },
            0,
            "no deflater"
        );
        Self(deflater)
    }

    /// Encodes fields as a block.
    pub fn deflate(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| Field {
                name: name.as_ptr(),
                value: value.as_ptr(),
                name_length: name.len(),
                value_length: value.len(),
                flags: 0,
            })
            .collect();
        // SAFETY: the deflater lives, and the fields point at strings that outlive both calls.
        unsafe {
            let mut block = vec![0; nghttp2_hd_deflate_bound(self.0, fields.as_ptr(), fields.len())];
            let written = nghttp2_hd_deflate_hd(self.0, block.as_mut_ptr(), block.len(), fields.as_ptr(), fields.len());
            block.truncate(usize::try_from(written).expect("fields"));
            block
        }
    }
}

impl Drop for Deflater {
    fn drop(&mut self) {
        // SAFETY: it was made by the library, and is not used again.
        unsafe { nghttp2_hd_deflate_del(self.0) }
    }
}
