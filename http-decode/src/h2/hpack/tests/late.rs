//! What is known after joining late, and what is not: one case at a time.

use super::*;

#[test]
fn an_index_is_known_exactly_when_as_many_insertions_were_seen() {
    let mut decoder = Decoder::new(TABLE_BYTES);
    assert_eq!(decode(&mut decoder, "be82c2"), ["?: ?", ":method: GET", "?: ?"]);
    decode(&mut decoder, "4001610162");
    assert_eq!(decode(&mut decoder, "bebf"), ["a: b", "?: ?"]);
    decode(&mut decoder, "4001630164");
    assert_eq!(decode(&mut decoder, "bebfc0"), ["c: d", "a: b", "?: ?"]);
}

#[test]
fn a_literal_with_an_unknown_name_is_inserted_without_one() {
    let mut decoder = Decoder::new(TABLE_BYTES);
    assert_eq!(decode(&mut decoder, "7f000162"), ["?: b"]);
    decode(&mut decoder, "4001630164");
    assert_eq!(decode(&mut decoder, "bebf"), ["c: d", "?: b"]);
    assert_eq!(
        decode(&mut decoder, "7f000165"),
        ["?: e"],
        "its name is that of the entry without one"
    );
    assert_eq!(decode(&mut decoder, "bebfc0"), ["?: e", "c: d", "?: b"]);
}

#[test]
fn a_literal_that_is_not_inserted_moves_no_index() {
    let mut decoder = Decoder::new(TABLE_BYTES);
    decode(&mut decoder, "4001610162");
    assert_eq!(
        decode(&mut decoder, "0f2f01780f3001781f300179"),
        ["a: x", "?: x", "!?: y"]
    );
    assert_eq!(decode(&mut decoder, "be"), ["a: b"]);
}

#[test]
fn a_known_name_may_come_from_an_entry_that_is_evicted_by_it() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    decode(&mut decoder, "3f24 4001610162");
    for _ in 0..100 {
        assert_eq!(decode(&mut decoder, "7e03626f62"), ["a: bob"]);
        assert_eq!(table(&mut decoder), ["a: bob"], "67 octets have room for one entry");
    }
}

#[test]
fn after_a_loss_only_later_entries_are_known() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    decode(&mut decoder, "4001610162");
    decoder.forget();
    assert_eq!(
        decode(&mut decoder, "be4001630164bebf"),
        ["?: ?", "c: d", "c: d", "?: ?"]
    );
}

#[test]
fn after_a_loss_the_limit_is_not_known_either() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    decode(&mut decoder, "203f01");
    assert_eq!(
        decode(&mut decoder, "4001610162be"),
        ["a: b", "?: ?"],
        "32 octets have no room for it"
    );
    decoder.forget();
    assert_eq!(
        decode(&mut decoder, "4001610162be"),
        ["a: b", "a: b"],
        "the lost block may have raised the limit"
    );
}

#[test]
fn an_error_is_a_loss() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    decode(&mut decoder, "4001610162");
    let (lines, result) = decode_all(&mut decoder, &bytes("be 4001630164 80 4001650166"), &GENEROUS);
    assert_eq!(
        (lines, result),
        (vec!["a: b".to_owned(), "c: d".to_owned()], Err(Error::ZeroIndex))
    );
    assert_eq!(
        decode(&mut decoder, "bebf4001670168be"),
        ["?: ?", "?: ?", "g: h", "g: h"]
    );
}

#[test]
fn an_index_beyond_a_table_seen_from_its_start_is_unknown_and_stops_nothing() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    assert_eq!(
        decode(&mut decoder, "be8240016101627f000163"),
        ["?: ?", ":method: GET", "a: b", "?: c"]
    );
    assert_eq!(table(&mut decoder), ["?: c", "a: b"]);
}

#[test]
fn an_entry_larger_than_the_limit_empties_the_table() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    decode(&mut decoder, "3f24");
    decode(&mut decoder, "4001610162");
    let fits = insertion(b"abc", &[b'x'; 32]);
    assert_eq!(decode_all(&mut decoder, &fits, &GENEROUS).0.len(), 1);
    assert_eq!(table(&mut decoder).len(), 1, "67 octets fit");
    let too_large = insertion(b"abcd", &[b'x'; 32]);
    assert_eq!(decode_all(&mut decoder, &too_large, &GENEROUS).0.len(), 1);
    assert!(table(&mut decoder).is_empty(), "68 octets do not");
}

#[test]
fn entries_that_the_encoder_evicted_are_behind_those_it_has() {
    // Joined late, so that the limit is not known here; the encoder's is 60, and has no room for the second entry.
    let mut decoder = Decoder::new(TABLE_BYTES);
    decode(&mut decoder, "4001610162");
    let lines = decode_all(&mut decoder, &insertion(b"c", &[b'x'; 32]), &GENEROUS).0;
    assert_eq!(lines.len(), 1);
    decode(&mut decoder, "4001650166");
    assert_eq!(decode(&mut decoder, "be"), ["e: f"], "the encoder's only entry");
}

#[test]
fn a_size_update_to_nothing_and_back_empties_the_table() {
    for mut decoder in [Decoder::from_start(TABLE_BYTES), Decoder::new(TABLE_BYTES)] {
        decode(&mut decoder, "4001610162");
        assert_eq!(decode(&mut decoder, "203fe11fbe"), ["?: ?"]);
        assert_eq!(decode(&mut decoder, "4001630164bebf"), ["c: d", "c: d", "?: ?"]);
    }
}

#[test]
fn a_size_update_evicts_the_oldest_until_the_rest_fits() {
    for mut decoder in [Decoder::from_start(TABLE_BYTES), Decoder::new(TABLE_BYTES)] {
        decode(&mut decoder, "4001610162 4001630164 4001650166");
        decode(&mut decoder, "3f47");
        assert_eq!(
            table(&mut decoder),
            ["e: f", "c: d", "a: b"],
            "102 octets are three entries"
        );
        decode(&mut decoder, "3f46");
        assert_eq!(table(&mut decoder), ["e: f", "c: d"], "101 octets are not");
        decode(&mut decoder, "3fe11f");
        decode(&mut decoder, "4001670168");
        assert_eq!(table(&mut decoder), ["g: h", "e: f", "c: d"]);
    }
}

#[test]
fn a_static_name_counts_for_its_whole_length() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    // 37 octets are exactly `age` or `:path` without a value, which are 35 and 37.
    assert_eq!(decode(&mut decoder, "3f06 5500 4400"), ["age: ", ":path: "]);
    assert_eq!(table(&mut decoder), [":path: "]);
    decode(&mut decoder, "3f05 4400");
    assert!(table(&mut decoder).is_empty(), "36 octets have no room for it");
}

#[test]
fn flapping_of_the_limit_leaves_memory_as_it_is() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    let flap = [size_update(0), size_update(4096)].concat().repeat(10_000);
    let mut held = None;
    for _ in 0..20 {
        let block = [&flap, insertion(b"name", &[b'x'; 1000]).as_slice()].concat();
        assert_eq!(decode_all(&mut decoder, &block, &GENEROUS).0.len(), 1);
        assert_eq!(*held.get_or_insert(decoder.held_bytes()), decoder.held_bytes());
        assert_eq!(table(&mut decoder).len(), 1);
    }
}
