//! One line an exchange, made to fit the terminal: what a busy gateway needs.
//!
//! An exchange that goes on is written when it is printed, without a duration, and once more when it has ended. Whatever was
//! sent is escaped and cut to its column, so that it can neither control the terminal nor break the line.

mod layout;
#[cfg(test)]
mod tests;

use std::io::Write as _;

use self::layout::Layout;
use super::{
    Error, Lines, Sink, Style, Written,
    columns::{columns, cut, cut_begin, padding},
    style::{Local, Paint},
    summary,
    waiting::Waiting,
    write_each,
};
use crate::{
    limits::MAX_WAITING_BYTES,
    redact::{
        AlertLine, ConnectionLine, EndLine, ExchangeLine, HealthLine, HooksLine, Line, LossLine, Redacted, RequestLine,
        SummaryLine, Time,
    },
};

/// Writes one line an exchange.
pub struct OneLine<L: Lines> {
    lines: L,
    style: Style,
    layout: Layout,
    /// The line in progress, so that it is written as a whole.
    out: Vec<u8>,
    /// The time of the last line that has one.
    last: Option<Local>,
    /// Exchanges that have not ended. Of one that is pushed out at the bound, only the end is written.
    waiting: Waiting,
}

impl<L: Lines> OneLine<L> {
    /// Creates a sink that writes to `lines`.
    pub fn new(lines: L, style: Style) -> Self {
        Self {
            lines,
            layout: Layout::new(style.width),
            style,
            out: Vec::new(),
            last: None,
            waiting: Waiting::new(MAX_WAITING_BYTES),
        }
    }

    /// Writes an exchange as it is.
    pub(crate) fn exchange(&mut self, line: &ExchangeLine<'_>) -> Result<Written, Error> {
        let ExchangeLine {
            time,
            side,
            connection,
            request,
            response,
            duration_us,
            ended,
            request_id,
            grpc_status,
            ..
        } = line;
        let local = self.begin(time)?;
        let status = response.as_ref().and_then(|response| response.status);
        let (word, paint) = status_word(status, *grpc_status);
        write!(self.out, "{} ", self.style.paint(paint, format!("{word:>3}")))?;
        let target = cut(&target(request.as_ref()), self.layout.target);
        write!(self.out, "{target}{} ", padding(&target, self.layout.target))?;
        let took = match (duration_us, ended) {
            (Some(micros), _) => short_duration(*micros),
            (None, Some(_)) => "?".to_owned(),
            (None, None) => "...".to_owned(),
        };
        let (mark, paint) = if is_abnormal(*ended) {
            ("!", Paint::Red)
        } else {
            (" ", Paint::Plain)
        };
        write!(self.out, "{took:>6}{}", self.style.paint(paint, mark))?;
        let arrow = if *side == "client" { "->" } else { "<-" };
        write!(self.out, "{}", self.style.paint(Paint::Dim, arrow))?;
        self.peer_and_id(connection, request_id.as_deref())?;
        self.write_line(local)
    }

    fn peer_and_id(&mut self, connection: &ConnectionLine<'_>, request_id: Option<&str>) -> Result<(), Error> {
        let Layout { peer, id, .. } = self.layout;
        let remote = cut_begin(connection.remote.as_deref().unwrap_or("?"), peer);
        if peer > 0 {
            write!(self.out, " {remote}")?;
        }
        if let (Some(request_id), 1..) = (request_id, id) {
            let digits = cut_digits(request_id, id);
            let padding = padding(&remote, peer);
            write!(self.out, "{padding} {}", self.style.paint(Paint::Dim, digits))?;
        }
        Ok(())
    }

    /// Writes the end of an exchange that is not known any more.
    fn end(&mut self, line: &EndLine<'_>) -> Result<Written, Error> {
        let EndLine {
            id, duration_us, ended, ..
        } = line;
        self.out.clear();
        let note = cut(
            &format!("* {id} {ended} after {}", short_duration(*duration_us)),
            self.layout.width,
        );
        self.out.extend_from_slice(note.as_bytes());
        self.write_line(None)
    }

    fn loss(&mut self, line: &LossLine<'_>) -> Result<Written, Error> {
        let LossLine {
            time,
            process,
            connection,
            direction,
            position,
            bytes,
            cause,
            ..
        } = line;
        let bytes = bytes.map_or("?".to_owned(), |bytes| bytes.to_string());
        let text = format!(
            "{bytes} bytes ({cause}), {direction} from {position} on, {process} {}",
            connection.id
        );
        self.note(time, Paint::Red, "LOSS", &text)
    }

    fn health(&mut self, line: &HealthLine) -> Result<Written, Error> {
        let paint = if line.state == "fine" {
            Paint::Green
        } else {
            Paint::Yellow
        };
        self.note(&line.time, paint, "HEALTH", &summary::health(line))
    }

    fn hooks(&mut self, line: &HooksLine<'_>) -> Result<Written, Error> {
        let HooksLine {
            time,
            subject,
            name,
            state,
            pid,
            process,
            cause,
            path,
            ..
        } = line;
        let cause = cause.replace('_', " ");
        let text = format!("{subject} {name}: {state}, {cause}, by {process}[{pid}] in {path}");
        self.note(time, Paint::Yellow, "HEALTH", &text)
    }

    fn alert(&mut self, line: &AlertLine<'_>) -> Result<Written, Error> {
        self.note(&line.time, Paint::Red, "ALERT", &summary::alert(line))
    }

    fn summary(&mut self, line: &SummaryLine<'_>) -> Result<Written, Error> {
        let ConnectionLine { local, remote, .. } = &line.connection;
        let address = |address: Option<&str>| address.unwrap_or("?").to_owned();
        let (local, remote) = (address(local.as_deref()), address(remote.as_deref()));
        let text = format!("{local}, {remote} {}: {}", summary::state(line), summary::parts(line));
        self.note(&line.time, Paint::Dim, "CONN", &text)
    }

    /// Writes a line that is not an exchange.
    fn note(&mut self, time: &Time, paint: Paint, word: &str, text: &str) -> Result<Written, Error> {
        let local = self.begin(time)?;
        let rest = self.layout.width.saturating_sub(TIME_COLUMNS + columns(word) + 1);
        let text = cut(text, rest);
        write!(self.out, "{} {text}", self.style.paint(paint, word))?;
        self.write_line(local)
    }

    /// Begins a line with its time, after a line with the date if that is another one than before.
    fn begin(&mut self, time: &Time) -> Result<Option<Local>, Error> {
        self.out.clear();
        let local = self.style.local(time);
        if let Some(day) = local.day_after(self.last.as_ref()) {
            writeln!(self.out, "{}", self.style.paint(Paint::Dim, day))?;
        }
        write!(self.out, "{} ", self.style.paint(Paint::Dim, local.clock()))?;
        Ok(Some(local))
    }

    fn write_line(&mut self, local: Option<Local>) -> Result<Written, Error> {
        self.out.push(b'\n');
        let written = self.lines.line(&self.out)?;
        if written == Written::Yes && local.is_some() {
            self.last = local;
        }
        Ok(written)
    }

    /// Writes an exchange, and keeps it for the line at its end if it goes on.
    fn exchange_or_wait(&mut self, line: &ExchangeLine<'_>) -> Result<Written, Error> {
        if line.ended.is_none() {
            self.wait(line);
        }
        self.exchange(line)
    }

    fn wait(&mut self, line: &ExchangeLine<'_>) {
        self.waiting.add(line.to_static());
        while self.waiting.take_over_bound().is_some() {}
    }
}

impl<L: Lines> Sink for OneLine<L> {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        match &**line {
            Line::Exchange(line) => self.exchange_or_wait(line),
            // Each of its exchanges has a line.
            Line::Hop(hop) => write_each(hop.exchanges(), |line| self.exchange_or_wait(line)),
            Line::End(end) => match self.waiting.end(end) {
                Some(line) => self.exchange(&line),
                None => self.end(end),
            },
            Line::Loss(line) => self.loss(line),
            Line::Connection(line) => self.summary(line),
            Line::Health(line) => self.health(line),
            Line::Hooks(line) => self.hooks(line),
            Line::Alert(line) => self.alert(line),
            Line::Audit(line) => self.note(&line.time, Paint::Bold, "AUDIT", &summary::audit(line)),
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.lines.flush()?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        Ok(self.lines.finish(b"")?)
    }
}

/// Returns the status as it is shown: that of gRPC, such as `g14`, if it is a failure that HTTP does not show.
fn status_word(status: Option<u16>, grpc_status: Option<u32>) -> (String, Paint) {
    match (status, grpc_status) {
        (Some(200), Some(grpc @ 1..=99)) => (format!("g{grpc:02}"), Paint::BoldRed),
        (Some(status), _) => (status.to_string(), Paint::of_status(Some(status))),
        (None, _) => ("?".to_owned(), Paint::Dim),
    }
}

/// Returns the method, the host and the path, of which each that is unknown is a question mark.
fn target(request: Option<&RequestLine<'_>>) -> String {
    let Some(RequestLine {
        method,
        authority,
        path,
        ..
    }) = request
    else {
        return "?".to_owned();
    };
    let method = method.as_deref().unwrap_or("?");
    let authority = authority.as_deref().unwrap_or("?");
    match path.as_deref() {
        Some(path) if path.starts_with('/') => format!("{method} {authority}{path}"),
        Some(path) => format!("{method} {authority} {path}"),
        None if method == "CONNECT" => format!("{method} {authority}"),
        None => format!("{method} {authority} ?"),
    }
}

/// Formats microseconds in at most six characters; less than a unit of the last digit is left out.
pub fn short_duration(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros}us"),
        1000..1_000_000 => thousands(micros, "ms"),
        1_000_000..10_000_000_000 => thousands(micros / 1000, "s"),
        10_000_000_000..6_000_000_000_000 => format!("{}min", micros / 60_000_000),
        6_000_000_000_000.. => format!("{}h", (micros / 3_600_000_000).min(99_999)),
    }
}

/// Formats a number of thousandths with three digits, or as many as it has before the point.
fn thousands(value: u64, unit: &str) -> String {
    match value {
        0..10_000 => format!("{}.{:02}{unit}", value / 1000, value / 10 % 100),
        10_000..100_000 => format!("{}.{}{unit}", value / 1000, value / 100 % 10),
        100_000.. => format!("{}{unit}", value / 1000),
    }
}

/// Returns whether an exchange ended otherwise than it should.
fn is_abnormal(ended: Option<&str>) -> bool {
    ended.is_some_and(|ended| !matches!(ended, "complete" | "upgraded"))
}

/// Returns the first digits of a request id, without a mark that the rest is left out.
fn cut_digits(id: &str, width: usize) -> String {
    cut(&id.chars().take(width).collect::<String>(), width)
}

/// Columns of the time of day and the space after it.
const TIME_COLUMNS: usize = 13;
