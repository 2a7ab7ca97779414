//! A serializer of the lines: JSON on one line, with unsafe characters escaped.
//!
//! It writes what [`write_json`] does, and takes less time: it does not search the names of members for characters to
//! escape, and searches texts a word at a time. It supports what the lines consist of: objects, arrays, texts, numbers
//! without a sign, truth values, and what is absent or unknown.

use serde::{
    Serialize, Serializer,
    ser::{self, Impossible, SerializeSeq, SerializeStruct, SerializeTuple},
};

use crate::{
    output::{Error, write_json},
    redact::{VERSION, is_plain},
};

/// Writes to a slice, which costs less than a buffer that grows. If it is full, what is written is dropped.
pub(super) struct Writer<'o> {
    rest: &'o mut [u8],
    full: bool,
    /// What the next object begins with.
    open: u8,
}

impl<'o> Writer<'o> {
    /// Creates a writer that writes to `out` from its beginning on.
    pub(super) const fn new(out: &'o mut [u8]) -> Self {
        Self {
            rest: out,
            full: false,
            open: b'{',
        }
    }

    /// Returns the number of bytes that are not written to, or `None` if the slice was too short.
    pub(super) const fn room(&self) -> Option<usize> {
        if self.full { None } else { Some(self.rest.len()) }
    }

    /// Begins the object that is written next with a version and a type.
    pub(super) fn begin_line(&mut self, version: u8, kind: &'static str) {
        self.put(b"{\"v\":");
        self.number(version);
        self.put(b",\"type\":\"");
        self.put(kind.as_bytes());
        self.put(b"\"");
        self.open = b',';
    }

    /// Writes bytes as they are.
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        match std::mem::take(&mut self.rest).split_at_mut_checked(bytes.len()) {
            Some((room, rest)) => {
                room.copy_from_slice(bytes);
                self.rest = rest;
            }
            // Nothing is written from here on.
            None => self.full = true,
        }
    }

    /// Writes a plain text between quotes.
    #[inline]
    fn put_quoted(&mut self, text: &[u8]) {
        let length = text.len().saturating_add(2);
        match std::mem::take(&mut self.rest).split_at_mut_checked(length) {
            Some(([open, inside @ .., close], rest)) => {
                (*open, *close) = (b'"', b'"');
                inside.copy_from_slice(text);
                self.rest = rest;
            }
            Some(_) | None => self.full = true,
        }
    }

    /// Writes the name of a member and what is before it.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "the length of a name is a constant only where it is inlined"
    )]
    fn put_name(&mut self, before: u8, name: &'static str) {
        match std::mem::take(&mut self.rest).split_at_mut_checked(name.len() + 4) {
            Some(([first, open, inside @ .., close, colon], rest)) => {
                (*first, *open, *close, *colon) = (before, b'"', b'"', b':');
                inside.copy_from_slice(name.as_bytes());
                self.rest = rest;
            }
            Some(_) | None => self.full = true,
        }
    }

    /// Writes printable ASCII, of which JSON escapes quotes and backslashes.
    fn quote(&mut self, mut text: &[u8]) {
        self.put(b"\"");
        while let Some(at) = text.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            let (before, rest) = text.split_at_checked(at).unwrap_or((text, &[]));
            let (special, after) = rest.split_at_checked(1).unwrap_or((rest, &[]));
            self.put(before);
            self.put(b"\\");
            self.put(special);
            text = after;
        }
        self.put(text);
        self.put(b"\"");
    }

    fn number(&mut self, number: impl itoa::Integer) {
        self.put(itoa::Buffer::new().format(number).as_bytes());
    }
}

/// The members of an object or the elements of an array.
pub(super) struct Members<'w, 'o> {
    writer: &'w mut Writer<'o>,
    /// What is written before the next of them.
    before: u8,
}

impl Members<'_, '_> {
    #[inline]
    fn element(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.writer.put(&[self.before]);
        self.before = b',';
        value.serialize(&mut *self.writer)
    }

    /// Ends an object or an array, which is not open yet if it is empty.
    #[inline]
    fn close(self, open: u8, close: u8) {
        if self.before == open {
            self.writer.put(&[open]);
        }
        self.writer.put(&[close]);
    }
}

impl SerializeStruct for Members<'_, '_> {
    type Ok = ();
    type Error = Error;

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "the length of a name is a constant only where it is inlined"
    )]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.writer.put_name(self.before, name);
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

    #[inline]
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

    #[inline]
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
        self.put(if value { b"true" } else { b"false" });
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
        if is_plain(text.as_bytes()) {
            return self.serialize_bytes(text.as_bytes());
        }
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            self.quote(text.as_bytes());
            return Ok(());
        }
        let mut escaped = Vec::new();
        write_json(&mut escaped, &text)?;
        self.put(&escaped);
        Ok(())
    }

    /// Writes a plain text; see [`Printable`](crate::redact::Printable).
    #[inline]
    fn serialize_bytes(self, text: &[u8]) -> Result<(), Error> {
        self.put_quoted(text);
        Ok(())
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.put(b"null");
        Ok(())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Members<'w, 'o>, Error> {
        Ok(Members {
            writer: self,
            before: b'[',
        })
    }

    #[inline]
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

    fn serialize_unit(self) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        unsupported()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, _variant: &'static str) -> Result<(), Error> {
        unsupported()
    }

    /// Writes an object that is a line of its own elsewhere: it begins with the version and the type.
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), Error> {
        self.begin_line(VERSION, name);
        value.serialize(self)
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

#[cfg(test)]
mod tests;
