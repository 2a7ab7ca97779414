//! The public HPACK stories (http2jp/hpack-test-case), one trial each: decoded whole, joined late, and with a loss.
//!
//! They are read from `../shared/corpora/hpack`, or from `hpack` in the folder that `TLSCOPE_CORPORA` names. If they are
//! absent, an ignored trial says so. At the end, the test prints how many fields are known after joining late.
#![cfg(test)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use http_decode::h2::hpack::{Bounds, Decoder};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

/// The blocks after joining for which numbers are printed.
const REPORTED: [usize; 7] = [1, 2, 3, 5, 10, 20, 50];
/// Blocks that are decoded after joining: by then the tables of these stories are known, and a story of 600 blocks takes less
/// than a minute.
const FOLLOWED: usize = 100;
/// One block of this many is lost.
const LOSS_PERIOD: usize = 20;
const TABLE_BYTES: usize = 65536;
const BOUNDS: Bounds = Bounds {
    max_fields: usize::MAX,
    max_bytes: usize::MAX,
};

fn main() -> ExitCode {
    let corpus = corpus();
    let known = Arc::default();
    let mut trials = trials(&corpus, &known);
    if trials.is_empty() {
        let reason = format!("there are no stories in {}", corpus.display());
        eprintln!("hpack_corpus: ignored, {reason}");
        let name = format!("stories (ignored: {reason})");
        trials.push(Trial::test(name, || Err(reason.into())).with_ignored_flag(true));
    }
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    for (encoder, known) in &*known.lock().unwrap_or_else(PoisonError::into_inner) {
        println!("{encoder}: wholly known after joining late: {}", known.report());
    }
    conclusion.exit_code()
}

fn corpus() -> PathBuf {
    let shared = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    std::env::var_os("TLSCOPE_CORPORA")
        .map_or_else(shared, PathBuf::from)
        .join("hpack")
}

/// The known fields by encoder.
type Figures = Mutex<BTreeMap<String, Known>>;

fn trials(corpus: &Path, figures: &Arc<Figures>) -> Vec<Trial> {
    let stories = entries(corpus).into_iter().flat_map(|encoder| entries(&encoder));
    stories
        .filter(|story| story.extension().is_some_and(|extension| extension == "json"))
        .map(|story| {
            let encoder = name(story.parent());
            let figures = Arc::clone(figures);
            Trial::test(format!("{encoder}::{}", name(Some(&story))), move || {
                let known = check(&Story::load(&story)?)?;
                figures.lock()?.entry(encoder).or_default().add(&known);
                Ok(())
            })
        })
        .collect()
}

/// Returns the entries of a folder; none if there is no such folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    entries
}

fn name(path: Option<&Path>) -> String {
    path.and_then(Path::file_stem)
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Blocks that share a table.
struct Story {
    cases: Vec<Case>,
}

/// A block and its fields.
struct Case {
    wire: Vec<u8>,
    fields: Vec<(String, String)>,
}

impl Story {
    fn load(path: &Path) -> Result<Self, Failed> {
        let story: Value = serde_json::from_slice(&std::fs::read(path)?)?;
        let cases = story["cases"].as_array().ok_or("a story has cases")?;
        if cases.is_empty() {
            return Err("a story has cases".into());
        }
        let cases = cases.iter().map(Case::read).collect::<Option<_>>();
        Ok(Self {
            cases: cases.ok_or("a case has a wire in hexadecimal, and headers")?,
        })
    }
}

impl Case {
    fn read(case: &Value) -> Option<Self> {
        let headers = case["headers"].as_array()?;
        let pairs = headers.iter().filter_map(Value::as_object).flatten();
        let fields: Vec<_> = pairs
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        (fields.len() == headers.len()).then_some(Self {
            wire: from_hex(case["wire"].as_str()?)?,
            fields,
        })
    }
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

fn check(story: &Story) -> Result<Known, Failed> {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    for (number, case) in story.cases.iter().enumerate() {
        if decode(&mut decoder, case, number)? != case.fields.len() {
            return Err(format!("case {number}: not all fields are known").into());
        }
    }
    let mut known = Known::default();
    for joined in 0..story.cases.len() {
        join(story, joined, &mut known).map_err(|failed| within("joined", joined, &failed))?;
    }
    for lost in 0..LOSS_PERIOD {
        lose(story, lost).map_err(|failed| within("lost", lost, &failed))?;
    }
    Ok(known)
}

fn within(what: &str, number: usize, failed: &Failed) -> Failed {
    format!("{what} at case {number}: {}", failed.message().unwrap_or_default()).into()
}

/// Decodes a story from a block on.
fn join(story: &Story, joined: usize, known: &mut Known) -> Result<(), Failed> {
    let mut decoder = Decoder::new(TABLE_BYTES);
    for (number, case) in story.cases.iter().enumerate().skip(joined).take(FOLLOWED) {
        let fields = decode(&mut decoder, case, number)?;
        // Joining before the first block is not joining late.
        if joined > 0 {
            known.count(number - joined, fields, case.fields.len());
        }
    }
    Ok(())
}

/// Decodes a story without the block `lost` and every [`LOSS_PERIOD`]th one behind it.
fn lose(story: &Story, lost: usize) -> Result<(), Failed> {
    let mut decoder = Decoder::from_start(TABLE_BYTES);
    for (number, case) in story.cases.iter().enumerate() {
        if number % LOSS_PERIOD == lost {
            decoder.forget();
        } else {
            decode(&mut decoder, case, number)?;
        }
    }
    Ok(())
}

/// Decodes a block, fails if anything is wrong, and returns the number of fields that are wholly known.
fn decode(decoder: &mut Decoder, case: &Case, number: usize) -> Result<usize, Failed> {
    let mut expected = case.fields.iter();
    let mut known = 0;
    let mut wrong = None;
    let result = decoder.decode(&case.wire, &BOUNDS, |header| {
        let field = expected.next();
        let is = |part: Option<&[u8]>, expected: &str| part.is_none_or(|part| part == expected.as_bytes());
        if field.is_none_or(|(name, value)| !is(header.name, name) || !is(header.value, value)) {
            wrong.get_or_insert_with(|| format!("case {number}: expected {field:?}"));
        }
        known += usize::from(header.name.is_some() && header.value.is_some());
    });
    let visited = result.map_err(|error| format!("case {number}: {error:?}"))?;
    if let Some(wrong) = wrong {
        return Err(wrong.into());
    }
    if visited.fields as usize != case.fields.len() || visited.unknown as usize != case.fields.len() - known {
        return Err(format!("case {number}: {visited:?}").into());
    }
    Ok(known)
}

/// The numbers of fields in the blocks of [`REPORTED`]: wholly known, and all.
#[derive(Default)]
struct Known([(usize, usize); REPORTED.len()]);

impl Known {
    fn count(&mut self, block: usize, known: usize, all: usize) {
        let reported = self.0.iter_mut().zip(REPORTED).find(|(_, number)| *number == block + 1);
        if let Some((counts, _)) = reported {
            *counts = (counts.0 + known, counts.1 + all);
        }
    }

    fn add(&mut self, other: &Self) {
        for (counts, (known, all)) in self.0.iter_mut().zip(other.0) {
            *counts = (counts.0 + known, counts.1 + all);
        }
    }

    fn report(&self) -> String {
        let shares = REPORTED.iter().zip(self.0).filter(|(_, (_, all))| *all > 0);
        let shares = shares.map(|(number, (known, all))| format!("{} % in block {number}", known * 100 / all));
        shares.collect::<Vec<_>>().join(", ")
    }
}
