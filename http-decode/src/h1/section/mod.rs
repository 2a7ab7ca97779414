//! Finding the end of a head or of a trailer section: the first empty line.
//!
//! The bytes may arrive in any number of chunks, and each is scanned once, so that a head that arrives byte by byte costs no
//! more than one that arrives whole. A head that is longer than the limit is cut at the end of a field; the rest is scanned
//! and counted, since the message behind it must still be found.

mod cut;

use self::cut::Cut;
pub(crate) use self::cut::may_frame;
use super::method::HeadStart;
use crate::chunk::Mark;
use crate::{Chunk, Limits, Reason};

/// A head or trailer section that is being read.
#[derive(Debug, Default)]
pub(crate) struct Section {
    bytes: Vec<u8>,
    mark: Option<Mark>,
    blank_bytes: usize,
    lines: usize,
    /// The length of the line in progress, and its first byte.
    line_bytes: usize,
    line_first: u8,
    is_folded: bool,
    kind: Kind,
    cut: Option<Box<Cut>>,
    /// Whether the first byte of the section is the first of a call, and where in the section the next call begins.
    begins_call: bool,
    next_call_at: Option<usize>,
}

/// The kind of a section.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Kind {
    /// A head, where one must begin.
    #[default]
    Head,
    /// A head that was found by its start line.
    FoundHead,
    /// Trailers. They are not cut: what is too long is an error.
    Trailers,
}

/// A complete section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WholeSection<'a> {
    /// Its bytes, including the empty line.
    pub(crate) bytes: &'a [u8],
    /// Whether a line in it begins with white space.
    pub(crate) is_folded: bool,
    /// The number of lines, including the empty one.
    pub(crate) lines: usize,
    /// Where it began.
    pub(crate) start: HeadStart,
    /// What was cut off.
    pub(crate) cut: Option<Cut>,
}

impl Section {
    /// Begins a head that was found by its start line, and may be something else.
    pub(crate) fn found() -> Self {
        Self {
            kind: Kind::FoundHead,
            ..Self::default()
        }
    }

    /// Returns whether it is a head that was found by its start line.
    pub(crate) fn is_found(&self) -> bool {
        self.kind == Kind::FoundHead
    }

    /// Begins a trailer section.
    pub(crate) fn of_trailers() -> Self {
        Self {
            kind: Kind::Trailers,
            ..Self::default()
        }
    }

    /// Returns where a head begins whose first byte is that of `chunk`.
    pub(crate) fn head_start(&self, chunk: &Chunk<'_>, is_first: bool) -> HeadStart {
        match chunk.call_start {
            _ if is_first => HeadStart::Connection,
            true if self.kind != Kind::FoundHead => HeadStart::Call(chunk.bytes.len()),
            true | false => HeadStart::Elsewhere,
        }
    }

    /// Returns where the section began, once it has.
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// Returns the bytes so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the bytes so far.
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

    /// Reads up to the end of the section; `None` if `chunk` does not hold it.
    pub(crate) fn read<'s, 'c: 's>(
        &'s mut self,
        chunk: &mut Chunk<'c>,
        limits: &Limits,
    ) -> Result<Option<WholeSection<'s>>, Reason> {
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
            return Ok(Some(WholeSection {
                bytes: part,
                is_folded: self.is_folded,
                lines: self.lines,
                start: self.head_start_of(part.len()),
                cut: None,
            }));
        }
        self.append(part, limits);
        Ok(end.map(|_| self.whole()))
    }

    fn whole(&self) -> WholeSection<'_> {
        WholeSection {
            bytes: &self.bytes,
            is_folded: self.is_folded,
            lines: self.lines,
            start: self.head_start_of_all(),
            cut: self.cut.as_deref().copied(),
        }
    }

    /// Returns where the bytes so far began.
    pub(crate) fn head_start_of_all(&self) -> HeadStart {
        self.head_start_of(self.bytes.len())
    }

    /// Keeps what fits, up to the end of a field, and counts the rest.
    fn cut(&mut self, part: &[u8], limits: &Limits) -> Result<(), Reason> {
        if self.kind == Kind::Trailers {
            return Err(Reason::HeadTooLarge);
        }
        if let Some(cut) = &mut self.cut {
            cut.add(part);
        } else {
            let room = limits.max_head_bytes.saturating_sub(self.bytes.len()).min(part.len());
            let (fits, rest) = part.split_at_checked(room).unwrap_or((part, &[]));
            self.append(fits, limits);
            let mut cut = Box::<Cut>::default();
            let first = rest.first().copied();
            let mut kept = whole_lines(&self.bytes, self.bytes.len());
            let mut next = self.bytes.get(kept).copied().or(first);
            // A folded line is cut together with the line that it continues.
            while kept > 0 && matches!(next, Some(b' ' | b'\t')) {
                kept = whole_lines(&self.bytes, kept - 1);
                next = self.bytes.get(kept).copied();
            }
            cut.add(self.bytes.get(kept..).unwrap_or_default());
            cut.add(rest);
            self.bytes.truncate(kept);
            self.cut = Some(cut);
        }
        let is_too_long = self.cut.as_ref().is_some_and(|cut| cut.bytes() > limits.max_cut_bytes);
        if is_too_long { Err(Reason::HeadTooLarge) } else { Ok(()) }
    }

    /// Reads at most to the end of the first line, and returns whether that end was reached.
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
        } else if chunk.call_start && !chunk.bytes.is_empty() && self.next_call_at.is_none() {
            self.next_call_at = Some(self.bytes.len());
        }
    }

    /// Returns where the section began, of which `length` bytes have arrived.
    fn head_start_of(&self, length: usize) -> HeadStart {
        if self.begins_call && self.kind != Kind::FoundHead {
            HeadStart::Call(self.next_call_at.unwrap_or(length))
        } else {
            HeadStart::Elsewhere
        }
    }

    /// Appends bytes. The capacity doubles as it grows, up to the limit.
    fn append(&mut self, part: &[u8], limits: &Limits) {
        let wanted = self.bytes.len() + part.len();
        if wanted > self.bytes.capacity() {
            let capacity = wanted.max(self.bytes.capacity() * 2).min(limits.max_head_bytes);
            self.bytes.reserve_exact(capacity.saturating_sub(self.bytes.len()));
        }
        self.bytes.extend_from_slice(part);
    }

    /// Finds the end of the empty line in `bytes`, which follow those scanned before.
    fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            self.scan_line(bytes.get(start..end).unwrap_or_default());
            self.lines += 1;
            let is_empty = self.line_bytes == 0 || (self.line_bytes == 1 && self.line_first == b'\r');
            self.line_bytes = 0;
            start = end + 1;
            if is_empty {
                return Some(start);
            }
        }
        self.scan_line(bytes.get(start..).unwrap_or_default());
        None
    }

    /// Scans more bytes of the line in progress.
    fn scan_line(&mut self, bytes: &[u8]) {
        if let (0, Some(&first)) = (self.line_bytes, bytes.first()) {
            self.line_first = first;
            self.is_folded |= matches!(first, b' ' | b'\t');
        }
        self.line_bytes = self.line_bytes.saturating_add(bytes.len());
    }
}

/// Returns how many of the first `length` bytes are whole lines.
fn whole_lines(bytes: &[u8], length: usize) -> usize {
    let bytes = bytes.get(..length).unwrap_or_default();
    memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1)
}
