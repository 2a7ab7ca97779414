//! Debian's Prometheus, which scrapes metrics every second.

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{http, loopback, wait};

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    address: String,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts it, to scrape the metrics at an address.
    pub fn scraping(address: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let root = directory.path();
        let own = format!("{}:{}", loopback::IPV4, loopback::free_port()?);
        let configuration = format!(
            "global: {{scrape_interval: 1s}}\n\
             scrape_configs: [{{job_name: tlscope, static_configs: [{{targets: ['{address}']}}]}}]\n"
        );
        fs::write(root.join("prometheus.yml"), configuration)?;
        let mut command = Command::new("prometheus");
        command
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={own}"))
            .current_dir(root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(root.join("stderr.log"))?);
        let child = command.spawn().context("prometheus did not start")?;
        let mut prometheus = Self {
            child,
            address: own,
            _directory: directory,
        };
        wait::until_true("prometheus is ready", || {
            ensure!(prometheus.child.try_wait()?.is_none(), "it ended");
            Ok(http::get(&prometheus.address, "/-/ready", "*/*").is_ok())
        })?;
        Ok(prometheus)
    }

    /// Returns the value of an expression without labels, if it has one. Blanks in the expression are not escaped.
    pub fn value(&self, expression: &str) -> Result<Option<f64>> {
        let answer = http::get(&self.address, &format!("/api/v1/query?query={expression}"), "*/*")?;
        let answer: Value = serde_json::from_str(&answer)?;
        let value = answer.pointer("/data/result/0/value/1").and_then(Value::as_str);
        Ok(value.map(str::parse).transpose()?)
    }

    /// Waits until an expression has this value.
    pub fn wait_for_value(&self, expression: &str, expected: u32) -> Result<()> {
        let mut last = None;
        let found = wait::until_true(&format!("{expression} is {expected}"), || {
            last = self.value(expression)?;
            Ok(last.is_some_and(|value| (value - f64::from(expected)).abs() < 1e-6))
        });
        found.with_context(|| format!("its last value was {last:?}"))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It has nothing to keep.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
