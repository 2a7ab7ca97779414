//! Header blocks written by hand; `properties` makes random ones with `encoder`.

use super::*;

mod encoder;
mod rfc;
mod errors;
mod late;
mod bounds;
mod properties;

/// Bounds that no test reaches by accident.
const GENEROUS: Bounds = Bounds {
    max_fields: usize::MAX,
    max_bytes: usize::MAX,
};
const TABLE_BYTES: usize = 65536;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits
        .as_chunks()
        .0
        .iter()
        .map(|[high, low]| u8::try_from(high << 4 | low).unwrap())
        .collect()
}

/// Formats a field as a line, with `?` for unknown parts and `!` before a never-indexed field.
fn line(header: &Header<'_>) -> String {
    let part = |part: Option<&[u8]>| part.map_or_else(|| "?".to_owned(), |part| part.escape_ascii().to_string());
    let mark = if header.never_indexed { "!" } else { "" };
    format!("{mark}{}: {}", part(header.name), part(header.value))
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap()
}

/// Decodes a block in hexadecimal and returns its fields as lines.
fn decode(decoder: &mut Decoder, hex: &str) -> Vec<String> {
    let (lines, result) = decode_all(decoder, &bytes(hex), &GENEROUS);
    let unknown = lines.iter().filter(|line| line.contains('?')).count();
    let expected = Decoded {
        fields: count(lines.len()),
        unknown: count(unknown),
        over_limit: 0,
    };
    assert_eq!(result, Ok(expected));
    lines
}

fn decode_all(decoder: &mut Decoder, block: &[u8], bounds: &Bounds) -> (Vec<String>, Result<Decoded, Error>) {
    let mut lines = Vec::new();
    let result = decoder.decode(block, bounds, |header| lines.push(line(&header)));
    (lines, result)
}

/// Returns the dynamic table, up to the first unknown entry.
fn table(decoder: &mut Decoder) -> Vec<String> {
    (0xbe..=0xfe)
        .map(|index| decode(decoder, &format!("{index:x}")).remove(0))
        .take_while(|line| line != "?: ?")
        .collect()
}

/// Writes a literal field with incremental indexing, without Huffman codes.
fn insertion(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut block = vec![0x40];
    encoder::string(&mut block, name, false);
    encoder::string(&mut block, value, false);
    block
}

/// Writes a size update.
fn size_update(limit: u32) -> Vec<u8> {
    let mut block = Vec::new();
    encoder::integer(&mut block, 0x20, 5, limit);
    block
}
