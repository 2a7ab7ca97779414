//! A serializer of the lines: JSON on one line, with unsafe characters escaped.
//!
//! It writes what [`write_json`] does, and takes less time: it does not search the names of members for characters to
//! escape, and searches texts a word at a time. It supports what the lines consist of: objects, arrays, texts, numbers
//! without a sign, truth values, and what is absent or unknown.

use serde::{
    Serialize, Serializer,
    ser::{self, Impossible, SerializeSeq, SerializeStruct, SerializeTuple},
};

use crate::output::{Error, write_json};

/// Writes to a buffer.
pub(super) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    /// What the next object begins with.
    open: u8,
}

impl<'o> Writer<'o> {
    /// Creates a writer that appends to `out`.
    pub(super) const fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, open: b'{' }
    }

    /// Begins the object that is written next with a version and a type.
    pub(super) fn begin_line(&mut self, version: u8, kind: &'static str) {
        self.out.extend_from_slice(b"{\"v\":");
        self.number(version);
        self.out.extend_from_slice(b",\"type\":\"");
        self.out.extend_from_slice(kind.as_bytes());
        self.out.push(b'"');
        self.open = b',';
    }

    fn number(&mut self, number: impl itoa::Integer) {
        self.out
            .extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}

/// The members of an object or the elements of an array.
pub(super) struct Members<'w, 'o> {
    writer: &'w mut Writer<'o>,
    /// What is written before the next of them.
    before: u8,
}

impl Members<'_, '_> {
    fn element(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.writer.out.push(self.before);
        self.before = b',';
        value.serialize(&mut *self.writer)
    }

    /// Ends an object or an array, which is not open yet if it is empty.
    fn close(self, open: u8, close: u8) {
        if self.before == open {
            self.writer.out.push(open);
        }
        self.writer.out.push(close);
    }
}

impl SerializeStruct for Members<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        let out = &mut *self.writer.out;
        out.extend_from_slice(&[self.before, b'"']);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        self.before = b',';
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Error> {
        self.close(b'{', b'}');
        Ok(())
    }
}

impl SerializeSeq for Members<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.element(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close(b'[', b']');
        Ok(())
    }
}

impl SerializeTuple for Members<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.element(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close(b'[', b']');
        Ok(())
    }
}

impl<'w, 'o> Serializer for &'w mut Writer<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Members<'w, 'o>;
    type SerializeTuple = Members<'w, 'o>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStruct = Members<'w, 'o>;
    type SerializeStructVariant = Impossible<(), Error>;

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.number(value);
        Ok(())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.number(value);
        Ok(())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.number(value);
        Ok(())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.number(value);
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        if !is_plain(text.as_bytes()) {
            return Ok(write_json(&mut *self.out, &text)?);
        }
        self.out.reserve(text.len() + 2);
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Members<'w, 'o>, Error> {
        Ok(Members {
            writer: self,
            before: b'[',
        })
    }

    fn serialize_tuple(self, _length: usize) -> Result<Members<'w, 'o>, Error> {
        Ok(Members {
            writer: self,
            before: b'[',
        })
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Members<'w, 'o>, Error> {
        let before = std::mem::replace(&mut self.open, b'{');
        Ok(Members { writer: self, before })
    }

    fn serialize_i8(self, _value: i8) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_i16(self, _value: i16) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_i32(self, _value: i32) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_i64(self, _value: i64) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_f32(self, _value: f32) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_f64(self, _value: f64) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_char(self, _value: char) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_bytes(self, _value: &[u8]) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_unit(self) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, _variant: &'static str) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, _value: &T) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Impossible<(), Error>, Error> {
        unsupported()
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Impossible<(), Error>, Error> {
        unsupported()
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Impossible<(), Error>, Error> {
        unsupported()
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Impossible<(), Error>, Error> {
        unsupported()
    }
}

/// Fails on a type that no line has. A test writes every line.
fn unsupported<T>() -> Result<T, Error> {
    Err(ser::Error::custom(
        "a line has a member of a type that is not supported",
    ))
}

/// Returns whether JSON has these bytes as they are: no byte is a control character, a quote, a backslash, or beyond ASCII.
fn is_plain(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks();
    let special = words.iter().fold(0, |special, word| special | special_bytes(*word));
    let last = bytes.last_chunk().map(|word| special_bytes(*word));
    let is_special = |byte: &u8| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\');
    special == 0 && last.map_or_else(|| !rest.iter().any(is_special), |last| last == 0)
}

/// Returns a number that is zero if and only if none of eight bytes has to be escaped.
const fn special_bytes(word: [u8; 8]) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = 0x80 * ONES;
    let word = u64::from_le_bytes(word);
    // The lowest byte for which one of these conditions holds has its highest bit set; a borrow or carry of that byte can
    // only set bits above it.
    let (quote, backslash) = (word ^ (b'"' as u64 * ONES), word ^ (b'\\' as u64 * ONES));
    let control = word.wrapping_sub(0x20 * ONES) & !word;
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    let beyond = word | word.wrapping_add(ONES);
    (control | quote | backslash | beyond) & HIGH
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::any, prop_assert_eq, proptest};

    use super::*;

    fn written(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        value.serialize(&mut Writer::new(&mut out)).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn reference(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        write_json(&mut out, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[derive(Serialize)]
    struct Outer {
        number: u64,
        inner: Inner,
        #[serde(skip_serializing_if = "Option::is_none")]
        absent: Option<u8>,
        empty: Vec<Inner>,
        fields: Vec<(Option<String>, Option<String>)>,
        none: Option<u16>,
        truth: bool,
    }

    #[derive(Serialize)]
    struct Inner {
        #[serde(skip_serializing_if = "Option::is_none")]
        absent: Option<u32>,
    }

    proptest! {
        #[test]
        fn objects_are_written_as_by_serde_json(
            number in any::<u64>(), absent in any::<Option<u32>>(),
            fields in any::<Vec<(Option<String>, Option<String>)>>(), truth in any::<bool>(),
        ) {
            let inner = || Inner { absent };
            let outer = Outer { number, inner: inner(), absent: None, empty: Vec::new(), fields, none: None, truth };
            prop_assert_eq!(written(&outer), reference(&outer));
            prop_assert_eq!(written(&vec![inner(), inner()]), reference(&vec![inner(), inner()]));
        }
    }

    #[test]
    fn every_byte_at_every_position_is_searched() {
        for length in 0..20 {
            for (place, byte) in (0..length).flat_map(|place| (0..=127_u8).map(move |byte| (place, byte))) {
                for around in ["x", "~", " ", "!"] {
                    let mut text = around.repeat(length).into_bytes();
                    text[place] = byte;
                    let text = String::from_utf8(text).unwrap();
                    assert_eq!(written(&text), reference(&text));
                }
            }
        }
        for length in 0..20 {
            let text = "x".repeat(length) + "\u{e9}" + &"y".repeat(20 - length);
            assert_eq!(written(&text), reference(&text));
        }
    }

    #[test]
    fn a_type_that_no_line_has_is_an_error() {
        let mut out = Vec::new();
        assert!((-1_i32).serialize(&mut Writer::new(&mut out)).is_err());
    }
}
