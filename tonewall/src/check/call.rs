//! `tonewall check --call`: a test call over a trunk, by a Tonewall that runs with this folder.

use crate::{crypto, print, runtime, tell};
use anyhow::{Context, bail};
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// A test takes some forty seconds at most.
const LOOKS_MAX: u32 = 200;
const LOOK_EVERY: Duration = Duration::from_millis(300);
const ANSWER: Duration = Duration::from_secs(15);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Has the running Tonewall of this folder call the test_number of this trunk, and tells what came of it. Needs an admin's API key
    /// (`tonewall user key`), in TONEWALL_API_KEY or a file.
    #[arg(long = "call", value_name = "TRUNK")]
    trunk: Option<String>,
    /// File with the API key on its first line.
    #[arg(long, value_name = "FILE", requires = "trunk")]
    key_file: Option<PathBuf>,
}

/// None if no call is wanted.
pub(crate) fn run(folder: &Path, arguments: &Arguments) -> Option<anyhow::Result<ExitCode>> {
    let trunk = arguments.trunk.as_deref()?;
    Some(place(folder, trunk, arguments.key_file.as_deref()))
}

fn place(folder: &Path, trunk: &str, key_file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let office = console::Config::load(folder)?;
    let key = key(key_file)?;
    crypto();
    runtime()?.block_on(async {
        let client = Client::builder().no_proxy().timeout(ANSWER).build()?;
        let office = Office { client, at: reached(office.listen), key };
        office.test(trunk).await
    })
}

fn key(file: Option<&Path>) -> anyhow::Result<String> {
    let text = match file {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("key file {}", file.display()))?,
        None => std::env::var("TONEWALL_API_KEY").ok().context(
            "a test call needs an admin's API key: set TONEWALL_API_KEY or --key-file; `tonewall user key` makes one",
        )?,
    };
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Who listens at all addresses is reached at this machine's own.
fn reached(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

struct Office {
    client: Client,
    at: SocketAddr,
    key: String,
}

impl Office {
    async fn test(&self, trunk: &str) -> anyhow::Result<ExitCode> {
        let before = self.newest(trunk).await?.map(|test| text(&test, "/test"));
        let (status, answer) = self.ask(Method::POST, trunk).await?;
        if status != StatusCode::ACCEPTED {
            bail!("trunk {trunk}: {}", refused(status, &answer));
        }
        let mut told = 0;
        for _ in 0..LOOKS_MAX {
            let test = self.newest(trunk).await?.filter(|test| Some(text(test, "/test")) != before);
            if let Some(test) = test {
                told = tell_steps(&test, told);
                if let Some(result) = test.pointer("/result").and_then(Value::as_str) {
                    return Ok(ended(trunk, result));
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("trunk {trunk}: the test has not ended after a minute; does the cde still run?")
    }

    /// The newest test of the trunk; none if there was none.
    async fn newest(&self, trunk: &str) -> anyhow::Result<Option<Value>> {
        match self.ask(Method::GET, trunk).await? {
            (StatusCode::OK, test) => Ok(Some(test)),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, answer) => bail!("trunk {trunk}: {}", refused(status, &answer)),
        }
    }

    async fn ask(&self, method: Method, trunk: &str) -> anyhow::Result<(StatusCode, Value)> {
        // A trunk's name may hold what means something in a path.
        let mut url = reqwest::Url::parse(&format!("http://{}", self.at))?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(["api", "v1", "trunks", trunk, "test-call"]);
        }
        let request = self.client.request(method, url).header(AUTHORIZATION, format!("Bearer {}", self.key));
        let answer =
            request.header("X-Tonewall", "1").send().await.with_context(|| {
                format!("nobody answers at {}: is `tonewall serve` running with this folder?", self.at)
            })?;
        let status = answer.status();
        Ok((status, answer.json().await.unwrap_or_default()))
    }
}

/// The steps that have not been told yet; how many have been then.
fn tell_steps(test: &Value, told: usize) -> usize {
    let steps = test.pointer("/steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for step in steps.iter().skip(told) {
        let after = step.pointer("/after_ms").and_then(Value::as_u64).unwrap_or_default();
        print(&format!("{after:>6} ms  {}", text(step, "/text")));
    }
    steps.len()
}

fn ended(trunk: &str, result: &str) -> ExitCode {
    if result == "good" {
        print(&format!("trunk {trunk}: good: it answers, and sound came and went"));
        return ExitCode::SUCCESS;
    }
    let words = if result == "no_sound" { "it answers, but no sound came" } else { "the call was not answered" };
    tell(&format!("error: trunk {trunk}: {words}; the last lines say what to look at"));
    ExitCode::FAILURE
}

/// Why, with the way out.
fn refused(status: StatusCode, answer: &Value) -> String {
    match (status.as_u16(), text(answer, "/code").as_str()) {
        (401, _) => "the API key is not known here: `tonewall user key` makes one".to_owned(),
        (403, "for_admins") => "the API key is not an admin's: test calls are for admins".to_owned(),
        (409, "unknown_trunk") => {
            "the running Tonewall has no such trunk; was it started with this cde.toml?".to_owned()
        }
        (409, "no_test_number") => {
            "its [[trunk]] has no test_number: name one that always answers, such as an echo".to_owned()
        }
        (409, "busy") => "another test call goes on; try again in a minute".to_owned(),
        (503, _) => "the office runs, but not the cde: look at the log of `tonewall serve`".to_owned(),
        (status, code) => format!("{status} {code} {}", text(answer, "/detail")).trim_end().to_owned(),
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_listens_everywhere_is_reached_here() {
        let at = |text: &str| reached(text.parse().unwrap()).to_string();
        assert_eq!(at("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(at("[::]:8080"), "[::1]:8080");
        assert_eq!(at("192.0.2.7:8080"), "192.0.2.7:8080");
    }

    #[test]
    fn each_refusal_says_the_way_out() {
        let said = |status: u16, code: &str| refused(StatusCode::from_u16(status).unwrap(), &json!({"code": code}));
        assert!(said(401, "not_signed_in").contains("tonewall user key"));
        assert!(said(409, "no_test_number").contains("test_number"));
        assert!(said(503, "door_down").contains("log of"));
        assert_eq!(said(500, "broken"), "500 broken");
    }
}
