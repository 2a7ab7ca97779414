//! A pipe of which one end logs the read and write calls of the traced process, in order; the order gives the times.

use std::cell::RefCell;
use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http_decode::Direction;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// One read or write call.
pub(crate) struct Call {
    pub(crate) direction: Direction,
    pub(crate) at: u64,
    pub(crate) bytes: Vec<u8>,
}

/// The calls of the traced process.
#[derive(Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<Call>>>);

impl Log {
    pub(crate) fn take(&self) -> Vec<Call> {
        self.0.take()
    }

    fn call(&self, direction: Direction, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            let mut calls = self.0.borrow_mut();
            let at = 10 * (calls.len() as u64 + 1);
            calls.push(Call { direction, at, bytes });
        }
    }
}

/// One end of the pipe.
pub(crate) struct Tap {
    pub(crate) pipe: DuplexStream,
    /// Absent at the end that is not traced.
    pub(crate) log: Option<Log>,
    pub(crate) vectored: bool,
}

impl Tap {
    fn log(&self, direction: Direction, bytes: impl Iterator<Item = u8>) {
        if let Some(log) = &self.log {
            log.call(direction, bytes.collect());
        }
    }
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.pipe).poll_read(cx, buf);
        self.log(Direction::Read, buf.filled().iter().skip(before).copied());
        result
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.pipe).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = result {
            self.log(Direction::Write, buf.iter().take(count).copied());
        }
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.pipe).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(count)) = result {
            self.log(
                Direction::Write,
                bufs.iter().flat_map(|buf| buf.iter().copied()).take(count),
            );
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}
