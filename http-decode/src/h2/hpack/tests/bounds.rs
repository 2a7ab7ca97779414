//! Every bound, at the bound and one beyond, and blocks that are made to be expensive.

use super::*;

/// Inserts `a: b`, then refers to it: four fields of two octets.
const FOUR_FIELDS: &str = "4001610162bebebe";

fn decoded(bounds: Bounds) -> (usize, Decoded, Vec<String>) {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    let block = bytes(&format!("{FOUR_FIELDS}4001630164"));
    let (lines, result) = decode_all(&mut decoder, &block, &bounds);
    (lines.len(), result.unwrap(), table(&mut decoder))
}

#[test]
fn beyond_max_fields_nothing_is_visited_but_the_table_stays_true() {
    for (max_fields, over_limit) in [(5, 0), (4, 1), (1, 4), (0, 5)] {
        let (visited, decoded, table) = decoded(Bounds { max_fields, ..GENEROUS });
        assert_eq!((visited, decoded.over_limit), (max_fields, over_limit));
        assert_eq!(decoded.fields as usize, max_fields);
        assert_eq!(table, ["c: d", "a: b"]);
    }
}

#[test]
fn beyond_max_bytes_nothing_is_visited_but_the_table_stays_true() {
    for (max_bytes, fields) in [(10, 5), (9, 4), (8, 4), (7, 3), (1, 0), (0, 0)] {
        let (visited, decoded, table) = decoded(Bounds { max_bytes, ..GENEROUS });
        assert_eq!((visited, decoded.over_limit), (fields, 5 - count(fields)));
        assert_eq!(table, ["c: d", "a: b"]);
    }
}

#[test]
fn behind_a_field_that_is_too_long_a_short_one_is_not_visited_either() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    let block = [insertion(b"long", &[b'x'; 100]), vec![0x82]].concat();
    let bounds = Bounds {
        max_bytes: 103,
        ..GENEROUS
    };
    let expected = Decoded {
        over_limit: 2,
        ..Decoded::default()
    };
    assert_eq!(decode_all(&mut decoder, &block, &bounds), (Vec::new(), Ok(expected)));
}

#[test]
fn max_table_bytes_is_how_far_back_an_index_is_known() {
    for (max_table_bytes, known) in [(102, 3), (101, 2), (68, 2), (67, 1), (34, 1), (33, 0), (0, 0)] {
        let mut decoder = Decoder::from_start(max_table_bytes);
        decode(&mut decoder, "4001610162 4001630164 4001650166");
        assert_eq!(table(&mut decoder), ["e: f", "c: d", "a: b"][..known]);
        assert!(decoder.held_bytes() <= Decoder::max_held_bytes(max_table_bytes));
    }
}

#[test]
fn the_initial_limit_is_4096_octets() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    let fits = insertion(b"name", &[b'x'; 4096 - 36]);
    assert_eq!(decode_all(&mut decoder, &fits, &GENEROUS).0.len(), 1);
    assert_eq!(table(&mut decoder).len(), 1);
    let too_large = insertion(b"name", &[b'x'; 4096 - 35]);
    assert_eq!(decode_all(&mut decoder, &too_large, &GENEROUS).0.len(), 1);
    assert!(table(&mut decoder).is_empty());
}

#[test]
fn joined_late_the_table_is_bounded_by_max_table_bytes() {
    let mut decoder = Decoder::new(TABLE_BYTES);
    for _ in 0..60 {
        assert_eq!(
            decode_all(&mut decoder, &insertion(b"name", &[b'x'; 1000]), &GENEROUS)
                .0
                .len(),
            1
        );
    }
    assert_eq!(table(&mut decoder).len(), 60);
}

#[test]
fn memory_is_bounded_whatever_the_size_of_entries() {
    for max_table_bytes in [0, 31, 32, 33, 500, 4096, 65536] {
        for length in [0, 1, 7, 100, 1000, 3000, 40_000] {
            let mut decoder = Decoder::new(max_table_bytes);
            for round in 0..300 {
                let block = insertion(b"", &vec![b'x'; length + round]);
                let mut value = 0;
                let result = decoder.decode(&block, &GENEROUS, |header| value = header.value.map_or(0, <[u8]>::len));
                assert_eq!((result.map(|decoded| decoded.fields), value), (Ok(1), length + round));
                assert!(
                    decoder.held_bytes() <= Decoder::max_held_bytes(max_table_bytes),
                    "{max_table_bytes}, {length}"
                );
            }
        }
    }
}

#[test]
fn memory_is_bounded_after_a_long_string() {
    let mut decoder = Decoder::from_start(0);
    let mut block = vec![0x00];
    encoder::string(&mut block, &vec![b'0'; 100_000], true);
    encoder::string(&mut block, &vec![b'1'; 100_000], true);
    let mut lengths = None;
    let result = decoder.decode(&block, &GENEROUS, |header| {
        lengths = Some((header.name.map(<[u8]>::len), header.value.map(<[u8]>::len)));
    });
    assert!(result.is_ok());
    assert_eq!(lengths, Some((Some(100_000), Some(100_000))));
    assert!(
        decoder.held_bytes() <= Decoder::max_held_bytes(0),
        "{} bytes",
        decoder.held_bytes()
    );
}

#[test]
fn a_decoder_that_saw_nothing_holds_nothing() {
    assert_eq!(Decoder::new(usize::MAX).held_bytes(), 0);
}

#[test]
fn references_by_the_million_are_counted_and_not_visited() {
    let bounds = Bounds {
        max_fields: 100,
        max_bytes: 64 * 1024,
    };
    // One large entry, and many small ones.
    for entries in [vec![insertion(b"name", &[b'x'; 4000])], vec![insertion(b"", b""); 128]] {
        let mut decoder = Decoder::from_start(TABLE_BYTES);
        let references = vec![0xbe; 1_000_000];
        assert!(decode_all(&mut decoder, &entries.concat(), &GENEROUS).1.is_ok());
        let Decoded { fields, over_limit, .. } = decode_all(&mut decoder, &references, &bounds).1.unwrap();
        assert!(fields <= 100);
        assert_eq!(fields + over_limit, 1_000_000);
    }
}

#[test]
fn debug_prints_no_content() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    let mut printed = Vec::new();
    let block = [
        insertion(b"authorization", b"hunter2"),
        bytes("1008 7061 7373 776f 7264 0673 6563 7265 74"),
    ]
    .concat();
    let result = decoder.decode(&block, &GENEROUS, |header| printed.push(format!("{header:?}")));
    assert!(result.is_ok());
    printed.push(format!("{decoder:?}"));
    let printed = printed.concat();
    for secret in ["hunter2", "authorization", "secret", "password", "104, 117"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(
        printed.contains("value_bytes: Some(7)") && printed.contains("entries: 1"),
        "{printed}"
    );
}
