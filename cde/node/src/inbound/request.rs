//! HTTP/1.1 (RFC 9112) as far as other people's machines need it who send us a body: one request a connection, a length
//! that is known, nothing that is kept.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// The longest head.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// The longest body. A webhook of Adyen's may hold several items.
const BODY_BYTES_MAX: usize = 256 * 1024;
const HEADERS_MAX: usize = 64;

/// What a client sent. It cannot be printed, and its body is wiped.
pub(super) struct Request {
    pub(super) path: String,
    /// Names as they were written.
    headers: Vec<(String, Zeroizing<String>)>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub(super) fn headers(&self) -> Vec<(&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// Why there is no request.
pub(super) enum Bad {
    /// The client is told this status.
    Status(u16),
    /// It is gone.
    Gone(io::Error),
}

impl From<io::Error> for Bad {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

struct Head {
    path: String,
    headers: Vec<(String, Zeroizing<String>)>,
    /// Where the body begins.
    bytes: usize,
    body_bytes: usize,
}

/// Reads one request. What was read of the body together with the head lies in memory that is wiped too.
pub(super) async fn read<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Result<Request, Bad> {
    let mut buffer = Zeroizing::new(vec![0_u8; HEAD_BYTES_MAX]);
    let mut filled = 0;
    let head = loop {
        let room = buffer.get_mut(filled..).filter(|room| !room.is_empty()).ok_or(Bad::Status(431))?;
        let count = stream.read(room).await?;
        if count == 0 {
            return Err(Bad::Gone(io::ErrorKind::UnexpectedEof.into()));
        }
        filled += count;
        if let Some(head) = parse(buffer.get(..filled).unwrap_or_default()).map_err(Bad::Status)? {
            break head;
        }
    };
    let Head { path, headers, bytes, body_bytes } = head;
    let early = buffer.get(bytes..filled).unwrap_or_default();
    let mut body = Zeroizing::new(vec![0_u8; body_bytes]);
    let (start, rest) = body.split_at_mut_checked(early.len()).ok_or(Bad::Status(400))?;
    start.copy_from_slice(early);
    if header(&headers, "expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    stream.read_exact(rest).await?;
    Ok(Request { path, headers, body })
}

/// Answers, and asks for the connection's end.
pub(super) async fn answer<S: AsyncWrite + Unpin>(stream: &mut S, status: u16, body: &str) -> io::Result<()> {
    let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
    let challenge = if status == 401 { "www-authenticate: Basic realm=\"tonewall\"\r\n" } else { "" };
    let text = format!(
        "HTTP/1.1 {status} {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n{challenge}cache-control: no-store\r\n\
         connection: close\r\n\r\n{body}",
        reason(status),
        body.len(),
    );
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

fn reason(status: u16) -> &'static str {
    match status {
        200..=299 => "OK",
        401 => "Unauthorized",
        402 => "Payment Required",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        500..=599 => "Error",
        _ => "Bad Request",
    }
}

fn header<'a>(headers: &'a [(String, Zeroizing<String>)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The head, once it is whole; the status where it is none that we read.
fn parse(bytes: &[u8]) -> Result<Option<Head>, u16> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = bytes.get(..end).and_then(|head| std::str::from_utf8(head).ok()).ok_or(400_u16)?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(400);
    };
    if method != "POST" {
        return Err(405);
    }
    let headers = lines.map(field).collect::<Option<Vec<_>>>().filter(|all| all.len() <= HEADERS_MAX).ok_or(400_u16)?;
    let body_bytes = length(&headers)?;
    let path = target.split('?').next().unwrap_or_default().to_owned();
    Ok(Some(Head { path, headers, bytes: end + 4, body_bytes }))
}

fn field(line: &str) -> Option<(String, Zeroizing<String>)> {
    let (name, value) = line.split_once(':')?;
    let is_token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    is_token.then(|| (name.to_owned(), Zeroizing::new(value.trim().to_owned())))
}

/// Two lengths, or a length and a coding, are how requests are smuggled (RFC 9112 section 6.3): neither is read.
fn length(headers: &[(String, Zeroizing<String>)]) -> Result<usize, u16> {
    let mut lengths = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if header(headers, "transfer-encoding").is_some() {
        return Err(411);
    }
    let (Some((_, text)), None) = (lengths.next(), lengths.next()) else { return Err(411) };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(400);
    }
    text.parse().ok().filter(|length| *length <= BODY_BYTES_MAX).ok_or(413)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Option<u16> {
        parse(text.as_bytes()).err()
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = "POST /pay-connector/a?x=1 HTTP/1.1\r\nHost: a\r\nContent-Type:\r\ncontent-LENGTH: 3\r\n\r\n";
        for cut in 0..text.len() {
            assert!(matches!(parse(&text.as_bytes()[..cut]), Ok(None)), "{cut}");
        }
        let head = parse(format!("{text}abc").as_bytes()).ok().flatten().unwrap();
        assert_eq!((head.path.as_str(), head.bytes, head.body_bytes), ("/pay-connector/a", text.len(), 3));
        assert_eq!((header(&head.headers, "HOST"), header(&head.headers, "content-type")), (Some("a"), Some("")));
    }

    #[test]
    fn what_is_no_plain_request_is_refused() {
        let with = |lines: &str| format!("POST / HTTP/1.1\r\n{lines}\r\n\r\n");
        assert_eq!(status("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), Some(405));
        assert_eq!(status("POST /\r\n\r\n"), Some(400));
        assert_eq!(status(&with("Host: a")), Some(411));
        assert_eq!(status(&with("Content-Length: 3\r\nContent-Length: 4")), Some(411));
        assert_eq!(status(&with("Content-Length: 3\r\nTransfer-Encoding: chunked")), Some(411));
        assert_eq!(status(&with("Content-Length: 262145")), Some(413));
        for bad in ["Content-Length: +3", "Content-Length: 3, 3", "Content-Length:", "no colon", ": x"] {
            assert_eq!(status(&with(bad)), Some(400), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_request_in_small_pieces_is_one_request() {
        let (mut ours, mut theirs) = tokio::io::duplex(7);
        let writer = tokio::spawn(async move {
            theirs.write_all(b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
            theirs
        });
        let request = read(&mut ours).await.ok().unwrap();
        assert_eq!((request.path.as_str(), request.body.as_slice()), ("/a", b"hello".as_slice()));
        drop(writer.await.unwrap());
        let (mut ours, mut theirs) = tokio::io::duplex(16 * 1024);
        theirs.write_all(&vec![b'a'; HEAD_BYTES_MAX]).await.unwrap();
        assert!(matches!(read(&mut ours).await, Err(Bad::Status(431))));
    }
}
