//! The part of a head that is over the limit: scanned, counted, and not kept.

/// What was cut off a head.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cut {
    /// The number of fields.
    pub(crate) fields: u32,
    /// Whether one of them may frame the body.
    pub(crate) may_frame: bool,
    /// The number of bytes.
    bytes: usize,
    /// The beginning of the line in progress.
    line: [u8; LINE_BYTES],
    line_bytes: usize,
}

impl Cut {
    /// Returns the number of bytes that were cut.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts the fields in `bytes`, which follow those cut before.
    pub(super) fn add(&mut self, bytes: &[u8]) {
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
            let is_folded = matches!(line.first(), Some(b' ' | b'\t'));
            self.fields = self.fields.saturating_add(u32::from(!is_folded));
        }
    }
}

/// Returns whether a line that is not kept may be read by some recipient as a field that frames the body, even if it is not
/// well-formed.
pub(crate) fn may_frame(line: &[u8]) -> bool {
    let letters: Vec<u8> = line
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::to_ascii_lowercase)
        .collect();
    let contains = |name: &[u8]| letters.windows(name.len()).any(|part| part == name);
    contains(b"contentlength") || contains(b"transferencoding")
}

/// Bytes of a line that are kept to compare its name.
const LINE_BYTES: usize = 32;
