//! The end of a head, or of a trailer section: the first empty line.
//!
//! In: bytes in order, however they are split. Out: the whole section, once its empty line has come. Refuses to hold
//! more than it is told, and looks at no byte twice, so that a head that dribbles in costs no more than one that does not.

use super::method::Place;
use crate::chunk::Mark;
use crate::{Chunk, Limits, Reason};

/// A head or trailer section that is being read.
#[derive(Debug, Default)]
pub(crate) struct Section {
    bytes: Vec<u8>,
    mark: Option<Mark>,
    blank_bytes: usize,
    lines: usize,
    /// Bytes of the line in progress, and the first of them.
    line_bytes: usize,
    line_first: u8,
    folded: bool,
    kind: Kind,
    cut: Option<Box<Cut>>,
    /// Whether its first byte is that of a call, and where in it the next call begins.
    begins_call: bool,
    call_ends: Option<usize>,
}

/// What a section is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Kind {
    /// A head, where one must be.
    #[default]
    Head,
    /// A head by its looks alone.
    Found,
    /// Trailers, which are refused when they are too long.
    Trailers,
}

/// A section that has come to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<'a> {
    /// All of it, the empty line included.
    pub(crate) bytes: &'a [u8],
    /// Whether a line in it begins with white space.
    pub(crate) folded: bool,
    /// How many lines it has, the empty one included.
    pub(crate) lines: usize,
    /// Where it began.
    pub(crate) place: Place,
    /// What is not in it.
    pub(crate) cut: Option<Cut>,
}

/// What was left out of a head because it was longer than the limits allow.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cut {
    /// How many fields.
    pub(crate) fields: u32,
    /// Whether one of them may frame the body.
    pub(crate) may_frame: bool,
    /// Bytes of them.
    bytes: usize,
    /// The beginning of the line in progress.
    line: [u8; LINE_BYTES],
    line_bytes: usize,
}

impl Section {
    /// Begins where a head is, or seems to be, by its looks alone.
    pub(crate) fn found() -> Self {
        Self {
            kind: Kind::Found,
            ..Self::default()
        }
    }

    /// Returns whether it is a head by its looks alone.
    pub(crate) fn is_found(&self) -> bool {
        self.kind == Kind::Found
    }

    /// Begins a trailer section.
    pub(crate) fn of_trailers() -> Self {
        Self {
            kind: Kind::Trailers,
            ..Self::default()
        }
    }

    /// Says where a head begins that is the whole of `chunk`, or its beginning.
    pub(crate) fn place_of(&self, chunk: &Chunk<'_>, is_first: bool) -> Place {
        match chunk.call_start {
            _ if is_first => Place::First,
            true if self.kind != Kind::Found => Place::Call(chunk.bytes.len()),
            true | false => Place::Inside,
        }
    }

    /// Says where it began, once it has.
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// Shows what has come so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives what has come so far.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes.capacity() + self.cut.as_ref().map_or(0, |cut| size_of_val(cut.as_ref()))
    }

    /// Skips line ends before a start line: RFC 9112 section 2.2 asks for at least one empty line to be ignored.
    pub(crate) fn skip_blank(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Result<(), Reason> {
        if self.mark.is_some() {
            return Ok(());
        }
        let blank = chunk
            .bytes
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        self.blank_bytes = self.blank_bytes.saturating_add(blank);
        chunk.advance(blank);
        if self.blank_bytes > limits.max_blank_bytes {
            Err(Reason::MalformedHead)
        } else {
            Ok(())
        }
    }

    /// Reads on, to the end of the section if `chunk` holds it.
    pub(crate) fn read<'s, 'c: 's>(
        &'s mut self,
        chunk: &mut Chunk<'c>,
        limits: &Limits,
    ) -> Result<Option<Whole<'s>>, Reason> {
        self.begin(chunk);
        let bytes: &'c [u8] = chunk.bytes;
        let end = self.find_end(bytes);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        if self.kind == Kind::Trailers && self.lines > limits.max_fields + 2 {
            return Err(Reason::HeadTooLarge);
        }
        chunk.advance(part.len());
        if self.cut.is_some() || self.bytes.len().saturating_add(part.len()) > limits.max_head_bytes {
            self.cut(part, limits)?;
            return Ok(end.map(|_| self.whole()));
        }
        if end.is_some() && self.bytes.is_empty() {
            return Ok(Some(Whole {
                bytes: part,
                folded: self.folded,
                lines: self.lines,
                place: self.place(part.len()),
                cut: None,
            }));
        }
        self.append(part, limits);
        Ok(end.map(|_| self.whole()))
    }

    fn whole(&self) -> Whole<'_> {
        Whole {
            bytes: &self.bytes,
            folded: self.folded,
            lines: self.lines,
            place: self.place_of_all(),
            cut: self.cut.as_deref().copied(),
        }
    }

    /// Says where what has come so far began.
    pub(crate) fn place_of_all(&self) -> Place {
        self.place(self.bytes.len())
    }

    /// Keeps what fits, up to the end of a field, and counts the rest.
    fn cut(&mut self, part: &[u8], limits: &Limits) -> Result<(), Reason> {
        if self.kind == Kind::Trailers {
            return Err(Reason::HeadTooLarge);
        }
        if let Some(cut) = &mut self.cut {
            cut.take(part);
        } else {
            let room = limits.max_head_bytes.saturating_sub(self.bytes.len()).min(part.len());
            let (fits, rest) = part.split_at_checked(room).unwrap_or((part, &[]));
            self.append(fits, limits);
            let mut cut = Box::<Cut>::default();
            let first = rest.first().copied();
            let mut kept = keep_lines(&self.bytes, self.bytes.len());
            let mut next = self.bytes.get(kept).copied().or(first);
            // A line that continues the one before it is cut with that.
            while kept > 0 && matches!(next, Some(b' ' | b'\t')) {
                kept = keep_lines(&self.bytes, kept - 1);
                next = self.bytes.get(kept).copied();
            }
            cut.take(self.bytes.get(kept..).unwrap_or_default());
            cut.take(rest);
            self.bytes.truncate(kept);
            self.cut = Some(cut);
        }
        let is_endless = self.cut.as_ref().is_some_and(|cut| cut.bytes > limits.max_cut_bytes);
        if is_endless { Err(Reason::HeadTooLarge) } else { Ok(()) }
    }

    /// Reads on, but at most to the end of the first line, and says whether that end has come.
    pub(crate) fn read_line(&mut self, chunk: &mut Chunk<'_>, limits: &Limits) -> Result<bool, Reason> {
        self.begin(chunk);
        let end = memchr::memchr(b'\n', chunk.bytes).map(|index| index + 1);
        let part = chunk.bytes.get(..end.unwrap_or(chunk.bytes.len())).unwrap_or_default();
        if self.bytes.len().saturating_add(part.len()) > limits.max_head_bytes {
            return Err(Reason::HeadTooLarge);
        }
        self.find_end(part);
        self.append(part, limits);
        chunk.advance(part.len());
        Ok(end.is_some())
    }

    fn begin(&mut self, chunk: &Chunk<'_>) {
        if self.mark.is_none() && !chunk.bytes.is_empty() {
            self.mark = Some(Mark::of(chunk));
            self.begins_call = chunk.call_start;
        } else if chunk.call_start && !chunk.bytes.is_empty() && self.call_ends.is_none() {
            self.call_ends = Some(self.bytes.len());
        }
    }

    fn place(&self, length: usize) -> Place {
        if self.begins_call && self.kind != Kind::Found {
            Place::Call(self.call_ends.unwrap_or(length))
        } else {
            Place::Inside
        }
    }

    /// Doubles as it grows, but never beyond the limit.
    fn append(&mut self, part: &[u8], limits: &Limits) {
        let wanted = self.bytes.len() + part.len();
        if wanted > self.bytes.capacity() {
            let capacity = wanted.max(self.bytes.capacity() * 2).min(limits.max_head_bytes);
            self.bytes.reserve_exact(capacity.saturating_sub(self.bytes.len()));
        }
        self.bytes.extend_from_slice(part);
    }

    /// Finds where the empty line ends in `bytes`, which follow what was seen before.
    fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            self.see(bytes.get(start..end).unwrap_or_default());
            self.lines += 1;
            let empty = self.line_bytes == 0 || (self.line_bytes == 1 && self.line_first == b'\r');
            self.line_bytes = 0;
            start = end + 1;
            if empty {
                return Some(start);
            }
        }
        self.see(bytes.get(start..).unwrap_or_default());
        None
    }

    /// Notes more bytes of the line in progress.
    fn see(&mut self, bytes: &[u8]) {
        if let (0, Some(&first)) = (self.line_bytes, bytes.first()) {
            self.line_first = first;
            self.folded |= matches!(first, b' ' | b'\t');
        }
        self.line_bytes = self.line_bytes.saturating_add(bytes.len());
    }
}

impl Cut {
    /// Counts the fields in `bytes`, which follow what was cut before.
    fn take(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len());
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = self.line.get_mut(self.line_bytes..).unwrap_or_default();
            let count = room.len().min(part.len());
            for (to, from) in room.iter_mut().zip(part) {
                *to = *from;
            }
            self.line_bytes += count;
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = self.line.get(..self.line_bytes).unwrap_or_default();
        self.line_bytes = 0;
        if !line.trim_ascii().is_empty() {
            self.may_frame |= may_frame(line);
            let continues = matches!(line.first(), Some(b' ' | b'\t'));
            self.fields = self.fields.saturating_add(u32::from(!continues));
        }
    }
}

/// Returns whether a line that is no field, or is not kept, may say to some reader how long the body is.
pub(crate) fn may_frame(line: &[u8]) -> bool {
    let squeezed: Vec<u8> = line
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::to_ascii_lowercase)
        .collect();
    let holds = |name: &[u8]| squeezed.windows(name.len()).any(|part| part == name);
    holds(b"contentlength") || holds(b"transferencoding")
}

/// Returns how many of the first `length` bytes are whole lines.
fn keep_lines(bytes: &[u8], length: usize) -> usize {
    let bytes = bytes.get(..length).unwrap_or_default();
    memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1)
}

/// Bytes of a line that is not kept in which its name is looked for.
const LINE_BYTES: usize = 32;
