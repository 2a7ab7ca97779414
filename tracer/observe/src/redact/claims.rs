//! Properties of every redacted line, shared by the property tests and the fuzz targets.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use clap::ValueEnum as _;
#[cfg(feature = "fuzz")]
use http_decode::Unredacted;

use super::{FingerprintKey, Line, Redacted, Redactor, Rules, decoded::Decoded, generators::Sent};
#[cfg(feature = "fuzz")]
use crate::output::sample::OwnedField;
use crate::{
    correlate::ObservedKind,
    event::AddressSource,
    output::{Format, Style, sample},
};

/// Checks that no planted secret is in any output.
///
/// # Panics
///
/// Panics if one is.
pub(crate) fn no_planted_secret_is_in_any_output(sent: Sent, with_key: bool) {
    let Sent { exchange, end, words } = sent;
    let fingerprint = with_key
        .then(|| FingerprintKey::from_file_bytes(&[7; 32]).ok())
        .flatten();
    let mut redactor = Redactor::new(Rules {
        fingerprint,
        ..Rules::default()
    });
    let kinds = [
        ObservedKind::Exchange(Box::new(exchange)),
        ObservedKind::End(Box::new(end)),
    ];
    let observed = kinds.map(|kind| sample::observed(kind, AddressSource::Bio));
    let lines = observed.each_ref().map(|observed| redactor.redact(observed));
    no_word_is_in_any_output(&words, &lines);
}

/// Checks that no word is in any output, percent-encoded or not.
///
/// # Panics
///
/// Panics if one is.
pub(crate) fn no_word_is_in_any_output(words: &[String], lines: &[Redacted<Line<'_>>]) {
    for format in Format::value_variants() {
        let output = written(*format, lines);
        let decoded = Decoded::plain(&output).to_ascii_lowercase();
        let decoded = String::from_utf8_lossy(&decoded);
        for word in words {
            let found = decoded.contains(word.as_str());
            assert!(!found, "{word} is in {}", String::from_utf8_lossy(&output));
        }
    }
}

/// Checks that any bytes can be printed as the value of each field that has a rule of its own.
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
    let observed = sample::observed(ObservedKind::Exchange(Box::new(exchange)), AddressSource::Bio);
    let lines = [Redactor::new(Rules::default()).redact(&observed)];
    no_word_is_in_any_output(&[], &lines);
}

/// Prints lines in a format.
pub(crate) fn written(format: Format, lines: &[Redacted<Line<'_>>]) -> Vec<u8> {
    let bytes = Buffer::default();
    let style = Style {
        width: WIDTH,
        ..Style::default()
    };
    let mut sink = format.open(bytes.clone(), style);
    let failed = lines.iter().any(|line| sink.write(line).is_err()) || sink.finish().is_err();
    assert!(!failed, "writing to memory failed");
    bytes.take()
}

/// A writer to memory that is read after the sink that owns a clone of it is gone.
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

/// Columns of a line, wide enough for all of a path.
const WIDTH: usize = 100_000;
