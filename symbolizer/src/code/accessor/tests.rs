//! The forms in which compilers write accessors, each in a few bytes.

use super::*;

/// Reads bytes in hexadecimal, whatever stands behind a semicolon left out.
fn code(listing: &str) -> Vec<u8> {
    let bytes = listing.lines().filter_map(|line| line.split(';').next());
    bytes
        .flat_map(str::split_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn asked<T>(read: impl Fn(Machine, &[u8]) -> Option<T>, listing: &str) -> Option<T> {
    read(Machine::X86_64, &code(listing))
}

#[test]
fn a_plain_accessor_names_its_field() {
    for listing in [
        "48 8b 47 10 c3",
        "f3 0f 1e fa 48 8b 47 10 31 ff 45 31 c0 66 0f ef c0 c3 ; endbr64, and registers cleared at the end",
        "55 48 89 e5 48 89 7d f8 48 8b 45 f8 48 8b 40 10 5d c3 ; -O0: through the frame",
        "55 48 89 e5 48 83 ec 10 48 89 7d f8 48 8b 45 f8 48 8b 40 10 c9 c3 ; the same, left by leave",
        "53 48 89 fb e8 fb 0f 00 00 48 8b 43 10 5b c3 ; after a call, from a saved register",
    ] {
        assert_eq!(asked(pointer, listing), Some(0x10), "{listing}");
    }
}

#[test]
fn a_stack_protector_does_not_hide_the_field() {
    let listing = "48 83 ec 18 64 48 8b 04 25 28 00 00 00 48 89 44 24 08
        48 8b 47 10
        48 8b 54 24 08 64 48 2b 14 25 28 00 00 00 75 05 48 83 c4 18 c3
        e8 fb 0f 00 00 ; never returns";
    assert_eq!(asked(pointer, listing), Some(0x10));
}

#[test]
fn an_accessor_that_first_tells_quic_apart_names_the_field_of_a_tls_connection() {
    // OpenSSL 3.5: a bit of the type says QUIC, and the connection comes from a function.
    let by_bit = "48 85 ff 74 0a 8b 07 85 c0 74 07 a8 80 75 08
        31 c0 c3
        48 8b 47 50 c3
        48 83 ec 18 48 89 7c 24 08 e8 fb 0f 00 00 48 8b 7c 24 08 f6 07 80 74 09 48 83 c4 18 e9 fb 1f 00 00
        48 8b 40 60 48 83 c4 18 c3";
    assert_eq!(asked(pointer_of_ssl, by_bit), Some(0x50));
    assert_eq!(
        asked(pointer, by_bit),
        None,
        "of another object the first word means nothing"
    );
    // OpenSSL 3.2: the QUIC connection is a field.
    let by_number = "8b 17 85 d2 74 10 31 c0 83 fa 01 75 10 48 8b 7f 40 48 85 ff 74 07
        48 8b 87 80 08 00 00 c3";
    assert_eq!(asked(pointer_of_ssl, by_number), Some(0x880));
}

#[test]
fn the_version_is_the_first_word_or_behind_the_type() {
    assert_eq!(asked(int_of_ssl, "8b 07 31 ff c3"), Some(0));
    let behind = "48 85 ff 74 17 8b 07 85 c0 74 0d
        83 c0 80 83 f8 01 0f 96 c0 0f b6 c0 c3
        8b 47 48 c3
        8b 04 25 00 00 00 00 0f 0b ; a null argument ends the program";
    assert_eq!(asked(int_of_ssl, behind), Some(0x48));
}

#[test]
fn a_number_is_no_pointer_and_the_reverse() {
    assert_eq!(asked(pointer, "8b 47 10 c3"), None);
    assert_eq!(asked(int, "48 8b 47 10 c3"), None);
    assert_eq!(asked(int, "0f b7 47 10 c3"), None, "16 bits are not an int");
}

#[test]
fn the_bio_behind_a_buffer_is_told_from_the_buffer() {
    for (listing, field) in [
        (
            "48 8b 47 20 48 85 c0 75 05 48 8b 47 18 c3 48 89 c7 e9 fb 0f 00 00",
            0x18,
        ),
        (
            "53 48 8b 5f 60 48 85 db 75 06 48 8b 47 58 5b c3 48 89 df e8 fb 0f 00 00 5b c3",
            0x58,
        ),
        (
            "48 83 7f 20 00 75 05 48 8b 47 18 c3 48 8b 7f 20 ff 25 00 10 00 00",
            0x18,
        ),
        ("48 8b 47 20 c3 ; no buffer at all, as in BoringSSL", 0x20),
    ] {
        assert_eq!(asked(wbio, listing), Some(field), "{listing}");
    }
    assert_eq!(
        asked(wbio, "8b 47 20 85 c0 75 05 48 8b 47 18 c3 e9 fb 0f 00 00"),
        None,
        "what is tested is no pointer"
    );
    assert_eq!(asked(wbio, "e9 fb 0f 00 00"), None);
}

#[test]
fn the_type_of_a_bio_leads_to_its_method() {
    assert_eq!(asked(first_int_behind, "48 8b 47 08 8b 00 c3"), Some(8));
    assert_eq!(asked(first_int_behind, "48 8b 07 8b 00 c3"), Some(0));
    assert_eq!(asked(first_int_behind, "48 8b 47 08 8b 40 04 c3"), None);
}

#[test]
fn the_cipher_is_behind_the_session_if_there_is_one() {
    let listing = "48 8b 87 18 09 00 00 48 85 c0 74 07 48 8b 80 f8 02 00 00 31 ff c3";
    assert_eq!(asked(pointer_behind, listing), Some([0x918, 0x2f8]));
    assert_eq!(asked(pointer_of_ssl, listing), None);
}

#[test]
fn what_a_null_argument_gives_does_not_matter() {
    let cipher_name = "48 8d 05 ec f9 04 00 48 85 ff 74 04 48 8b 47 08 c3";
    assert_eq!(asked(pointer, cipher_name), Some(8));
    let moved_if = "31 c9 48 8b 47 10 48 85 ff 48 0f 44 c1 c3";
    assert_eq!(asked(pointer, moved_if), Some(0x10));
}

#[test]
fn the_protocol_and_its_length_are_what_is_stored() {
    let short = "48 8b 87 88 04 00 00 31 c9 48 89 06 48 85 c0 74 06 8b 8f 90 04 00 00 89 0a c3";
    assert_eq!(asked(pointer_and_length, short), Some((0x488, 0x490)));
    let long = "53 48 89 d3 48 8b 87 b8 04 00 00 48 89 06 48 85 c0 74 0b
        48 8b 87 c0 04 00 00 89 03 5b c3
        c7 03 00 00 00 00 5b c3";
    assert_eq!(asked(pointer_and_length, long), Some((0x4b8, 0x4c0)));
}

#[test]
fn a_protocol_that_is_kept_elsewhere_is_not_known() {
    let behind = "48 8b 87 a8 00 00 00 48 c7 06 00 00 00 00 48 85 c0 74 18
        48 8b 88 e0 03 00 00 48 89 0e 48 85 c9 74 09 8b 80 e8 03 00 00 89 02 c3
        31 c0 89 02 c3 ; OpenSSL 1.1.1";
    assert_eq!(asked(pointer_and_length, behind), None);
    let without_length = "48 8b 87 88 04 00 00 48 89 06 c3";
    assert_eq!(asked(pointer_and_length, without_length), None);
    let long_length = "48 8b 87 88 04 00 00 48 89 06 48 8b 87 90 04 00 00 48 89 02 c3";
    assert_eq!(asked(pointer_and_length, long_length), None);
}

#[test]
fn two_pointers_are_named_in_the_order_of_the_arguments() {
    let gnutls = "48 8b 87 00 06 00 00 48 89 06 48 8b 87 08 06 00 00 48 89 02 c3";
    assert_eq!(asked(two_pointers, gnutls), Some((0x600, 0x608)));
    assert_eq!(asked(pointer_and_length, gnutls), None);
    let one = "48 8b 87 00 06 00 00 48 89 06 c3";
    assert_eq!(asked(two_pointers, one), None);
}

#[test]
fn the_server_name_is_in_the_ssl_or_its_session() {
    let listing = "53 48 89 fb 85 f6 75 3e 83 7f 38 00 74 26 83 bf d0 04 00 00 00 74 26
        48 8b 47 08 8b 00 3d 03 03 00 00 7f 19
        48 8b 83 18 09 00 00 48 8b 80 30 03 00 00 5b c3
        e8 fb 0f 00 00 85 c0 75 e7
        48 8b 83 58 0a 00 00 5b c3
        31 c0 5b c3 ; asked for another kind of name";
    assert_eq!(asked(pointer_or_behind, listing), Some((0xa58, [0x918, 0x330])));
    let other_kind = "85 f6 74 05 48 8b 47 10 c3 48 83 7f 08 00 74 0f
        48 8b 87 18 09 00 00 48 8b 80 30 03 00 00 c3
        48 8b 87 58 0a 00 00 c3";
    assert_eq!(
        asked(pointer_or_behind, other_kind),
        Some((0xa58, [0x918, 0x330])),
        "the kind is zero"
    );
    let third = "f6 47 08 01 75 05 48 8b 47 10 c3 48 83 7f 08 00 74 0f
        48 8b 87 18 09 00 00 48 8b 80 30 03 00 00 c3
        48 8b 87 58 0a 00 00 c3";
    assert_eq!(asked(pointer_or_behind, third), None);
}

#[test]
fn two_fields_returned_name_neither() {
    assert_eq!(asked(pointer, "f6 47 08 01 75 05 48 8b 47 10 c3 48 8b 47 18 c3"), None);
}

#[test]
fn a_way_that_cannot_be_taken_returns_nothing() {
    assert_eq!(
        asked(pointer, "31 c9 85 c9 75 05 48 8b 47 10 c3 48 8b 47 18 c3"),
        Some(0x10)
    );
}

#[test]
fn what_is_not_the_field_as_it_was_loaded_is_refused() {
    for listing in [
        "48 8b 47 10 31 c0 c3 ; cleared",
        "48 8b 47 10 48 d1 e0 c3 ; shifted",
        "48 8b 47 f8 c3 ; before the structure",
        "48 8b 44 f7 10 c3 ; from an array",
        "64 48 8b 47 10 c3 ; from another segment",
        "8b 47 10 48 8b 40 08 c3 ; through half a pointer",
        "e8 fb 0f 00 00 48 8b 47 10 c3 ; from a register that the call left to chance",
        "57 c6 04 24 00 5f 48 8b 47 10 c3 ; from a pointer that was overwritten in part",
        "48 83 ec 18 48 89 7c 24 08 48 8d 7c 24 08 e8 fb 0f 00 00 48 8b 7c 24 08 48 8b 47 10 48 83 c4 18 c3 ; or may be",
        "48 89 f8 c3 ; the argument itself",
    ] {
        assert_eq!(asked(pointer, listing), None, "{listing}");
    }
}

#[test]
fn the_largest_offset_is_one_less_than_the_one_that_means_unknown() {
    assert_eq!(asked(pointer, "48 8b 87 fe ff 00 00 c3"), Some(0xfffe));
    assert_eq!(asked(pointer, "48 8b 87 ff ff 00 00 c3"), None);
    assert_eq!(asked(pointer, "48 8b 87 00 00 01 00 c3"), None);
}
