//! The examples of RFC 7541 Appendix C, and the table after each.

use super::*;

#[test]
fn integers_are_read_as_in_c_1() {
    for (block, prefix, value) in [("0a", 5, 10), ("1f9a0a", 5, 1337), ("2a", 8, 42)] {
        let block = bytes(block);
        let mut input = Input::new(&block);
        assert_eq!(input.integer(prefix), Ok(value));
        assert_eq!(input.peek(), None, "all of {value} is read");
    }
}

#[test]
fn a_literal_with_indexing_is_inserted_as_in_c_2_1() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    let block = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    assert_eq!(decode(&mut decoder, block), ["custom-key: custom-header"]);
    assert_eq!(table(&mut decoder), ["custom-key: custom-header"]);
}

#[test]
fn a_literal_without_indexing_is_not_inserted_as_in_c_2_2() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    assert_eq!(
        decode(&mut decoder, "040c 2f73 616d 706c 652f 7061 7468"),
        [":path: /sample/path"]
    );
    assert!(table(&mut decoder).is_empty());
}

#[test]
fn a_literal_never_indexed_is_marked_as_in_c_2_3() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    assert_eq!(
        decode(&mut decoder, "1008 7061 7373 776f 7264 0673 6563 7265 74"),
        ["!password: secret"]
    );
    assert!(table(&mut decoder).is_empty());
}

#[test]
fn an_indexed_field_comes_from_the_static_table_as_in_c_2_4() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    assert_eq!(decode(&mut decoder, "82"), [":method: GET"]);
    assert!(table(&mut decoder).is_empty());
}

#[test]
fn requests_are_decoded_as_in_c_3_and_c_4() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let huffman = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for blocks in [plain, huffman] {
        let mut decoder = Decoder::from_start(TABLE_BYTES);
        let authority = ":authority: www.example.com";
        assert_eq!(
            decode(&mut decoder, blocks[0]),
            [":method: GET", ":scheme: http", ":path: /", authority]
        );
        assert_eq!(table(&mut decoder), [authority]);
        let cache = "cache-control: no-cache";
        assert_eq!(
            decode(&mut decoder, blocks[1]),
            [":method: GET", ":scheme: http", ":path: /", authority, cache]
        );
        assert_eq!(table(&mut decoder), [cache, authority]);
        let custom = "custom-key: custom-value";
        let third = [
            ":method: GET",
            ":scheme: https",
            ":path: /index.html",
            authority,
            custom,
        ];
        assert_eq!(decode(&mut decoder, blocks[2]), third);
        assert_eq!(table(&mut decoder), [custom, cache, authority]);
    }
}

const RESPONSES: [&str; 3] = [
    "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d
     546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "4803 3330 37c1 c0bf",
    "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f
     6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b
     2076 6572 7369 6f6e 3d31",
];
const RESPONSES_HUFFMAN: [&str; 3] = [
    "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7
     8f0b 97c8 e9ae 82ae 43d3",
    "4883 640e ffc1 c0bf",
    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335
     dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
];

#[test]
fn responses_are_decoded_and_evicted_as_in_c_5_and_c_6() {
    let found = ":status: 302";
    let redirect = ":status: 307";
    let private = "cache-control: private";
    let date = "date: Mon, 21 Oct 2013 20:13:21 GMT";
    let later = "date: Mon, 21 Oct 2013 20:13:22 GMT";
    let location = "location: https://www.example.com";
    let gzip = "content-encoding: gzip";
    let cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    for blocks in [RESPONSES, RESPONSES_HUFFMAN] {
        let mut decoder = Decoder::from_start(TABLE_BYTES);
        // The examples' limit of 256 octets comes from a setting, and so would a size update.
        assert!(decode(&mut decoder, "3fe101").is_empty());
        assert_eq!(decode(&mut decoder, blocks[0]), [found, private, date, location]);
        assert_eq!(table(&mut decoder), [location, date, private, found]);
        assert_eq!(decode(&mut decoder, blocks[1]), [redirect, private, date, location]);
        assert_eq!(table(&mut decoder), [redirect, location, date, private]);
        assert_eq!(
            decode(&mut decoder, blocks[2]),
            [":status: 200", private, later, location, gzip, cookie]
        );
        assert_eq!(table(&mut decoder), [cookie, gzip, later]);
    }
}
