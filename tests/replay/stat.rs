//! `tlscope stat --tape`: what it counts is what `replay` prints.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;
use support::{binary, run, schema, secrets::find_secret};

use crate::tapes::{all, named, nginx, trace};

/// Counts a tape and validates the JSON lines. Returns stdout.
fn stat(tape: &Path, args: &[&str]) -> Result<String> {
    let mut command = binary::command(&["stat", "--tape"])?;
    let output = run::succeed(command.arg(tape).args(args))?;
    schema::check_lines(output.stdout.lines())?;
    assert_eq!(find_secret(&output.stdout), None, "{}", tape.display());
    Ok(output.stdout)
}

fn reports(tape: &Path, args: &[&str]) -> Result<Vec<Value>> {
    let text = stat(tape, args)?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Returns the number of requests in a report or a row.
fn requests(value: &Value) -> Result<u64> {
    value["requests"].as_u64().context("there are no requests")
}

#[test]
fn every_exchange_of_a_tape_is_counted_once() -> Result<()> {
    for tape in all()? {
        let printed = trace(&tape, &[])?;
        let reports = reports(&tape, &[])?;
        let [report] = reports.as_slice() else {
            panic!("{reports:?}")
        };
        assert_eq!(requests(report)?, printed.totals()?.exchanges, "{}", tape.display());
        let rows = report["rows"].as_array().context("there are no rows")?;
        let sum: u64 = rows.iter().map(requests).sum::<Result<_>>()?;
        assert_eq!(sum, requests(report)?, "{report}");
    }
    Ok(())
}

#[test]
fn rows_are_those_of_the_exchanges() -> Result<()> {
    let mut expected = BTreeMap::new();
    for exchange in trace(&nginx()?, &[])?.exchanges()? {
        let status = exchange.number("/response/status").context("there is no status")?;
        let key = (
            exchange.text("/side").map(str::to_owned),
            exchange.text("/request/method").map(str::to_owned),
            exchange.text("/request/authority").map(str::to_owned),
            format!("{}xx", status / 100),
        );
        *expected.entry(key).or_insert(0_u64) += 1;
    }
    let mut found = BTreeMap::new();
    for row in reports(&nginx()?, &[])?[0]["rows"]
        .as_array()
        .context("there are no rows")?
    {
        let text = |name: &str| row[name].as_str().map(str::to_owned);
        let key = (
            text("side"),
            text("method"),
            text("host"),
            text("status").unwrap_or_default(),
        );
        *found.entry(key).or_insert(0) += requests(row)?;
        let route = text("route").context("there is no route")?;
        assert!(!route.contains('?'), "{route}");
    }
    assert_eq!(found, expected);
    Ok(())
}

#[test]
fn intervals_add_up_to_the_whole() -> Result<()> {
    let whole = requests(&reports(&nginx()?, &[])?[0])?;
    let parts = reports(&nginx()?, &["--interval", "1ms"])?;
    assert!(parts.len() > 1, "{parts:?}");
    let sum: u64 = parts.iter().map(requests).sum::<Result<_>>()?;
    assert_eq!(sum, whole);
    for (part, next) in parts.iter().zip(parts.iter().skip(1)) {
        assert_eq!(part["to"], next["from"]);
    }
    Ok(())
}

#[test]
fn filters_select_what_is_counted() -> Result<()> {
    assert_eq!(requests(&reports(&nginx()?, &["--method", "HEAD"])?[0])?, 2);
    assert_eq!(requests(&reports(&nginx()?, &["--status", "404"])?[0])?, 1);
    Ok(())
}

#[test]
fn an_upstream_has_the_requests_of_a_client() -> Result<()> {
    let report = reports(&named("python")?, &[])?.remove(0);
    let upstreams = report["upstreams"].as_array().context("there are no upstreams")?;
    let sum: u64 = upstreams.iter().map(requests).sum::<Result<_>>()?;
    assert_eq!(sum, requests(&report)?, "{report}");
    Ok(())
}

#[test]
fn a_table_fits_eighty_columns_and_a_second_one_is_the_same() -> Result<()> {
    for tape in all()? {
        let args = ["-o", "text", "--utc"];
        let table = stat(&tape, &args)?;
        assert!(table.contains("STATUS"), "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        assert_eq!(stat(&tape, &args)?, table);
    }
    Ok(())
}

#[test]
fn with_hops_a_row_has_the_time_of_the_gateway() -> Result<()> {
    let tape = named("gateway")?;
    let [report] = &*reports(&tape, &["--hops"])? else {
        panic!("there is not one statistic")
    };
    let plain = reports(&tape, &[])?;
    assert_eq!(
        requests(report)?,
        requests(plain.first().context("there is no statistic")?)?
    );
    let rows = report["rows"].as_array().context("there are no rows")?;
    let row = rows
        .iter()
        .find(|row| row["route"] == "/hello" && row["side"] == "server")
        .context("there is no row of /hello")?;
    let number = |name: &str| row[name].as_u64().with_context(|| format!("{name}: {row}"));
    assert!(number("gateway_p50_us")? <= number("gateway_p99_us")?, "{row}");
    assert!(number("gateway_p99_us")? <= number("max_us")?, "{row}");
    // An upstream exchange is with no gateway.
    assert!(
        rows.iter()
            .all(|row| row["side"] == "server" || row.get("gateway_p50_us").is_none()),
        "{report}"
    );
    Ok(())
}
