//! nghttp2's encoder of header blocks.

use std::{
    ffi::{c_int, c_void},
    ptr,
};

/// A field, as nghttp2 passes it.
#[repr(C)]
pub struct Field {
    pub name: *const u8,
    pub value: *const u8,
    pub name_length: usize,
    pub value_length: usize,
    pub flags: u8,
}

#[link(name = "nghttp2")]
unsafe extern "C" {
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
