//! The tables and queries of `tracer/docs/clickhouse.md`, on the lines of two gateways: they must give what the logs of both
//! say.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use support::{Nginx, Trace, Tracer, curl, loopback::free_port, nginx::Setup, run, source_file, wait, wheel};

/// The package with the engine.
pub(crate) const PACKAGE: &str = "chdb_core-26.9.0";

/// Requests to each of the routes.
const REQUESTS: usize = 40;

/// The id in the page for which a real one is put in.
const SHOWN_ID: &str = "0db2f0620a9990b0001a766e5ca2e020";

/// A gateway with its own log: the id of each request, its status and its path.
struct Gateway {
    nginx: Nginx,
    port: u16,
}

impl Gateway {
    /// Starts a gateway with these locations, which logs the variable `id`.
    fn start(id: &str, locations: &str) -> Result<Self> {
        let port = free_port()?;
        let servers = format!(
            "log_format numbers '{id} $status $request_uri';
            server {{
                listen 127.0.0.1:{port} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;
                access_log numbers.log numbers;
                {locations}
            }}"
        );
        let nginx = Nginx::start_with(Setup {
            servers: &servers,
            workers: Some(1),
            ..Setup::default()
        })?;
        Ok(Self { nginx, port })
    }

    /// Returns the status and the path of each request, by its id.
    fn log(&self, count: usize) -> Result<BTreeMap<String, (u64, String)>> {
        let path = self.nginx.certificate().with_file_name("numbers.log");
        let read = || fs::read_to_string(&path);
        wait::until_true("the log of the gateway", || Ok(read()?.lines().count() >= count))?;
        let line = |line: &str| {
            let words: Vec<_> = line.split(' ').collect();
            let [id, status, path] = words[..] else {
                anyhow::bail!("{line}")
            };
            Ok((id.to_owned(), (status.parse()?, path.to_owned())))
        };
        read()?.lines().map(line).collect()
    }
}

/// Returns the lines of a trace with the name of a machine, as `sed` puts it in.
fn lines_of(trace: &Trace, host: &str) -> String {
    let lines = trace.stdout.iter();
    let named = lines.map(|line| line.replacen('{', &format!("{{\"host\":\"{host}\","), 1) + "\n");
    named.collect()
}

/// Returns the statements of the page.
fn statements() -> Result<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tracer/docs/clickhouse.md");
    let page = fs::read_to_string(page)?;
    let blocks = page.split("```sql\n").skip(1);
    let statement = |block: &str| Some(block.split_once("```")?.0.to_owned());
    blocks
        .map(|block| statement(block).context("a statement does not end"))
        .collect()
}

/// Runs the statements of the page on these lines. Returns the rows of each query.
fn query(lines: &str, id: &str) -> Result<Vec<Vec<Value>>> {
    let statements: Vec<_> = statements()?.iter().map(|one| one.replace(SHOWN_ID, id)).collect();
    let job = json!({ "statements": statements, "lines": lines }).to_string();
    let mut command = Command::new("/usr/bin/python3");
    let package: PathBuf = wheel(PACKAGE)?;
    command.arg(source_file("python/clickhouse.py")).arg(package);
    let output = run::succeed_with_input(&mut command, &job)?;
    Ok(serde_json::from_str(&output.stdout)?)
}

/// Returns the number in a cell: 64 bits are in quotes.
fn number(cell: &Value) -> Option<u64> {
    cell.as_u64().or_else(|| cell.as_str()?.parse().ok())
}

pub(crate) fn two_gateways() -> Result<()> {
    let back = Gateway::start(
        "$http_x_request_id",
        "location /users/ { return 200 'small'; } location /broken { return 503; } location /gone/ { return 404; }",
    )?;
    let front = Gateway::start(
        "$request_id",
        &format!(
            "add_header X-Request-ID $request_id always;
            location / {{ proxy_pass https://127.0.0.1:{}; proxy_set_header X-Request-ID $request_id; }}",
            back.port
        ),
    )?;
    let trace = |gateway: &Gateway| Tracer::of(&[gateway.nginx.master()], &["-o", "json"]);
    let (at_front, at_back) = (trace(&front)?, trace(&back)?);
    for path in ["/users/[1-40]?page=2", "/broken?[1-40]", "/gone/[1-40]"] {
        curl::request(&[&format!("https://127.0.0.1:{}{path}", front.port)])?;
    }
    let total = 3 * REQUESTS;
    at_front.wait_for_lines(2 * total)?;
    at_back.wait_for_lines(total)?;
    let lines = lines_of(&at_front.stop()?, "front") + &lines_of(&at_back.stop()?, "back");
    let (front_log, back_log) = (front.log(total)?, back.log(total)?);
    ensure!(
        front_log == back_log,
        "nginx passes status and path on: {front_log:?} {back_log:?}"
    );
    let (id, (status, _)) = front_log.first_key_value().context("no requests")?;
    let results = query(&lines, id)?;
    let [slow, worse, request, ways, losses] = &results[..] else {
        anyhow::bail!("the page has {} queries", results.len());
    };
    assert_routes(slow, &front, &back)?;
    assert_eq!(worse.len(), 2, "the routes with errors: {worse:?}");
    let hosts: Vec<_> = request.iter().map(|row| json!([row[0], row[1], row[4]])).collect();
    let expected = [("front", "server"), ("front", "client"), ("back", "server")];
    assert_eq!(hosts, expected.map(|(host, side)| json!([host, side, status])));
    let ways: Vec<_> = ways
        .iter()
        .map(|row| (&row[0], &row[1], number(&row[2]), number(&row[3])))
        .collect();
    let (from, to) = (json!("front"), json!("back"));
    assert_eq!(ways, [(&from, &to, Some(total as u64), Some(0))]);
    assert_eq!(losses, &Vec::<Value>::new());
    Ok(())
}

/// Asserts requests and errors of each route of both gateways.
fn assert_routes(rows: &[Value], front: &Gateway, back: &Gateway) -> Result<()> {
    let mut routes = BTreeMap::new();
    for row in rows {
        let route = (
            row[0].as_str().context("no authority")?,
            row[1].as_str().context("no route")?,
        );
        let count = |place: usize| number(&row[place]).context("no number");
        ensure!(row[4].as_array().is_some_and(|quantiles| quantiles.len() == 3), "{row}");
        routes.insert(route, (count(2)?, count(3)?));
    }
    let authorities = [front, back].map(|gateway| format!("127.0.0.1:{}", gateway.port));
    let all = REQUESTS as u64;
    let expected = authorities.iter().flat_map(|authority| {
        [("/users/{}", 0), ("/broken", all), ("/gone/{}", 0)]
            .map(|(route, errors)| ((authority.as_str(), route), (all, errors)))
    });
    assert_eq!(routes, expected.collect());
    Ok(())
}
