//! Hops in the manner of diff: `-` for what came in, `+` for what went out.

use std::io::Write as _;

use super::{Error, Lines, Text, known};
use crate::{
    output::{escape::Shown, style::Paint},
    redact::{DiffLine, ExchangeLine, ExchangeObject, HopLine, Printable, ResponseLine, UpstreamLine},
};

impl<L: Lines> Text<L> {
    pub(super) fn hop(&mut self, line: &HopLine<'_>) -> Result<(), Error> {
        let HopLine {
            id,
            time,
            pid,
            process,
            gateway_us,
            candidates,
            downstream,
            upstreams,
            encoding: _,
        } = line;
        self.time(time)?;
        write!(self.out, "{id} {}[{pid}]", Shown(process))?;
        if let Some(gateway_us) = gateway_us {
            write!(self.out, " {gateway_us} us in the gateway")?;
        }
        writeln!(self.out)?;
        match downstream {
            Some(ExchangeObject(exchange)) => {
                self.side("---", exchange, "")?;
                self.refusal(exchange)?;
            }
            None => self.candidates(candidates)?,
        }
        for upstream in upstreams {
            self.upstream(upstream)?;
        }
        if upstreams.is_empty() {
            writeln!(self.out, "* no upstream exchange")?;
        }
        Ok(writeln!(self.out)?)
    }

    fn candidates(&mut self, candidates: &[Printable<'_>]) -> Result<(), Error> {
        if candidates.is_empty() {
            return Ok(writeln!(self.out, "* no downstream exchange")?);
        }
        let ids: Vec<&str> = candidates.iter().map(|id| &**id).collect();
        Ok(writeln!(
            self.out,
            "* downstream exchange one of {}",
            Shown(&ids.join(", "))
        )?)
    }

    fn upstream(&mut self, upstream: &UpstreamLine<'_>) -> Result<(), Error> {
        let UpstreamLine {
            joined,
            reused,
            upstream_first_byte_us,
            request_diff,
            response_diff,
            exchange: ExchangeObject(exchange),
        } = upstream;
        let mut about = joined.map_or(String::new(), |joined| format!(", joined by {joined}"));
        match reused {
            Some(true) => about.push_str(", connection reused"),
            Some(false) => about.push_str(", connection new"),
            None => {}
        }
        self.side("+++", exchange, &about)?;
        if let Some(upstream_first_byte_us) = upstream_first_byte_us {
            writeln!(self.out, "* answered after {upstream_first_byte_us} us")?;
        }
        if response_diff.is_none() {
            self.refusal(exchange)?;
        }
        self.diff("request", request_diff.as_ref())?;
        self.diff("response", response_diff.as_ref())
    }

    /// Writes the line of one exchange.
    fn side(&mut self, mark: &str, exchange: &ExchangeLine<'_>, about: &str) -> Result<(), Error> {
        let request = exchange.request.as_ref();
        let method = request.and_then(|request| request.method.as_deref());
        let path = request.and_then(|request| request.path.as_deref());
        let status = exchange.response.as_ref().and_then(|response| response.status);
        let mark = self.style.paint(Paint::Bold, mark);
        write!(self.out, "{mark} {} {} {}", exchange.id, known(method), known(path))?;
        if let Some(authority) = request.and_then(|request| request.authority.as_deref()) {
            write!(self.out, " at {}", Shown(authority))?;
        }
        write!(
            self.out,
            ": {}",
            status.map_or("?".to_owned(), |status| status.to_string())
        )?;
        match exchange.duration_us {
            Some(duration_us) => write!(self.out, ", {duration_us} us, ")?,
            None => write!(self.out, ", {}, ", exchange.ended.unwrap_or("goes on"))?,
        }
        self.connection(&exchange.connection)?;
        Ok(writeln!(self.out, "{about}")?)
    }

    /// Writes the head of a response if its status is 400 or more: the reason is in fields that a diff leaves out, since gateways
    /// pass them on.
    fn refusal(&mut self, exchange: &ExchangeLine<'_>) -> Result<(), Error> {
        let refused = |response: &&ResponseLine<'_>| response.status.is_some_and(|status| status >= 400);
        match exchange.response.as_ref().filter(refused) {
            Some(response) => self.response(response, exchange.protocol),
            None => Ok(()),
        }
    }

    fn diff(&mut self, head: &str, diff: Option<&DiffLine<'_>>) -> Result<(), Error> {
        let Some(diff) = diff else {
            return Ok(());
        };
        let DiffLine {
            added,
            removed,
            changed,
            reordered,
            complete,
        } = diff;
        let is_empty = added.is_empty() && removed.is_empty() && changed.is_empty() && reordered.is_empty();
        if is_empty && *complete {
            return self.painted(Paint::Cyan, &format!("@@ {head} not changed"));
        }
        let part = if *complete { "" } else { ", of what is known" };
        self.painted(Paint::Cyan, &format!("@@ {head}{part}"))?;
        for (name, before, after) in changed {
            self.painted(Paint::Red, &format!("-{}: {}", Shown(name), Shown(before)))?;
            let note = if before == after { " (changed)" } else { "" };
            self.painted(Paint::Green, &format!("+{}: {}{note}", Shown(name), Shown(after)))?;
        }
        for (mark, paint, fields) in [('-', Paint::Red, removed), ('+', Paint::Green, added)] {
            for (name, value) in fields {
                let (name, value) = (known(name.as_deref()), known(value.as_deref()));
                self.painted(paint, &format!("{mark}{name}: {value}"))?;
            }
        }
        for name in reordered {
            self.painted(Paint::Cyan, &format!("~{}", Shown(name)))?;
        }
        Ok(())
    }

    /// Writes a line in a colour.
    fn painted(&mut self, paint: Paint, line: &str) -> Result<(), Error> {
        Ok(writeln!(self.out, "{}", self.style.paint(paint, line))?)
    }
}
