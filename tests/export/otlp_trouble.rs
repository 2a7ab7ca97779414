//! OpenTelemetry: collectors that are down, slow or wrong.

use anyhow::Result;
use serde_json::Value;
use support::otlp::Collector;

use crate::{
    Test,
    exported::{many, one, replay, unsent},
};

pub(crate) const TESTS: &[Test] = &[
    ("what_is_answered_with_later_is_sent_again", later_http),
    ("what_grpc_answers_with_unavailable_is_sent_again", later_grpc),
    ("what_is_refused_is_dropped_and_counted", never),
    ("what_is_rejected_in_part_is_counted", partial),
    ("a_collector_that_is_down_costs_spans_and_nothing_else", down),
    ("an_answer_that_is_not_of_a_collector_is_refused", page),
];

/// Returns the answers that the collector gave.
fn answers(requests: &[Value]) -> Vec<&str> {
    requests
        .iter()
        .filter_map(|request| request["answer"].as_str())
        .collect()
}

fn later_http() -> Result<()> {
    for (first, second, told) in [
        ("later", "slower", "503 Service Unavailable"),
        ("garbage", "gone", "invalid HTTP version"),
    ] {
        let mut collector = Collector::start()?;
        collector.answer(first, 1)?;
        collector.answer(second, 1)?;
        let url = collector.http().to_owned();
        let output = replay(&many(5, 2)?, &["--otlp", &url])?;
        let report = collector.report()?;
        assert_eq!(answers(report.requests()?), [first, second, "taken"]);
        assert_eq!(
            (report.spans()?.len(), unsent(&output.stderr)),
            (10, 0),
            "{}",
            output.stderr
        );
        assert!(output.stderr.contains(told), "{}", output.stderr);
    }
    Ok(())
}

fn later_grpc() -> Result<()> {
    let mut collector = Collector::start()?;
    for name in ["later", "slower"] {
        collector.answer(name, 1)?;
    }
    let url = collector.grpc().to_owned();
    let output = replay(&many(5, 2)?, &["--otlp", &url])?;
    let report = collector.report()?;
    assert_eq!(answers(report.requests()?), ["later", "slower", "taken"]);
    assert_eq!(report.spans()?.len(), 10);
    assert!(
        output
            .stderr
            .contains("status 14 of gRPC: for a test: 100%; trying again"),
        "{}",
        output.stderr
    );
    Ok(())
}

fn never() -> Result<()> {
    let mut collector = Collector::start()?;
    for url in [collector.http().to_owned(), collector.grpc().to_owned()] {
        collector.answer("never", 1)?;
        let output = replay(&many(5, 2)?, &["--otlp", &url])?;
        assert_eq!(unsent(&output.stderr), 10, "{}", output.stderr);
    }
    let report = collector.report()?;
    assert_eq!(answers(report.requests()?), ["never", "never"]);
    assert!(report.spans()?.is_empty());
    Ok(())
}

fn partial() -> Result<()> {
    let mut collector = Collector::start()?;
    for url in [collector.http().to_owned(), collector.grpc().to_owned()] {
        collector.answer("partial", 1)?;
        let output = replay(&many(5, 2)?, &["--otlp", &url])?;
        assert_eq!(unsent(&output.stderr), 1, "{}", output.stderr);
        assert!(
            output.stderr.contains(r"1 were rejected: one is too old\u{1b}[31m"),
            "{}",
            output.stderr
        );
    }
    assert_eq!(collector.report()?.spans()?.len(), 20);
    Ok(())
}

fn down() -> Result<()> {
    let mut collector = Collector::start()?;
    let (http, grpc) = (collector.http().to_owned(), collector.grpc().to_owned());
    collector.stop()?;
    let expected = replay(&one()?, &[])?.stdout;
    for url in [&http, &grpc] {
        let output = replay(&one()?, &["--otlp", url])?;
        assert_eq!(
            (output.stdout, unsent(&output.stderr)),
            (expected.clone(), 1),
            "{}",
            output.stderr
        );
        for line in ["Connection refused", "; trying again", "exchanges=1"] {
            assert!(output.stderr.contains(line), "{}", output.stderr);
        }
    }
    collector.start_again()?;
    replay(&one()?, &["--otlp", &http])?;
    assert_eq!(collector.report()?.spans()?.len(), 1);
    Ok(())
}

fn page() -> Result<()> {
    let mut collector = Collector::start()?;
    let url = collector.http().to_owned();
    for name in ["page", "flood"] {
        collector.answer(name, 1)?;
        let output = replay(&one()?, &["--otlp", &url])?;
        assert!(output.stderr.contains("something else than OTLP"), "{}", output.stderr);
        assert_eq!(unsent(&output.stderr), 1, "{}", output.stderr);
    }
    assert_eq!(answers(collector.report()?.requests()?), ["page", "flood"]);
    Ok(())
}
