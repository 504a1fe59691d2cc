//! A small HTTP client: one connection a request, and event streams.

use serde_json::Value;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

const WAIT: Duration = Duration::from_secs(15);

#[derive(Clone, Default)]
pub(crate) struct Client {
    pub(crate) addr: Option<SocketAddr>,
    /// Sent with every request.
    pub(crate) headers: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// The status and the problem's code.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status);
        (self.status, body["code"].as_str().unwrap().to_owned())
    }
}

impl Client {
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.retain(|(key, _)| key != name);
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    pub(crate) fn with_cookie(&self, answer: &Answer) -> Self {
        let cookie = answer.header("set-cookie").expect("a cookie");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
        self.with("Cookie", cookie.split(';').next().unwrap()).with("X-Tonewall", "1")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        let kind = ("Content-Type".to_owned(), "application/json".to_owned());
        let mut client = self.clone();
        if !self.headers.iter().any(|(name, _)| name == "Content-Type") {
            client.headers.push(kind);
        }
        client.send("POST", path, Some(body)).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let mut socket = self.open(method, path, body).await;
        let mut bytes = Vec::new();
        timeout(WAIT, socket.read_to_end(&mut bytes)).await.expect("an answer in time").unwrap();
        // A file may be no text.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").expect("an HTTP answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), text: body.to_owned() }
    }

    /// Until the office is connected to the cde.
    pub(crate) async fn until_ready(&self) {
        for _ in 0..1_000 {
            if self.get("/readyz").await.status == 200 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the office never became ready");
    }

    /// Until a path's JSON is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..1_000 {
            let answer = self.get(path).await;
            if answer.status == 200 && wanted(&answer.json()) {
                return answer.json();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{path} never became as wanted: {:?}", self.get(path).await);
    }

    pub(crate) async fn events(&self) -> Events {
        let mut lines = BufReader::new(self.open("GET", "/api/v1/events", None).await);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            lines.read_line(&mut line).await.unwrap();
        }
        Events { lines }
    }

    async fn open(&self, method: &str, path: &str, body: Option<&str>) -> TcpStream {
        let mut socket = TcpStream::connect(self.addr.unwrap()).await.unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: office\r\nConnection: close\r\n");
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        let request = format!("{head}\r\n{}", body.unwrap_or_default());
        // A server that refuses a large body may close before all of it is written.
        let _ = socket.write_all(request.as_bytes()).await;
        socket
    }
}

pub(crate) struct Events {
    lines: BufReader<TcpStream>,
}

#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Events {
    /// The next event but ticks; none when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Sent> {
        loop {
            let sent = self.next_of_all().await?;
            if sent.name != "tick" {
                return Some(sent);
            }
        }
    }

    pub(crate) async fn next_of_all(&mut self) -> Option<Sent> {
        let (mut id, mut name) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            let read = timeout(WAIT, self.lines.read_line(&mut line)).await.expect("an event in time");
            if read.unwrap() == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("id", value)) => id = value.to_owned(),
                Some(("event", value)) => name = value.to_owned(),
                Some(("data", value)) => {
                    return Some(Sent { id, name, data: serde_json::from_str(value).unwrap() });
                }
                _ => {}
            }
        }
    }
}
