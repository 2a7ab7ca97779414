//! Text in the manner of curl -v: `>` for the request, `<` for the response, `*` for notes.
//!
//! The first line of an exchange is short enough for most terminals; what is rarely there has a line of its own.
//! Hops are shown in the manner of diff: what the gateway changed.
//!
//! Everything that a traced process or its peer sent is escaped, so that it cannot control the terminal.

mod hop;

use std::io::Write as _;

use super::{
    Error, Lines, Sink, Style, Written,
    escape::Shown,
    style::{Local, Paint},
    summary,
};
use crate::redact::{
    AlertLine, AuditLine, ConnectionLine, EndLine, ExchangeLine, FieldLine, HealthLine, HooksLine, Line, LossLine,
    ProxiedLine, Redacted, RequestLine, ResponseLine, SummaryLine, Time,
};

/// Writes text for a terminal.
pub struct Text<L: Lines> {
    lines: L,
    style: Style,
    /// The time of the last line that has one.
    last: Option<Local>,
    /// The line in progress, so that it is written as a whole.
    out: Vec<u8>,
}

impl<L: Lines> Text<L> {
    /// Creates a sink that writes to `lines`.
    pub const fn new(lines: L, style: Style) -> Self {
        Self {
            lines,
            style,
            last: None,
            out: Vec::new(),
        }
    }

    /// Writes an exchange that is a part of another line.
    pub(crate) fn write_exchange(&mut self, line: &ExchangeLine<'_>) -> Result<Written, Error> {
        self.out.clear();
        self.exchange(line)?;
        Ok(self.lines.line(&self.out)?)
    }

    fn exchange(&mut self, line: &ExchangeLine<'_>) -> Result<(), Error> {
        let ExchangeLine {
            id,
            time,
            process,
            tls,
            side,
            connection,
            protocol,
            stream,
            request,
            informational,
            response,
            head_us,
            first_event_us,
            duration_us,
            ended,
            request_id,
            session,
            ..
        } = line;
        self.time(time)?;
        let who = format!("{} {id} {tls}", Shown(process));
        write!(self.out, "{} ", self.style.paint(Paint::Bold, who))?;
        self.ends(connection, side)?;
        self.details(connection, (*protocol == "http/2").then_some(*stream))?;
        match request {
            Some(request) => self.request(request, protocol)?,
            None => writeln!(self.out, "* request not known")?,
        }
        for head in informational {
            self.response(head, protocol)?;
        }
        match response {
            Some(response) => self.response(response, protocol)?,
            None => writeln!(self.out, "* response not known")?,
        }
        self.timing(
            [*head_us, *first_event_us, *duration_us],
            *ended,
            response.as_ref().and_then(|response| response.body_bytes),
        )?;
        if let Some(request_id) = request_id {
            writeln!(self.out, "* request id {}", Shown(request_id))?;
        }
        if let Some(session) = session {
            writeln!(self.out, "* session {session}")?;
        }
        Ok(writeln!(self.out)?)
    }

    /// Writes the begin of a note with its time, after a note of the date if that is another one than before.
    fn time(&mut self, time: &Time) -> Result<(), Error> {
        let local = self.style.local(time);
        if let Some(day) = local.day_after(self.last.as_ref()) {
            writeln!(self.out, "{}", self.style.paint(Paint::Dim, day))?;
        }
        self.last = Some(local);
        Ok(write!(self.out, "* {} ", local.clock())?)
    }

    /// Writes both ends of a connection, and which of them asks: `<-` if the traced process is asked.
    fn ends(&mut self, connection: &ConnectionLine<'_>, side: &str) -> Result<(), Error> {
        let ConnectionLine {
            local, remote, reason, ..
        } = connection;
        let arrow = if side == "client" { "->" } else { "<-" };
        match (local, remote) {
            (Some(local), Some(remote)) => writeln!(self.out, "{} {arrow} {}", Shown(local), Shown(remote))?,
            _ => writeln!(self.out, "{side}, addresses unknown ({})", reason.unwrap_or("unseen"))?,
        }
        Ok(())
    }

    /// Writes a note of what few connections have, if any.
    fn details(&mut self, connection: &ConnectionLine<'_>, stream: Option<u64>) -> Result<(), Error> {
        let ConnectionLine { proxied, netns, .. } = connection;
        let known = [
            stream.map(|stream| format!("stream {stream}")),
            proxied
                .as_ref()
                .map(|ProxiedLine { source, destination }| format!("for {source} to {destination}")),
            netns.map(|netns| format!("network namespace {netns}")),
        ];
        let known: Vec<_> = known.into_iter().flatten().collect();
        if !known.is_empty() {
            writeln!(self.out, "* {}", known.join(", "))?;
        }
        Ok(())
    }

    fn connection(&mut self, connection: &ConnectionLine<'_>) -> Result<(), Error> {
        let ConnectionLine {
            id,
            local,
            remote,
            reason,
            proxied,
            netns,
            ..
        } = connection;
        write!(self.out, "connection {}", Shown(id))?;
        if let Some(local) = local {
            write!(self.out, ", local {}", Shown(local))?;
        }
        if let Some(remote) = remote {
            write!(self.out, ", remote {}", Shown(remote))?;
        }
        if let Some(ProxiedLine { source, destination }) = proxied {
            write!(self.out, ", for {source} to {destination}")?;
        }
        if let Some(netns) = netns {
            write!(self.out, ", network namespace {netns}")?;
        }
        if let Some(reason) = reason {
            write!(self.out, ", addresses unknown ({reason})")?;
        }
        Ok(())
    }

    fn request(&mut self, request: &RequestLine<'_>, protocol: &str) -> Result<(), Error> {
        let RequestLine {
            method,
            scheme,
            authority,
            path,
            protocol_upgrade,
            headers,
            unknown,
            malformed,
            body_bytes,
            trailers,
            ..
        } = request;
        // The target of CONNECT is an authority, unless it is an extended one.
        let target = if method.as_deref() == Some("CONNECT") {
            path.as_deref().or(authority.as_deref())
        } else {
            path.as_deref()
        };
        let line = format!("{} {} {}", known(method.as_deref()), known(target), version(protocol));
        writeln!(self.out, "> {}", self.style.paint(Paint::Bold, line))?;
        if !names_host(headers) || protocol_upgrade.is_some() {
            writeln!(
                self.out,
                "* to {}://{}",
                known(scheme.as_deref()),
                known(authority.as_deref())
            )?;
        }
        if let Some(protocol_upgrade) = protocol_upgrade {
            writeln!(self.out, "* asks for {}", Shown(protocol_upgrade))?;
        }
        self.head('>', headers, *unknown, *malformed)?;
        if let Some(bytes @ 1..) = body_bytes {
            writeln!(self.out, "* {bytes} bytes of request body")?;
        }
        self.trailers('>', trailers)
    }

    fn response(&mut self, response: &ResponseLine<'_>, protocol: &str) -> Result<(), Error> {
        let ResponseLine {
            status,
            headers,
            unknown,
            malformed,
            trailers,
            ..
        } = response;
        self.status(*status, protocol)?;
        self.head('<', headers, *unknown, *malformed)?;
        self.trailers('<', trailers)
    }

    fn status(&mut self, status: Option<u16>, protocol: &str) -> Result<(), Error> {
        let word = status.map_or_else(|| "?".to_owned(), |status| status.to_string());
        let word = self.style.paint(Paint::of_status(status), word);
        Ok(writeln!(self.out, "< {} {word}", version(protocol))?)
    }

    fn head(
        &mut self,
        mark: char,
        headers: &[FieldLine<'_>],
        unknown: Option<u32>,
        malformed: Option<&str>,
    ) -> Result<(), Error> {
        self.fields(mark, headers)?;
        writeln!(self.out, "{mark}")?;
        if let Some(malformed) = malformed {
            writeln!(self.out, "* this head is not well-formed ({malformed})")?;
        }
        if let Some(unknown) = unknown {
            writeln!(self.out, "* {unknown} fields of this head are not wholly known")?;
        }
        Ok(())
    }

    fn trailers(&mut self, mark: char, trailers: &[FieldLine<'_>]) -> Result<(), Error> {
        if trailers.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "* trailers")?;
        self.fields(mark, trailers)
    }

    fn fields(&mut self, mark: char, fields: &[FieldLine<'_>]) -> Result<(), Error> {
        for (name, value) in fields {
            let name = self.style.paint(Paint::Cyan, known(name.as_deref()));
            writeln!(self.out, "{mark} {name}: {}", known(value.as_deref()))?;
        }
        Ok(())
    }

    fn timing(
        &mut self,
        [head_us, first_event_us, duration_us]: [Option<u64>; 3],
        ended: Option<&str>,
        body_bytes: Option<u64>,
    ) -> Result<(), Error> {
        write!(self.out, "* {}", ended.unwrap_or("goes on"))?;
        if let Some(bytes) = body_bytes {
            write!(self.out, ", {bytes} bytes of response body")?;
        }
        if let Some(head_us) = head_us {
            write!(self.out, ", head after {head_us} us")?;
        }
        if let Some(first_event_us) = first_event_us {
            write!(self.out, ", first event after {first_event_us} us")?;
        }
        if let Some(duration_us) = duration_us {
            write!(self.out, ", end after {duration_us} us")?;
        }
        Ok(writeln!(self.out)?)
    }

    fn end(&mut self, line: &EndLine<'_>) -> Result<(), Error> {
        let EndLine {
            id,
            response,
            first_event_us,
            duration_us,
            ended,
            ..
        } = line;
        writeln!(self.out, "* {} now ended", Shown(id))?;
        if let Some(response) = response {
            self.trailers('<', &response.trailers)?;
        }
        let body_bytes = response.as_ref().and_then(|response| response.body_bytes);
        self.timing([None, *first_event_us, Some(*duration_us)], Some(ended), body_bytes)?;
        Ok(writeln!(self.out)?)
    }

    fn loss(&mut self, line: &LossLine<'_>) -> Result<(), Error> {
        let LossLine {
            time,
            pid,
            process,
            connection,
            direction,
            position,
            bytes,
            cause,
        } = line;
        self.time(time)?;
        write!(
            self.out,
            "{}[{pid}] {} of {} bytes ({cause}), ",
            Shown(process),
            self.style.paint(Paint::Red, "LOSS"),
            bytes.map_or("an unknown number of".to_owned(), |bytes| bytes.to_string())
        )?;
        write!(self.out, "{direction} from position {position} on, ")?;
        self.connection(connection)?;
        Ok(writeln!(self.out, "\n")?)
    }

    fn health(&mut self, line: &HealthLine) -> Result<(), Error> {
        self.time(&line.time)?;
        let word = self.style.paint(Paint::Yellow, "HEALTH");
        Ok(writeln!(self.out, "{word} of {}\n", summary::health(line))?)
    }

    fn hooks(&mut self, line: &HooksLine<'_>) -> Result<(), Error> {
        let HooksLine {
            time,
            subject,
            name,
            state,
            pid,
            process,
            tls,
            path,
            cause,
        } = line;
        self.time(time)?;
        write!(
            self.out,
            "{} of {subject} {name}: {state}, {}",
            self.style.paint(Paint::Yellow, "HEALTH"),
            cause.replace('_', " ")
        )?;
        Ok(writeln!(
            self.out,
            ", by {}[{pid}] {tls} in {}\n",
            Shown(process),
            Shown(path)
        )?)
    }

    fn alert(&mut self, line: &AlertLine<'_>) -> Result<(), Error> {
        self.time(&line.time)?;
        let word = self.style.paint(Paint::Red, "ALERT");
        Ok(writeln!(self.out, "{word} {}\n", Shown(&summary::alert(line)))?)
    }

    fn audit(&mut self, line: &AuditLine<'_>) -> Result<(), Error> {
        self.time(&line.time)?;
        let word = self.style.paint(Paint::Bold, "AUDIT");
        Ok(writeln!(self.out, "{word} {}\n", Shown(&summary::audit(line)))?)
    }

    fn summary(&mut self, line: &SummaryLine<'_>) -> Result<(), Error> {
        let SummaryLine {
            time,
            pid,
            process,
            tls,
            connection,
            ..
        } = line;
        self.time(time)?;
        write!(self.out, "{}[{pid}] {tls} ", Shown(process))?;
        self.connection(connection)?;
        let parts = summary::parts(line);
        Ok(writeln!(self.out, " {}: {}\n", summary::state(line), Shown(&parts))?)
    }
}

impl<L: Lines> Sink for Text<L> {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        self.out.clear();
        let last = self.last;
        match &**line {
            Line::Exchange(line) => self.exchange(line)?,
            Line::Hop(line) => self.hop(line)?,
            Line::End(line) => self.end(line)?,
            Line::Loss(line) => self.loss(line)?,
            Line::Connection(line) => self.summary(line)?,
            Line::Health(line) => self.health(line)?,
            Line::Hooks(line) => self.hooks(line)?,
            Line::Alert(line) => self.alert(line)?,
            Line::Audit(line) => self.audit(line)?,
        }
        let written = self.lines.line(&self.out)?;
        if written == Written::Dropped {
            self.last = last;
        }
        Ok(written)
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.lines.flush()?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        Ok(self.lines.finish(b"")?)
    }
}

fn known(text: Option<&str>) -> Shown<'_> {
    Shown(text.unwrap_or("?"))
}

fn names_host(headers: &[FieldLine<'_>]) -> bool {
    headers.iter().any(|(name, _)| name.as_deref() == Some("host"))
}

fn version(protocol: &str) -> String {
    protocol.to_ascii_uppercase()
}

#[cfg(test)]
mod tests;
