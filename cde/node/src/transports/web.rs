//! The opening of a WebSocket (RFC 6455 §4.2), behind TLS or without.

use sip::websocket::{self, HEAD_BYTES_MAX, Refused};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// A page's request comes whole within this time.
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Answers the request of a page that may connect; every other is told why not.
///
/// `origins`: the pages that may (`https://desk.example.com`); none: every page and program.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, origins: &[String]) -> io::Result<S> {
    let head = timeout(HANDSHAKE, head(&mut stream)).await??;
    let opening = websocket::opening(&head).and_then(|opening| {
        let is_allowed = origins.is_empty() || opening.origin().is_some_and(|origin| is_listed(origins, origin));
        if is_allowed { Ok(opening) } else { Err(Refused::Origin) }
    });
    match opening {
        Ok(opening) => {
            put(&mut stream, &opening.answer()).await?;
            Ok(stream)
        }
        Err(refused) => {
            put(&mut stream, &refused.answer()).await?;
            let _ = timeout(HANDSHAKE, stream.shutdown()).await;
            Err(io::Error::other(format!("no WebSocket of SIP: {refused:?}")))
        }
    }
}

/// Scheme and host are the same in capitals (RFC 6454 §4).
fn is_listed(origins: &[String], origin: &str) -> bool {
    origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin))
}

/// Reads up to the empty line. Nothing may follow it before the answer.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    while !head.ends_with(HEAD_END) {
        let length = stream.read(&mut buffer).await?;
        if length == 0 || head.len() + length > HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.extend_from_slice(buffer.get(..length).unwrap_or_default());
    }
    Ok(head)
}

async fn put(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    timeout(HANDSHAKE, async {
        stream.write_all(bytes).await?;
        stream.flush().await
    })
    .await?
}
