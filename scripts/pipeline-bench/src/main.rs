//! What everything above the kernel costs an exchange: a tape in memory through the pipeline to lines of JSON in memory, on
//! one core, beside httparse and serde_json over the same heads.
//!
//! A tape is made and run in slices. Each slice goes through the pipeline, then its heads through the floor, and the ratio
//! of the two times is that of the slice, so that a machine that slows down slows down both. Making a slice is not timed. Times
//! are CPU times of the thread, so that other programs on the same CPU do not count.

#[path = "../../decode-bench/src/deflater.rs"]
mod deflater;
mod floor;
mod heads;
mod tape;

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tracer_observe::{
    filter::{Filter, FilterArgs},
    output::{Format, Style},
    pipeline::{Options, Pipeline},
    policy::{Policy, Rules as PolicyRules},
    redact::{Redactor, Rules},
};

use self::{
    heads::{Client, Exchange},
    tape::{Protocol, Tape},
};

/// Exchanges of a slice: whole batches of either protocol, and so few that most slices are not interrupted.
const SLICE: u64 = 256;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let slices = arguments.next().and_then(|slices| slices.parse().ok()).unwrap_or(400);
    let only = arguments.next().unwrap_or_default();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for client in [Client::Browser, Client::Curl] {
            if format!("{}, {}", protocol.name(), client.name()).contains(&only) {
                run(protocol, client, slices);
            }
        }
    }
}

fn run(protocol: Protocol, client: Client, slices: u64) {
    let bytes = Arc::new(AtomicU64::new(0));
    let memory = Memory {
        buffer: Vec::new(),
        written: Arc::clone(&bytes),
    };
    let mut pipeline = Pipeline::new(&tape::header(), options(memory));
    let (mut tape, opening) = Tape::new(protocol);
    pipeline.batch(opening).expect("memory");
    let (mut ours, mut floors, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut out = Vec::new();
    for slice in 0..=slices {
        let exchanges: Vec<Exchange> = (0..SLICE).map(|id| client.exchange(slice * SLICE + id)).collect();
        let batches = tape.batches(&exchanges);
        let heads = floor::heads(&exchanges);
        let our = time(|| {
            for batch in batches {
                pipeline.batch(batch).expect("memory");
            }
        });
        out.clear();
        let floor = time(|| floor::run(&heads, &mut out));
        // The first slice warms up.
        if slice > 0 {
            ours.push(nanos(our));
            floors.push(nanos(floor));
            ratios.push(our.as_secs_f64() / floor.as_secs_f64());
        }
    }
    let exchanges = (slices + 1) * SLICE;
    assert_eq!(pipeline.summary().exchanges, exchanges, "every exchange is printed");
    let [our, floor] = [ours, floors].map(|times| quantiles(times)[1]);
    let [q25, ratio, q75] = quantiles(ratios);
    let (protocol, client) = (protocol.name(), client.name());
    let line_bytes = bytes.load(Ordering::Relaxed) / exchanges;
    println!(
        "pipeline, {protocol}, {client}: {our:.0} ns an exchange, httparse and serde_json {floor:.0} ns, ratio {ratio:.2} \
         ({q25:.2} to {q75:.2}); {line_bytes} bytes a line"
    );
    println!(
        "{{\"bench\":\"pipeline\",\"protocol\":\"{protocol}\",\"client\":\"{client}\",\"exchanges\":{exchanges},\
         \"ns\":{our:.0},\"floor_ns\":{floor:.0},\"ratio\":{ratio:.3},\"ratio_q25\":{q25:.3},\"ratio_q75\":{q75:.3},\
         \"line_bytes\":{line_bytes}}}"
    );
}

/// Returns the policy of the file that the environment names, if it does.
fn policy() -> Option<Policy> {
    let file = std::env::var_os("TLSCOPE_BENCH_POLICY")?;
    let text = std::fs::read_to_string(file).expect("the policy can be read");
    let rules = PolicyRules::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    Some(Policy::new(Arc::new(rules)))
}

/// Returns the output that the environment names; JSON if it names none.
fn format() -> Format {
    let name = std::env::var("TLSCOPE_BENCH_OUTPUT").unwrap_or_else(|_| "json".to_owned());
    <Format as clap::ValueEnum>::from_str(&name, false).expect("a format of `-o`")
}

fn options(memory: Memory) -> Options {
    Options {
        decode: http_decode::Settings::default(),
        redactor: Redactor::new(Rules::default()),
        filter: Filter::new(FilterArgs::default()),
        policy: policy(),
        sink: format().open(memory, Style::default()),
        limit: None,
        connections: false,
            hops: false,
        verbose: false,
    }
}

/// A sink that keeps what was written since the last flush.
struct Memory {
    buffer: Vec<u8>,
    written: Arc<AtomicU64>,
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.written.fetch_add(self.buffer.len() as u64, Ordering::Relaxed);
        self.buffer.clear();
        Ok(())
    }
}

fn time(work: impl FnOnce()) -> Duration {
    let began = cpu_time();
    work();
    cpu_time() - began
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).expect("less than a second"))
}

fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64 / SLICE as f64
}

/// Returns the first quartile, the median and the third quartile.
fn quantiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() * quarter / 4).min(values.len() - 1)])
}
