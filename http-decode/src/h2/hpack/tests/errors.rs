//! Blocks and strings that are not well-formed, and those that just are.

use super::encoder::{CODES, code_bits, pack};
use super::*;

/// Expects an error behind the field `:method: GET`, which must be shown, and the table to be forgotten.
fn expect_error(error: Error, rest: &str) {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    decode(&mut decoder, "4001610162");
    let (lines, result) = decode_all(&mut decoder, &bytes(&format!("be{rest}")), &GENEROUS);
    assert_eq!((lines, result), (vec!["a: b".to_owned()], Err(error)), "{rest}");
    assert!(
        table(&mut decoder).is_empty(),
        "{rest}: what the rest inserted is not known"
    );
}

/// Decodes a Huffman-coded value.
fn huffman(coded: &[u8]) -> Result<Vec<u8>, Error> {
    let mut block = vec![0x04];
    encoder::integer(&mut block, 0x80, 7, count(coded.len()));
    block.extend(coded);
    let mut value = None;
    let result = Decoder::new(0).decode(&block, &GENEROUS, |header| value = header.value.map(<[u8]>::to_vec));
    result.map(|_| value.expect("a literal's value is known"))
}

#[test]
fn a_block_may_end_anywhere_but_within_a_field() {
    for rest in [
        "ff", "ff80", "40", "4001", "400161", "40016101", "44", "440561", "7f", "00", "10", "5f", "4085ff",
    ] {
        expect_error(Error::Truncated, rest);
    }
}

#[test]
fn a_string_longer_than_the_block_is_truncated_whatever_it_announces() {
    expect_error(Error::Truncated, "007fffffffff07");
    expect_error(Error::Truncated, "00ffffffffff07");
}

#[test]
fn an_integer_has_32_bits_and_five_bytes_behind_its_first() {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    assert_eq!(decode(&mut decoder, "ff80ffffff0f"), ["?: ?"], "2^32 - 1");
    expect_error(Error::IntegerOverflow, "ff81ffffff0f");
    expect_error(Error::IntegerOverflow, "ffffffffff7f");
    assert_eq!(decode(&mut decoder, "ff8080808000"), ["?: ?"], "127, with zeros");
    expect_error(Error::IntegerOverflow, "ff808080808000");
    expect_error(Error::Truncated, "ff80808080");
}

#[test]
fn an_index_of_zero_is_an_error_where_it_is_not_a_literal_name() {
    expect_error(Error::ZeroIndex, "80");
}

#[test]
fn a_size_update_behind_a_field_is_an_error() {
    expect_error(Error::LateSizeUpdate, "3fe101");
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    assert_eq!(decode(&mut decoder, "203fe10182"), [":method: GET"]);
}

#[test]
fn eos_in_a_string_is_an_error() {
    for before in ["", "a", "aaaa", "aaaaaaaaaaaaaaaaaaaaaaaa"] {
        let octets = before.bytes().map(u16::from).chain([256]);
        let mut bits: Vec<bool> = octets
            .flat_map(|symbol| code_bits(CODES[usize::from(symbol)]))
            .collect();
        bits.resize(bits.len().next_multiple_of(8), true);
        assert_eq!(huffman(&pack(&bits)), Err(Error::HuffmanEos), "behind {before:?}");
    }
}

#[test]
fn padding_is_at_most_seven_bits_all_of_them_ones() {
    for length in 0..40 {
        let string = vec![b'a'; length];
        let bits: Vec<bool> = string
            .iter()
            .flat_map(|octet| code_bits(CODES[usize::from(*octet)]))
            .collect();
        let padding = bits.len().next_multiple_of(8) - bits.len();
        let padded = |more: usize| pack(&[bits.clone(), vec![true; padding + more]].concat());
        assert_eq!(huffman(&padded(0)), Ok(string), "{padding} bits");
        assert_eq!(
            huffman(&padded(8)),
            Err(Error::HuffmanPaddingTooLong),
            "{padding} and 8 bits"
        );
        assert_eq!(
            huffman(&padded(16)),
            Err(Error::HuffmanPaddingTooLong),
            "{padding} and 16 bits"
        );
        for zero in 0..padding {
            let mut bits = [bits.clone(), vec![true; padding]].concat();
            let at = bits.len() - padding + zero;
            bits[at] = false;
            let decoded = huffman(&pack(&bits));
            // Five bits or more may happen to be a code, with the rest for padding.
            let is_code = padding >= 5 && zero < 5;
            assert!(
                is_code || decoded == Err(Error::HuffmanPadding),
                "{decoded:?} with bit {zero} of {padding} clear"
            );
        }
    }
}

#[test]
fn a_code_that_ends_within_the_padding_is_wrong_padding() {
    assert_eq!(
        huffman(&[0b0001_1000]),
        Err(Error::HuffmanPadding),
        "an a, and three bits of another code"
    );
    assert_eq!(
        huffman(&[0b1111_1110]),
        Err(Error::HuffmanPadding),
        "eight bits of a longer code"
    );
    assert_eq!(
        huffman(&[0xff, 0xfe]),
        Err(Error::HuffmanPadding),
        "sixteen bits of a longer code"
    );
}

#[test]
fn every_octet_has_the_code_of_appendix_b() {
    let octets: Vec<u8> = (0..=255).collect();
    assert_eq!(huffman(&bytes(EVERY_OCTET)), Ok(octets.clone()));
    assert_eq!(encoder::encode(&octets), bytes(EVERY_OCTET));
}

#[test]
fn an_empty_string_may_be_huffman_coded() {
    assert_eq!(huffman(&[]), Ok(Vec::new()));
}

/// The octets 0 to 255 in order, as coded by another encoder.
const EVERY_OCTET: &str = "
    ffc7fffd8fffffe2fffffe3fffffe4fffffe5fffffe6fffffe7fffffe8ffffeafffffff3fffffa7fffffabffffffdfffffebfffffecfffff
    edfffffeefffffefffffff0ffffff1ffffff2fffffffbfffffcffffffd3fffffd7fffffdbfffffdffffffe3fffffe7fffffebfffffed4fe3
    f9ffaffcabf1febfafefe7fdfd2cbb00089969b71d79fb9f7fff20ffbff3ff50ddbd7f061c58f265cd9f469d5af66dddbf871e5f9cff7ff7
    fffc3ff9ffe45fff4719242cb34e6e9d68a6a3d7dac426defe3cfaf7fffbfe7ffbffdffffffcfffe6ffff4bfff9ffffa3fffd3ffff53fffd
    5ffffb3fffeb7fffdaffffb7ffff73fffeeffffdeffffebffffbfffffd9ffffdbfffebffffe0ffffeeffffc3ffff8bffff1ffffe4fffee7f
    ffb1ffff97fffd9ffffcdffff9fffffbffffdafffeeffff4ffffb7fffee7fffe8ffffd3fffdeffffd5fffeeffffbdffffe1fffdfffff7fff
    ff5ffffecffff07fff87fffe0ffff17fffedffff87ffff77fffeffffeaffff8bfffe3ffff93ffff87fffcbffff37ffff1fffff83ffffe1ff
    febfffe3ffff3fffff2ffffa3ffffd9fffff17ffffc7fffff27ffffdefffffbffffff2fffff8fffffb7fff97fff8fffffe6fffffc1fffff8
    7ffffe7fffffc5ffffe5fffe4ffff2fffffd1fffff4ffffffefffffe3fffffc9fffff97fffb3ffffcffffb7fffcdffff4ffff9ffffd1ffff
    cffffeaffffafffffddffffeffffff4fffff5fffffabffffa7ffffd7fffff9bffffecfffffb7fffff3fffffe8fffffd3fffffabfffff5fff
    ffff7ffffecfffffdbfffffbbfffff7ffffff0fffffbbf";
