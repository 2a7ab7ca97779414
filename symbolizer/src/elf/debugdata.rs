//! The compressed symbol table that Fedora and its kin leave in stripped images.
//!
//! `.gnu_debugdata` is an xz stream of an ELF image, whose `.symtab` names the functions that `.dynsym` does not.
//! Whoever built the image chose how large it becomes, so both the result ([`limits::DEBUGDATA`]) and the decoder's
//! memory ([`limits::DEBUGDATA_MEMORY_KIB`]) are bounded.

use std::io::Read as _;

use lzma_rust2::XzReader;

use crate::error::Error;
use crate::limits;

/// Decompresses the image inside `.gnu_debugdata`.
pub(crate) fn decompress(compressed: &[u8]) -> Result<Vec<u8>, Error> {
    decompress_within(compressed, limits::DEBUGDATA)
}

fn decompress_within(compressed: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let reader = XzReader::new_mem_limit(compressed, false, limits::DEBUGDATA_MEMORY_KIB);
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut image = Vec::new();
    reader
        .take(one_more)
        .read_to_end(&mut image)
        .map_err(Error::DebugData)?;
    if image.len() > limit {
        return Err(Error::OverLimit {
            part: ".gnu_debugdata section",
            limit,
        });
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use lzma_rust2::{XzOptions, XzWriter};

    use super::*;

    fn compress(bytes: &[u8]) -> Vec<u8> {
        let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(0)).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn what_was_compressed_comes_back() {
        assert_eq!(decompress(&compress(b"an image")).unwrap(), b"an image");
    }

    #[test]
    fn a_stream_may_fill_the_limit_and_no_more() {
        let stream = compress(&[0; 1000]);
        assert_eq!(decompress_within(&stream, 1000).unwrap().len(), 1000);
        assert!(matches!(
            decompress_within(&stream, 999),
            Err(Error::OverLimit { limit: 999, .. })
        ));
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = compress(&vec![0; limits::DEBUGDATA + 1]);
        assert!(bomb.len() < limits::DEBUGDATA / 1000, "it is small before it is opened");
        assert!(matches!(
            decompress(&bomb),
            Err(Error::OverLimit {
                limit: limits::DEBUGDATA,
                ..
            })
        ));
    }

    #[test]
    fn a_dictionary_over_the_limit_is_refused_before_it_is_allocated() {
        let mut options = XzOptions::with_preset(0);
        options.lzma_options.dict_size = limits::DEBUGDATA_MEMORY_KIB << 10;
        let mut writer = XzWriter::new(Vec::new(), options).unwrap();
        writer.write_all(b"small").unwrap();
        assert!(matches!(
            decompress(&writer.finish().unwrap()),
            Err(Error::DebugData(_))
        ));
    }

    #[test]
    fn a_stream_cut_anywhere_is_an_error() {
        let stream = compress(b"an image");
        for end in 0..stream.len() {
            assert!(decompress(&stream[..end]).is_err(), "cut at {end}");
        }
    }
}
