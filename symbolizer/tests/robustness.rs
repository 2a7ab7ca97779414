//! No input makes the crate panic: a real library, cut and damaged, gives an error, a reason or a plan, each in
//! reasonable time.

#![cfg(test)]

use std::fs;
use std::sync::LazyLock;

use proptest::prelude::*;
use symbolizer::{FileOffset, Image};

/// Holds the first OpenSSL found, else this test itself: any real image will do.
static REAL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let library = ["/usr/lib/x86_64-linux-gnu/libssl.so.3", "/usr/lib64/libssl.so.3"];
    let own = std::env::current_exe().unwrap();
    library
        .iter()
        .find_map(|path| fs::read(path).ok())
        .unwrap_or_else(|| fs::read(own).unwrap())
});

fn use_everything(image: &[u8]) {
    drop(symbolizer::plan(image, None));
    drop(symbolizer::crypto(image));
}

#[test]
fn a_real_image_cut_anywhere_has_no_plan() {
    let step = REAL.len() / 500;
    for end in (0..REAL.len()).step_by(step).chain(REAL.len() - 64..REAL.len()) {
        let planned = symbolizer::plan(&REAL[..end], None);
        assert!(
            planned.is_err() || planned.is_ok_and(|plans| plans.plans.is_empty()),
            "cut at {end}"
        );
    }
}

/// Chooses bytes all over the image, and more of them where its tables are.
fn damage() -> impl Strategy<Value = Vec<(usize, u8)>> {
    let length = REAL.len();
    let headers = prop_oneof![0..0x400_usize, length - 0x800..length, 0..length];
    prop::collection::vec((headers, any::<u8>()), 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_bytes_are_survived(damage in damage()) {
        let mut image = REAL.clone();
        for (at, byte) in damage {
            image[at] = byte;
        }
        use_everything(&image);
    }

    #[test]
    fn whatever_is_read_as_a_function_is_survived(
        at in 0..REAL.len(),
        length in 0..0x2000_usize,
        damage in prop::collection::vec((0..0x2000_usize, any::<u8>()), 0..8),
    ) {
        let mut code = REAL[at..].iter().copied().take(length).collect::<Vec<_>>();
        for (at, byte) in damage {
            if let Some(target) = code.get_mut(at) {
                *target = byte;
            }
        }
        symbolizer::fuzz_code(&code);
    }

    #[test]
    fn every_mapped_offset_of_a_real_image_comes_back(offset in 0..1_u64 << 20) {
        let image = Image::parse(&REAL).unwrap().unwrap();
        if let Some(address) = image.segments().address_of(FileOffset(offset)) {
            prop_assert_eq!(image.segments().offset_of(address), Some(FileOffset(offset)));
        }
    }
}
