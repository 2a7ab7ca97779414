//! The time in the gateway, compared with what the gateway logs.

use anyhow::{Context as _, Result, bail};
use support::{program::Program, wait};

use super::gateway::{Gateway, Hop};

/// A line of the gateway's log, in milliseconds.
#[derive(Debug)]
struct Logged {
    probe: String,
    request: f64,
    response: f64,
    connect: f64,
}

impl Logged {
    fn parse(line: &str) -> Result<Self> {
        let words: Vec<_> = line.split(' ').collect();
        let [probe, request, response, connect, _] = *words else {
            bail!("not a line of the log: {line}");
        };
        let ms = |seconds: &str| -> Result<f64> { Ok(seconds.parse::<f64>()? * 1000.0) };
        Ok(Self {
            probe: probe.to_owned(),
            request: ms(request)?,
            response: ms(response)?,
            connect: ms(connect)?,
        })
    }

    /// Returns by how much the time in the gateway differs from what the log allows. nginx rounds down to milliseconds, and the
    /// opening of an upstream connection may count or not.
    fn error_ms(&self, gateway_ms: f64) -> f64 {
        let own = self.request - self.response;
        let (least, most) = (own - 2.0, own + self.connect + 2.0);
        (least - gateway_ms).max(gateway_ms - most).max(0.0)
    }
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_time_in_the_gateway_is_what_the_gateway_logs() -> Result<()> {
    const REQUESTS: usize = 2 * 15;
    let gateway = Gateway::start()?;
    let mut logged = 0;
    // nginx delays the first, beyond ten requests a second.
    for (path, delayed) in [
        ("/limited/delay/50/", true),
        ("/kept/delay/50/", false),
        ("/plain/delay/50/", false),
    ] {
        let arguments = [&*gateway.port.to_string(), path, "2", "15", "own", "ready"];
        let mut client = Program::python("hops.py", &arguments)?;
        let tracer = gateway.trace()?;
        client.begin()?;
        client.wait_for("done")?;
        wait::until_true("the hops", || Ok(tracer.count_lines(r#""downstream":"#) == REQUESTS))?;
        let trace = tracer.stop()?;
        client.finish()?;
        logged += REQUESTS;
        let log = gateway.log(logged)?;
        let log = log
            .lines()
            .rev()
            .take(REQUESTS)
            .map(Logged::parse)
            .collect::<Result<Vec<_>>>()?;
        let mut errors = Vec::new();
        let mut slow = 0;
        for hop in Hop::of(&trace, path)? {
            let [downstream, _] = hop.pair();
            let probe = downstream.request_header("x-probe").context("no probe")?;
            let logged = log
                .iter()
                .find(|logged| logged.probe == probe)
                .context("it is not in the log")?;
            let gateway_us = u32::try_from(hop.0["gateway_us"].as_u64().context("no time in the gateway")?)?;
            slow += usize::from(gateway_us > 20_000);
            errors.push(logged.error_ms(f64::from(gateway_us) / 1000.0));
        }
        errors.sort_by(f64::total_cmp);
        assert_eq!(errors.len(), REQUESTS);
        crate::claims::show("ms beyond what the log allows, at most", errors[REQUESTS - 1]);
        // A busy machine may take the CPU from nginx between its clock and its write.
        assert!(errors[REQUESTS - 3] == 0.0, "{path}: {errors:?}");
        assert_eq!(
            slow > REQUESTS / 2,
            delayed,
            "{path}: {slow} were in the gateway for long"
        );
    }
    Ok(())
}
