//! What must hold of every line that went through the gate: the property tests and the fuzz targets share it.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

#[cfg(feature = "fuzz")]
use http_decode::Unredacted;

use super::{FingerprintKey, Line, Redacted, Redactor, Rules, decoded::Decoded, generators::Sent};
#[cfg(feature = "fuzz")]
use crate::output::sample::OwnedField;
use crate::{
    correlate::Happening,
    event::AddressSource,
    output::{Format, sample},
};

/// No planted secret is in any output.
///
/// # Panics
///
/// Panics if one is.
pub(crate) fn no_planted_secret_is_in_any_output(sent: Sent, with_key: bool) {
    let Sent { exchange, end, words } = sent;
    let fingerprint = with_key
        .then(|| FingerprintKey::from_file_bytes(&[7; 32]).ok())
        .flatten();
    let redactor = Redactor::new(Rules {
        fingerprint,
        ..Rules::default()
    });
    let happenings = [Happening::Exchange(Box::new(exchange)), Happening::End(Box::new(end))];
    let lines = happenings.map(|happening| redactor.redact(&sample::observed(happening, AddressSource::Bio)));
    no_word_is_in_any_output(&words, &lines);
}

/// No word is in any output, also where its reader would undo percent-encoding.
///
/// # Panics
///
/// Panics if one is.
pub(crate) fn no_word_is_in_any_output(words: &[String], lines: &[Redacted<Line>]) {
    for format in [Format::Json, Format::Text, Format::Har] {
        let output = written(format, lines);
        let decoded = Decoded::plain(&output).to_ascii_lowercase();
        let decoded = String::from_utf8_lossy(&decoded);
        for word in words {
            let found = decoded.contains(word.as_str());
            assert!(!found, "{word} is in {}", String::from_utf8_lossy(&output));
        }
    }
}

/// Any bytes are printed as some value, under each name that has a rule of its own.
#[cfg(feature = "fuzz")]
pub(crate) fn any_value_is_printed(bytes: &[u8]) {
    let names = [
        "authorization",
        "cookie",
        "set-cookie",
        "www-authenticate",
        "referer",
        "x-request-id",
    ];
    let field = |name: &str| OwnedField {
        value: Some(Unredacted::new(bytes)),
        ..sample::field(name, "")
    };
    let mut exchange = sample::whole();
    if let Some(request) = &mut exchange.request {
        request.head.path = Some(Unredacted::new(bytes));
        request.head.target_authority = Some(Unredacted::new(bytes));
        request.head.fields = names.into_iter().map(field).collect();
    }
    let observed = sample::observed(Happening::Exchange(Box::new(exchange)), AddressSource::Bio);
    let lines = [Redactor::new(Rules::default()).redact(&observed)];
    no_word_is_in_any_output(&[], &lines);
}

/// The bytes of lines in a form of the output.
pub(crate) fn written(format: Format, lines: &[Redacted<Line>]) -> Vec<u8> {
    let bytes = Buffer::default();
    let mut sink = format.open(bytes.clone());
    let failed = lines.iter().any(|line| sink.write(line).is_err()) || sink.finish().is_err();
    assert!(!failed, "a buffer takes everything");
    bytes.take()
}

/// Bytes that are written here and read there.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
