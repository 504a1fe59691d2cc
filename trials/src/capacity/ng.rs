//! rtpengine's control protocol, as far as a call needs it: bencoded dictionaries over UDP, each behind a cookie.

use anyhow::{Context, bail, ensure};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

/// A value of bencode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    List(Vec<Self>),
    Dictionary(BTreeMap<String, Self>),
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn write(&self, to: &mut String) {
        match self {
            Self::Text(text) => *to += &format!("{}:{text}", text.len()),
            Self::Number(number) => *to += &format!("i{number}e"),
            Self::List(items) => {
                to.push('l');
                items.iter().for_each(|item| item.write(to));
                to.push('e');
            }
            Self::Dictionary(entries) => {
                to.push('d');
                for (key, value) in entries {
                    *to += &format!("{}:{key}", key.len());
                    value.write(to);
                }
                to.push('e');
            }
        }
    }

    /// Reads one value; gives what follows it as well.
    fn read(text: &str) -> Option<(Self, &str)> {
        match text.as_bytes().first()? {
            b'i' => {
                let (number, rest) = text[1..].split_once('e')?;
                Some((Self::Number(number.parse().ok()?), rest))
            }
            b'l' => {
                let (items, rest) = Self::items(&text[1..])?;
                Some((Self::List(items), rest))
            }
            b'd' => {
                let (items, rest) = Self::items(&text[1..])?;
                let entry = |pair: &[Self]| match pair {
                    [Self::Text(key), value] => Some((key.clone(), value.clone())),
                    _ => None,
                };
                Some((Self::Dictionary(items.chunks(2).map(entry).collect::<Option<_>>()?), rest))
            }
            _ => {
                let (length, rest) = text.split_once(':')?;
                let length: usize = length.parse().ok()?;
                Some((Self::text(rest.get(..length)?), rest.get(length..)?))
            }
        }
    }

    fn items(mut text: &str) -> Option<(Vec<Self>, &str)> {
        let mut items = Vec::new();
        loop {
            if let Some(rest) = text.strip_prefix('e') {
                return Some((items, rest));
            }
            let (item, rest) = Self::read(text)?;
            items.push(item);
            text = rest;
        }
    }
}

/// One who asks.
pub(super) struct Client {
    socket: UdpSocket,
    asked: u64,
}

impl Client {
    pub(super) fn new(port: u16) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        Ok(Self { socket, asked: 0 })
    }

    /// Asks; gives the answer's entries if it is no error.
    pub(super) fn ask(&mut self, command: &str, with: &[(&str, Value)]) -> anyhow::Result<BTreeMap<String, Value>> {
        self.asked += 1;
        let mut entries: BTreeMap<_, _> = with.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        entries.insert("command".to_owned(), Value::text(command));
        let mut text = format!("{} ", self.asked);
        Value::Dictionary(entries).write(&mut text);
        self.socket.send(text.as_bytes())?;
        let mut buffer = [0; 8192];
        let length = self.socket.recv(&mut buffer).context("rtpengine does not answer")?;
        let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let (cookie, body) = answer.split_once(' ').context("no cookie")?;
        ensure!(cookie == self.asked.to_string(), "an answer to something else");
        match Value::read(body) {
            Some((Value::Dictionary(answer), "")) if answer.get("result") != Some(&Value::text("error")) => Ok(answer),
            _ => bail!("rtpengine says: {body}"),
        }
    }

    /// Offers or answers the sound of somebody at this port; gives rtpengine's port for the other one.
    pub(super) fn describe(&mut self, command: &str, port: u16, with: &[(&str, Value)]) -> anyhow::Result<u16> {
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
        );
        let with = [with, &[("sdp", Value::Text(sdp))]].concat();
        let answer = self.ask(command, &with)?;
        let Some(Value::Text(sdp)) = answer.get("sdp") else { bail!("no SDP in the answer") };
        let audio = sdp.lines().find_map(|line| line.strip_prefix("m=audio ")).context("no audio in the answer")?;
        Ok(audio.split(' ').next().unwrap_or_default().parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let list = Value::List(vec![Value::text("origin"), Value::Number(-3)]);
        let value = Value::Dictionary([("replace".to_owned(), list), ("a".to_owned(), Value::text(""))].into());
        let mut text = String::new();
        value.write(&mut text);
        assert_eq!(text, "d1:a0:7:replacel6:origini-3eee");
        assert_eq!(Value::read(&text), Some((value, "")));
        assert_eq!(Value::read("5:abc"), None);
    }
}
