//! HPACK: http-decode's decoder compared with nghttp2's on the same header blocks. Both sum the lengths of all fields.

use std::{fs, path::Path};

use http_decode::h2::hpack::{Bounds, Decoder};
use serde_json::Value;

use crate::{
    deflater::Deflater,
    http2,
    inflater::Inflater,
    rounds::{Rounds, each},
};

/// Header blocks that share a dynamic table.
type Story = Vec<Vec<u8>>;

/// Compares both on the public HPACK stories, one encoder at a time, or on generated blocks if the stories are missing.
pub fn run(rounds: &Rounds) {
    let corpora = std::env::var("TLSCOPE_CORPORA").unwrap_or_default();
    let mut encoders: Vec<_> = fs::read_dir(Path::new(&corpora).join("hpack"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()).filter(|path| path.is_dir()))
        .collect();
    encoders.sort();
    if encoders.is_empty() {
        println!("hpack: the public stories are missing; using generated blocks");
        compare(rounds, "nghttp2's deflater", &[own()]);
    }
    for encoder in encoders {
        let stories: Vec<_> = fs::read_dir(&encoder)
            .expect("a folder")
            .map(|file| story(&file.expect("a file").path()))
            .collect();
        compare(
            rounds,
            &encoder.file_name().unwrap_or_default().to_string_lossy(),
            &stories,
        );
    }
}

fn compare(rounds: &Rounds, name: &str, stories: &[Story]) {
    let (fields, _) = inflate(stories);
    assert_eq!(decode(stories), inflate(stories), "both decoders agree");
    let [theirs, ours] = rounds.compare(|| inflate(stories), || decode(stories));
    println!(
        "hpack, {name}: nghttp2 {:.0} ns a field, http-decode {:.0} ns, ratio {:.2}",
        each(theirs, fields),
        each(ours, fields),
        ours.as_secs_f64() / theirs.as_secs_f64(),
    );
}

fn inflate(stories: &[Story]) -> (usize, usize) {
    let mut sum = (0, 0);
    for story in stories {
        let mut inflater = Inflater::new();
        for block in story {
            let (fields, bytes) = inflater.inflate(block);
            sum = (sum.0 + fields, sum.1 + bytes);
        }
    }
    sum
}

fn decode(stories: &[Story]) -> (usize, usize) {
    let bounds = Bounds {
        max_fields: usize::MAX,
        max_bytes: usize::MAX,
    };
    let mut sum = (0, 0);
    for story in stories {
        let mut decoder = Decoder::from_start(1 << 20);
        for block in story {
            let visit = |field: http_decode::h2::hpack::Header<'_>| {
                sum.0 += 1;
                sum.1 += field.name.map_or(0, <[u8]>::len) + field.value.map_or(0, <[u8]>::len);
            };
            decoder.decode(block, &bounds, visit).expect("a block");
        }
    }
    sum
}

fn story(path: &Path) -> Story {
    let story: Value = serde_json::from_slice(&fs::read(path).expect("a story")).expect("JSON");
    let blocks = story["cases"].as_array().expect("cases").iter().map(|case| {
        let wire = case["wire"].as_str().expect("a block").as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
        wire.chunks(2).map(|pair| byte(pair).expect("hexadecimal")).collect()
    });
    blocks.collect()
}

fn own() -> Story {
    let mut deflater = Deflater::new();
    (0..500)
        .map(|id| deflater.deflate(&http2::request(&format!("/{id}"), &format!("{id:032x}"))))
        .collect()
}
