//! Lines over the socket: read up to their bound, written with a deadline.

use serde::Serialize;
use std::{io::ErrorKind, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    time::timeout,
};
use wire::{FrameError, FromCde, LINE_BYTES_MAX};

/// A write that takes longer has nobody at the other end.
const WRITE_WAIT: Duration = Duration::from_secs(5);
const READ_BYTES: usize = 16 * 1024;

/// Why there are no more lines.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the socket failed: {0}")]
    Socket(#[from] std::io::Error),
    #[error("the other side has closed the connection")]
    Closed,
    #[error("the other side reads nothing")]
    Stuck,
}

/// The reading half.
pub(super) struct Reader {
    socket: OwnedReadHalf,
    buffer: Vec<u8>,
    /// How much of the buffer holds no newline.
    scanned: usize,
    seq: u64,
}

impl Reader {
    pub(super) fn new(socket: OwnedReadHalf) -> Self {
        Self { socket, buffer: Vec::with_capacity(READ_BYTES), scanned: 0, seq: 0 }
    }

    /// The next line. May be dropped and called again without losing anything.
    pub(super) async fn next(&mut self) -> Result<FromCde, LineError> {
        loop {
            if let Some(line) = self.buffered()? {
                return Ok(line);
            }
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Err(LineError::Closed);
            }
        }
    }

    /// The next line if it has come already; none if it would have to be waited for.
    pub(super) fn ready(&mut self) -> Result<Option<FromCde>, LineError> {
        loop {
            if let Some(line) = self.buffered()? {
                return Ok(Some(line));
            }
            match self.socket.try_read_buf(&mut self.buffer) {
                // Whoever waits for the next line is told that there will be none.
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A whole line of the buffer; without one there is room to read on.
    fn buffered(&mut self) -> Result<Option<FromCde>, LineError> {
        let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
        if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
            let rest = self.buffer.split_off(self.scanned + at + 1);
            let line = std::mem::replace(&mut self.buffer, rest);
            self.scanned = 0;
            self.seq += 1;
            return Ok(Some(wire::decode(self.seq, &line)?));
        }
        self.scanned = self.buffer.len();
        if self.scanned > LINE_BYTES_MAX {
            return Err(FrameError::TooLong.into());
        }
        self.buffer.reserve(READ_BYTES);
        Ok(None)
    }
}

/// The writing half.
pub(super) struct Writer {
    socket: OwnedWriteHalf,
    seq: u64,
}

impl Writer {
    pub(super) fn new(socket: OwnedWriteHalf) -> Self {
        Self { socket, seq: 0 }
    }

    pub(super) async fn say<T: Serialize>(&mut self, body: &T) -> Result<(), LineError> {
        self.seq += 1;
        let line = wire::encode(self.seq, body)?;
        timeout(WRITE_WAIT, self.socket.write_all(&line)).await.map_err(|_| LineError::Stuck)??;
        Ok(())
    }
}
