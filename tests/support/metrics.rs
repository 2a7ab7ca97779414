//! The metrics that `tlscope` serves.

use anyhow::{Context as _, Result};

use crate::{Tracer, http};

/// The metrics of a running `tlscope`.
#[derive(Debug)]
pub struct Metrics {
    address: String,
}

impl Metrics {
    /// Returns those of a `tlscope` that was started with `--metrics 127.0.0.1:0`.
    pub fn of(tracer: &Tracer) -> Result<Self> {
        let url = tracer.wait_for_rest("tlscope: metrics: http://")?;
        let address = url.strip_suffix("/metrics").context("the URL has another path")?;
        Ok(Self {
            address: address.to_owned(),
        })
    }

    /// Returns the address that serves them.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the answer to whether it is alive.
    pub fn health(&self) -> Result<String> {
        http::get(&self.address, "/healthz", "*/*")
    }

    /// Returns them in `OpenMetrics`.
    pub fn scrape(&self) -> Result<Scrape> {
        http::get(&self.address, "/metrics", "application/openmetrics-text").map(Scrape)
    }
}

/// The metrics at one time.
#[derive(Debug)]
pub struct Scrape(pub String);

impl Scrape {
    /// Adds up the values of a metric whose labels contain all of these texts.
    pub fn sum(&self, name: &str, labels: &[&str]) -> Result<f64> {
        let mut sum = 0.0;
        for line in self.series(name, labels) {
            let value = line.rsplit(' ').next().context("a line without a value")?;
            sum += value.parse::<f64>().with_context(|| line.to_owned())?;
        }
        Ok(sum)
    }

    /// Adds up the values of a counter, which are whole.
    pub fn count(&self, name: &str, labels: &[&str]) -> Result<u64> {
        let mut sum = 0;
        for line in self.series(name, labels) {
            let value = line.rsplit(' ').next().context("a line without a value")?;
            sum += value.parse::<u64>().with_context(|| line.to_owned())?;
        }
        Ok(sum)
    }

    /// Counts the series of a metric.
    pub fn count_series(&self, name: &str) -> usize {
        self.series(name, &[]).count()
    }

    fn series<'a>(&'a self, name: &'a str, labels: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
        let is_named = move |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        };
        let lines = self.0.lines().filter(is_named);
        lines.filter(move |line| labels.iter().all(|label| line.contains(label)))
    }
}
