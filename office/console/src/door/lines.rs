//! Lines over the socket: read up to their bound, written with a deadline.

use serde::Serialize;
use std::time::Duration;
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
            let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.scanned + at + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                self.scanned = 0;
                self.seq += 1;
                return Ok(wire::decode(self.seq, &line)?);
            }
            self.scanned = self.buffer.len();
            if self.scanned > LINE_BYTES_MAX {
                return Err(FrameError::TooLong.into());
            }
            self.buffer.reserve(READ_BYTES);
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Err(LineError::Closed);
            }
        }
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
