//! The reader of session descriptions (RFC 8866 §9).

use std::net::IpAddr;

use super::{
    Connection, Crypto, Direction, LINES_MAX, MEDIA_MAX, Media, Rtpmap, SdpError, SessionDescription, WebLines, crypto,
};

/// The letters in the order they must stand in (RFC 8866 §5): of the session, then of each media section.
const SESSION_ORDER: &[u8] = b"vosiuepcbtrzka";
const MEDIA_ORDER: &[u8] = b"micbka";

pub(super) fn parse(bytes: &[u8]) -> Result<SessionDescription, SdpError> {
    let mut reader = Reader::default();
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    for (index, line) in text.split(|&b| b == b'\n').enumerate() {
        if index >= LINES_MAX {
            return Err(SdpError::TooLong);
        }
        reader.line(index + 1, line.strip_suffix(b"\r").unwrap_or(line))?;
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    session: SessionDescription,
    rank: usize,
    mandatory: usize,
}

impl Reader {
    fn line(&mut self, number: usize, line: &[u8]) -> Result<(), SdpError> {
        let malformed = SdpError::Line(number);
        let [letter, b'=', value @ ..] = line else { return Err(malformed) };
        if value.iter().any(|b| matches!(b, 0 | b'\r')) {
            return Err(malformed);
        }
        self.place(*letter).ok_or(malformed)?;
        // Names and free text may be in any charset; what is read below is ASCII.
        let value = std::str::from_utf8(value).unwrap_or_default();
        self.value(*letter, value, number)
    }

    /// Keeps the order of lines: a letter may not come after one that must follow it.
    fn place(&mut self, letter: u8) -> Option<()> {
        let order = if self.session.media.is_empty() && letter != b'm' { SESSION_ORDER } else { MEDIA_ORDER };
        let rank = order.iter().position(|&l| l == letter)?;
        if self.mandatory < 3 {
            // `v`, `o`, `s` come first, once each.
            (rank == self.mandatory && letter != b'm').then_some(())?;
            self.mandatory += 1;
        } else if letter != b'm' {
            // `t` and `r` alternate (RFC 8866 §5.9).
            let time_again = matches!(letter, b't') && order.get(self.rank) == Some(&b'r');
            (rank >= self.rank || time_again).then_some(())?;
        }
        self.rank = rank;
        Some(())
    }

    fn value(&mut self, letter: u8, value: &str, number: usize) -> Result<(), SdpError> {
        let wrong = SdpError::Value(number);
        match letter {
            b'v' if value != "0" => return Err(wrong),
            b'o' => {
                check_origin(value).ok_or(wrong)?;
                value.clone_into(&mut self.session.origin);
            }
            b'm' => {
                if self.session.media.len() >= MEDIA_MAX {
                    return Err(SdpError::TooLong);
                }
                self.session.media.push(media(value).ok_or(wrong)?);
            }
            b'c' => {
                let connection = connection(value).ok_or(wrong)?;
                match self.session.media.last_mut() {
                    Some(media) => media.connection = media.connection.or(Some(connection)),
                    None => self.session.connection = Some(connection),
                }
            }
            b'a' => self.attribute(value).ok_or(wrong)?,
            _ => {}
        }
        Ok(())
    }

    /// Attributes that matter here must be well formed; all others are skipped (RFC 8866 §5.13).
    fn attribute(&mut self, line: &str) -> Option<()> {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let direction = Direction::from_attribute(name);
        let Some(media) = self.session.media.last_mut() else {
            self.session.direction = direction.or(self.session.direction);
            self.session.web.read(name, value);
            return Some(());
        };
        if direction.is_some() {
            media.direction = direction;
        }
        media.web.read(name, value);
        if media.kind != "audio" {
            return Some(());
        }
        match name {
            "rtpmap" => media.rtpmaps.push(rtpmap(value)?),
            "fmtp" => {
                // Formats of other protocols need not be numbers.
                if let Some((payload_type, parameters)) = fmtp(value) {
                    media.fmtps.push((payload_type, parameters));
                }
            }
            "ptime" => media.ptime = Some(ptime(value)?),
            "rtcp-mux" => media.rtcp_mux = true,
            // Statistics are no reason to refuse a call.
            "rtcp" => media.rtcp = rtcp(value),
            "crypto" => {
                media.has_crypto = true;
                let room = media.cryptos.len() < crypto::LINES_MAX;
                media.cryptos.extend(Crypto::parse(value).filter(|_| room));
            }
            _ => {}
        }
        Some(())
    }

    fn finish(self) -> Result<SessionDescription, SdpError> {
        if self.mandatory < 3 {
            return Err(SdpError::Missing);
        }
        let placed = |media: &Media| media.port == 0 || self.session.connection_of(media).is_some();
        if !self.session.media.iter().all(placed) {
            return Err(SdpError::Missing);
        }
        Ok(self.session)
    }
}

/// `username sess-id sess-version nettype addrtype address`
fn check_origin(value: &str) -> Option<()> {
    let fields: Vec<&str> = value.split(' ').collect();
    let [user, id, version, "IN", "IP4" | "IP6", host] = fields.as_slice() else { return None };
    let numeric = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (!user.is_empty() && !host.is_empty() && numeric(id) && numeric(version)).then_some(())
}

/// `IN IP4 address[/ttl]`
fn connection(value: &str) -> Option<Connection> {
    let fields: Vec<&str> = value.split(' ').collect();
    let ["IN", family @ ("IP4" | "IP6"), host] = fields.as_slice() else { return None };
    let host = host.split('/').next().filter(|host| !host.is_empty())?;
    match host.parse::<IpAddr>() {
        Ok(ip) => (ip.is_ipv4() == (*family == "IP4")).then_some(Connection::Address(ip)),
        Err(_) => host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)).then_some(Connection::Name),
    }
}

/// `kind port[/count] proto format…`
fn media(value: &str) -> Option<Media> {
    let mut fields = value.split(' ');
    let (kind, port, proto) = (fields.next()?, fields.next()?, fields.next()?);
    let port = port.split_once('/').map_or(Some(port), |(port, count)| count.parse::<u16>().ok().map(|_| port))?;
    let formats: Vec<String> = fields.map(str::to_owned).collect();
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic());
    if !is_word(kind) || !is_word(proto) || formats.is_empty() || !formats.iter().all(|f| is_word(f)) {
        return None;
    }
    if proto.starts_with("RTP/") && !formats.iter().all(|f| f.parse::<u8>().is_ok_and(|pt| pt < 128)) {
        return None;
    }
    Some(Media {
        kind: kind.to_owned(),
        port: digits(port)?,
        proto: proto.to_owned(),
        formats,
        connection: None,
        direction: None,
        ptime: None,
        rtcp_mux: false,
        rtcp: None,
        rtpmaps: Vec::new(),
        fmtps: Vec::new(),
        cryptos: Vec::new(),
        has_crypto: false,
        web: WebLines::default(),
    })
}

/// `payload-type encoding/clock[/channels]`
fn rtpmap(value: &str) -> Option<Rtpmap> {
    let (payload_type, encoding) = value.split_once(' ')?;
    let mut parts = encoding.trim().split('/');
    let (encoding, clock) = (parts.next().filter(|e| !e.is_empty())?, parts.next()?);
    let channels = parts.next().map_or(Some(1), digits)?;
    Some(Rtpmap { payload_type: digits(payload_type)?, encoding: encoding.to_owned(), clock: digits(clock)?, channels })
}

fn fmtp(value: &str) -> Option<(u8, String)> {
    let (payload_type, parameters) = value.split_once(' ')?;
    Some((digits(payload_type)?, parameters.trim().to_owned()))
}

/// `port [IN IP4 address]`
fn rtcp(value: &str) -> Option<(u16, Option<Connection>)> {
    let (port, address) = value.split_once(' ').map_or((value, None), |(port, address)| (port, Some(address)));
    let address = address.map(connection).map_or(Some(None), |address| address.map(Some))?;
    Some((digits(port).filter(|port| *port != 0)?, address))
}

/// Milliseconds, perhaps with a fraction, which some peers write.
fn ptime(value: &str) -> Option<u16> {
    digits(value.trim().split('.').next()?)
}

fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    crate::message::number(text.as_bytes())
}
