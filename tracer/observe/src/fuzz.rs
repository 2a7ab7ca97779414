//! The bodies of the fuzz targets. Each takes arbitrary bytes and panics if a property does not hold.

use std::io;

use crate::{
    batch::{Batch, Header, Totals},
    filter::{Filter, FilterArgs},
    output::{Format, Style},
    pipeline::{Options, Pipeline},
    redact::{Redactor, Rules, claims, generators::sent_by_seeds},
    tape::{Reader, Writer},
};

/// Reads a tape, checks that writing and reading it again gives the same batches, and runs them through the pipeline.
///
/// If the first byte is even, the rest is a tape; otherwise it is what follows a valid header.
pub fn tape(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    let (header, batches) = if choice % 2 == 0 {
        read(rest)
    } else {
        let mut bytes = Vec::new();
        drop(Writer::new(&mut bytes, &Header::default()));
        bytes.extend_from_slice(rest);
        read(&bytes)
    };
    let again = read(&written(&header, &batches));
    assert!(again.1 == batches, "the batches differ after a round trip");
    let mut pipeline = Pipeline::new(
        &header,
        Options {
            decode: http_decode::Settings::default(),
            redactor: Redactor::new(Rules::default()),
            filter: Filter::new(FilterArgs::default()),
            policy: None,
            sink: Format::Json.open(io::sink(), Style::default()),
            limit: None,
            connections: true,
            hops: true,
            verbose: true,
        },
    );
    let failed = batches.into_iter().any(|batch| pipeline.batch(batch).is_err());
    assert!(
        !failed && pipeline.conclude().is_ok(),
        "only writing the output can fail"
    );
}

/// Reads up to the first error or the end.
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
            "writing to memory failed"
        );
    }
    bytes
}

/// Checks that no planted secret is in any output, and that the bytes can be printed as the value of any field that has a
/// rule. Each four bytes seed one part of the exchange that the secrets are planted in.
pub fn redaction(data: &[u8]) {
    let (seeds, rest) = data.as_chunks();
    let mut seeds = seeds.iter().map(|seed| u32::from_le_bytes(*seed));
    claims::no_planted_secret_is_in_any_output(sent_by_seeds(&mut seeds), rest.is_empty());
    claims::any_value_is_printed(data);
}
