//! What must hold for any bytes at all: the bodies of the fuzz targets.
//!
//! In: arbitrary bytes. Out: nothing. Panics when something that must hold does not; nothing else in this crate calls it.

use std::io;

use crate::{
    batch::{Batch, Header, Totals},
    filter::{Filter, FilterArgs},
    output::Format,
    pipeline::{Options, Pipeline},
    redact::{Redactor, Rules, claims, generators::sent_by_seeds},
    tape::{Reader, Writer},
};

/// Reads a tape and sends it through the pipeline; what was read and is written again reads as the same.
///
/// The first byte says whether the rest is a tape, or what stands behind a valid header.
pub fn tape(data: &[u8]) {
    let Some((has_header, rest)) = data.split_first() else {
        return;
    };
    let (header, batches) = if has_header % 2 == 0 {
        read(rest)
    } else {
        let mut bytes = Vec::new();
        drop(Writer::new(&mut bytes, &Header::default()));
        bytes.extend_from_slice(rest);
        read(&bytes)
    };
    let again = read(&written(&header, &batches));
    assert!(again.1 == batches, "a tape gives back what was written");
    let mut pipeline = Pipeline::new(
        &header,
        Options {
            decode: http_decode::Settings::default(),
            redactor: Redactor::new(Rules::default()),
            filter: Filter::new(FilterArgs::default()),
            sink: Format::Json.open(io::sink()),
            limit: None,
            connections: true,
            verbose: true,
        },
    );
    let failed = batches.into_iter().any(|batch| pipeline.batch(batch).is_err());
    assert!(!failed && pipeline.conclude().is_ok(), "nothing but the output fails");
}

/// Reads up to the first error, or to the end.
fn read(bytes: &[u8]) -> (Header, Vec<Batch>) {
    let mut batches = Vec::new();
    let Ok(mut reader) = Reader::new(bytes) else {
        return (Header::default(), batches);
    };
    while let Ok(Some(batch)) = reader.next_batch() {
        batches.push(batch);
    }
    (reader.header().clone(), batches)
}

fn written(header: &Header, batches: &[Batch]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(mut writer) = Writer::new(&mut bytes, header) {
        let failed = batches.iter().any(|batch| writer.batch(batch).is_err());
        assert!(
            !failed && writer.finish(Totals::default()).is_ok(),
            "memory takes everything"
        );
    }
    bytes
}

/// Plants secrets wherever a rule says that something is secret, a part for each four bytes, and looks for them in every
/// output; and prints the bytes as they are, as the value of each field that a rule looks into.
pub fn redaction(data: &[u8]) {
    let (seeds, rest) = data.as_chunks();
    let mut seeds = seeds.iter().map(|seed| u32::from_le_bytes(*seed));
    claims::no_planted_secret_is_in_any_output(sent_by_seeds(&mut seeds), rest.is_empty());
    claims::any_value_is_printed(data);
}
