//! The bytes of each kind of hooks, compared with those that both sides of a connection sent and received.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, ensure};
use support::{Tracer, program::Program, wait};
use tracer_ebpf::{DataRecord, Direction, Kind, PassedRecord, RecordFlags, RecordHeader};
use tracer_observe::tape::Reader;
use zerocopy::FromBytes as _;

/// The ways of `exact.c` in which a tap and a lift bring every byte.
const WAYS: [&str; 15] = [
    "warm",
    "talk",
    "slow",
    "upload",
    "pipeline",
    "key-update",
    "gcm",
    "chacha",
    "cbc",
    "cbc-upload",
    "renegotiate",
    "peek",
    "release",
    "release-pipeline",
    "clear",
];

/// The PID of one side, and the count and sum of what it read and of what it wrote.
type Sums = (u32, [(u64, u64); 2]);

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn calls_bring_the_bytes_of_every_connection() -> Result<()> {
    assert_exact(
        &[&WAYS[..], &["old", "early", "refused-early", "buffer"]].concat(),
        "exit",
        1,
    )
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn taps_and_lifts_bring_the_bytes_of_every_connection() -> Result<()> {
    assert_exact(&WAYS, "tap", 1)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn each_byte_is_brought_once_while_calls_confirm_taps_and_lifts_and_after() -> Result<()> {
    // The connection that is older than the trace comes first, while its calls are probed.
    assert_exact(&[&["old"], &WAYS[..]].concat(), "auto", 2)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn early_data_is_brought_if_it_was_accepted() -> Result<()> {
    assert_exact(&["early", "refused-early"], "auto", 1)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn connections_that_write_to_a_buffer_lose_no_byte() -> Result<()> {
    assert_exact(&["buffer", "talk", "buffer"], "auto", 1)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn taps_and_lifts_of_a_stripped_program_bring_the_bytes_of_every_connection() -> Result<()> {
    assert_exact_of(Program::c_stripped("exact.c", &WAYS)?, &WAYS, "auto", 1)
}

/// Records `exact.c`, which goes through these ways once or more, and asserts that the tape has the bytes that it moved.
fn assert_exact(ways: &[&str], hooks: &str, passes: usize) -> Result<()> {
    assert_exact_of(Program::c("exact.c", ways)?, ways, hooks, passes)
}

/// Does the same with the program, which was started with these ways.
fn assert_exact_of(mut program: Program, ways: &[&str], hooks: &str, passes: usize) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let tape = directory.path().join("tape");
    let tracer = Tracer::ready(&[
        "record",
        "-p",
        &program.pid().to_string(),
        "-w",
        tape.to_str().context("the path is not UTF-8")?,
        "--hooks",
        hooks,
        // As many bytes as the longest call has, and room for such calls while the tracer does not run.
        "--call-bytes",
        "4194304",
        "--ring-kib",
        "65536",
    ])?;
    let links = tracer.bpf_objects()?.links.len();
    for pass in 1..=passes {
        program.begin()?;
        program.wait_for_count("passed", pass)?;
        if pass < passes {
            wait::until_true("fewer links", || Ok(tracer.bpf_objects()?.links.len() < links))?;
        }
    }
    program.send_line("end")?;
    program.wait_for("done")?;
    assert_eq!(tracer.stop()?.code, Some(0));
    let printed = program.finish()?;
    if ways.contains(&"slow") {
        let retries = printed
            .iter()
            .filter_map(|line| line.strip_prefix("retries ")?.parse().ok());
        assert!(retries.max() > Some(1_000), "a slow reader makes writes fail");
    }
    assert_eq!(recorded(&tape)?, moved(&printed)?);
    Ok(())
}

/// Parses the sums that the program printed, without connections that moved nothing.
fn moved(printed: &[String]) -> Result<BTreeMap<Sums, usize>> {
    let mut sums = BTreeMap::new();
    for line in printed.iter().filter(|line| line.starts_with("sum ")) {
        let words: Vec<_> = line.split(' ').collect();
        let [_, pid, "read", read, read_sum, "written", written, written_sum] = *words else {
            anyhow::bail!("not a sum: {line}");
        };
        let side = |count: &str, sum| Ok::<_, anyhow::Error>((count.parse()?, u64::from_str_radix(sum, 16)?));
        let of = (pid.parse()?, [side(read, read_sum)?, side(written, written_sum)?]);
        if of.1.iter().any(|(count, _)| *count > 0) {
            *sums.entry(of).or_default() += 1;
        }
    }
    Ok(sums)
}

/// Sums up the bytes of each connection of a tape. Fails if bytes are missing or brought twice.
fn recorded(tape: &Path) -> Result<BTreeMap<Sums, usize>> {
    let mut reader = Reader::open(tape)?;
    let mut flows = BTreeMap::<_, [Pieces; 2]>::new();
    while let Some(batch) = reader.next_batch()? {
        for record in batch.records() {
            let (header, _) = RecordHeader::read_from_prefix(record).ok().context("a short record")?;
            ensure!(
                header.kind != Kind::PASSED,
                "{:?}",
                PassedRecord::read_from_prefix(record)
            );
            if header.kind == Kind::DATA {
                let (data, payload) = DataRecord::read_from_prefix(record).ok().context("a short record")?;
                let payload = payload
                    .get(..usize::try_from(data.captured)?)
                    .context("a short record")?;
                let flow = flows
                    .entry((header.tgid, header.object, header.generation))
                    .or_default();
                let pieces = &mut flow[usize::from(header.direction == Direction::WRITE)];
                if header.flags.contains(RecordFlags::EARLY) {
                    pieces.early.push((data.position, payload.to_vec()));
                } else {
                    pieces.settled.push((data.position, payload.to_vec()));
                    pieces.is_early_refused |= header.flags.contains(RecordFlags::EARLY_REFUSED);
                }
            }
        }
    }
    let totals = reader.totals().context("the tape has no end")?;
    ensure!(totals.lost_records == 0, "{totals:?}");
    let mut sums = BTreeMap::new();
    for ((pid, ..), [read, written]) in flows {
        *sums.entry((pid, [read.sum()?, written.sum()?])).or_default() += 1;
    }
    Ok(sums)
}

/// The bytes of one direction, in pieces with their positions.
#[derive(Default)]
struct Pieces {
    settled: Vec<(u64, Vec<u8>)>,
    /// Early data, which is part of the direction unless the server refused it.
    early: Vec<(u64, Vec<u8>)>,
    is_early_refused: bool,
}

impl Pieces {
    /// Returns the number and the sum of the bytes. Fails unless each piece begins where the previous one ends.
    fn sum(mut self) -> Result<(u64, u64)> {
        if !self.is_early_refused {
            self.settled.append(&mut self.early);
        }
        self.settled.sort();
        let first = self.settled.first().map_or(0, |(position, _)| *position);
        let (mut end, mut sum) = (first, FNV_BASIS);
        for (position, bytes) in self.settled {
            ensure!(position == end, "bytes end at {end}, and go on at {position}");
            end += u64::try_from(bytes.len())?;
            sum = bytes
                .iter()
                .fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(FNV_PRIME));
        }
        Ok((end - first, sum))
    }
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;
