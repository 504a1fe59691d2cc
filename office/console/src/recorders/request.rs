//! One request to a recorder, and what its answer means.

use super::config::{Call, Recorder, Secret, SecretAs};
use crate::clock::rfc3339;
use aws_lc_rs::hmac;
use reqwest::{
    Client, Method, Response,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::json;
use std::fmt::Write;
use tokio::io::AsyncReadExt;
use wire::{CallName, CallNames, HookTrouble};

/// The longest secret.
const SECRET_BYTES_MAX: u64 = 4096;
/// The longest answer that is looked into.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The time and the HMAC of the body.
const SIGNATURE: &str = "tonewall-signature";

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Pause,
    Resume,
}

impl Word {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }
}

/// One thing to say to one recorder. A repetition is the same but for its signature's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) word: Word,
    pub(crate) id: String,
    /// Grows with every event of a call and recorder.
    pub(crate) sequence: i64,
    pub(crate) at_ms: i64,
    pub(crate) call: String,
    pub(crate) extension: String,
    pub(crate) names: CallNames,
}

impl Event {
    /// May it be about the same recording, whichever of its names the recorder heeds?
    pub(crate) fn may_be_of_the_recording_of(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.names, &other.names);
        let is_same = |ours: &Option<CallName>, theirs: &Option<CallName>| ours.is_some() && ours == theirs;
        self.call == other.call
            || self.extension == other.extension
            || is_same(&ours.customer, &theirs.customer)
            || is_same(&ours.caller_leg, &theirs.caller_leg)
            || is_same(&ours.agent_leg, &theirs.agent_leg)
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// It knows no such call or recording (404, 409, 410).
    Gone,
    /// It does not do it.
    Refused,
    /// It has answered that it has a fault (5xx): it may have done it.
    Failed,
    /// It may have heard it.
    Broken,
    TimedOut,
    /// It has not heard it.
    NotSent,
    /// It must be told a name that there is not: nothing was sent.
    NoCallName,
    /// A secret is not there: nothing was sent.
    Misconfigured,
}

impl Answer {
    /// May the recorder have done what it was told?
    pub(crate) fn may_be_done(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Broken | Self::TimedOut)
    }

    /// Why a recorder has not paused; none where it has.
    pub(crate) fn trouble(self) -> Option<HookTrouble> {
        match self {
            Self::Done => None,
            Self::Gone | Self::Refused | Self::Failed => Some(HookTrouble::Refused),
            Self::Broken | Self::NotSent => Some(HookTrouble::Unreachable),
            Self::TimedOut => Some(HookTrouble::TimedOut),
            Self::NoCallName => Some(HookTrouble::NoCallName),
            Self::Misconfigured => Some(HookTrouble::Misconfigured),
        }
    }
}

/// The secrets of one request.
#[derive(Default)]
pub(crate) struct Secrets {
    pub(crate) shown: Option<String>,
    pub(crate) signing: Option<String>,
}

/// A request as it is sent. Not printable: it holds a secret.
struct Request {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: String,
}

/// A client for a recorder: it follows nobody elsewhere, and keeps no connection.
pub(crate) fn client(recorder: &Recorder) -> Result<Client, String> {
    let mut builder = Client::builder()
        .connect_timeout(recorder.timeout / 2)
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("Tonewall/", env!("CARGO_PKG_VERSION")))
        .no_proxy();
    if let Some(file) = &recorder.ca_file {
        let pem = std::fs::read(file).map_err(|error| format!("ca_file {}: {error}", file.display()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem);
        let certificates = certificates.map_err(|_| format!("ca_file {}: no certificates in PEM", file.display()))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|_| "the HTTP client cannot be made".to_owned())
}

/// Says it.
pub(crate) async fn say(client: &Client, recorder: &Recorder, event: &Event, now_ms: i64) -> Answer {
    let secrets = match secrets(recorder).await {
        Ok(secrets) => secrets,
        Err(message) => {
            tracing::error!(recorder = recorder.name, message, "a recorder cannot be asked");
            return Answer::Misconfigured;
        }
    };
    match build(recorder, event, &secrets, now_ms) {
        Ok(request) => send(client, recorder, event.word, request).await,
        Err(answer) => answer,
    }
}

async fn send(client: &Client, recorder: &Recorder, word: Word, request: Request) -> Answer {
    let sending = client.request(request.method, request.url).headers(request.headers);
    let response = sending.timeout(recorder.timeout).body(request.body).send().await;
    let response = match response {
        Ok(response) => response,
        Err(error) if error.is_connect() || error.is_builder() => return Answer::NotSent,
        Err(error) if error.is_timeout() => return Answer::TimedOut,
        Err(_) => return Answer::Broken,
    };
    let (call, wanted) = match word {
        Word::Pause => (&recorder.pause, recorder.paused_when.as_deref()),
        Word::Resume => (&recorder.resume, None),
    };
    match (response.status().as_u16(), wanted) {
        (status, _) if call.also_done.contains(&status) => Answer::Done,
        (200..300, None) => Answer::Done,
        (200..300, Some(wanted)) => has_said(response, wanted).await,
        (404 | 409 | 410, _) => Answer::Gone,
        (500.., _) => Answer::Failed,
        _ => Answer::Refused,
    }
}

/// What is not said within the first bytes is not said.
async fn has_said(mut response: Response, wanted: &str) -> Answer {
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) if error.is_timeout() => return Answer::TimedOut,
            Err(_) => return Answer::Broken,
        }
    }
    body.truncate(ANSWER_BYTES_MAX);
    if String::from_utf8_lossy(&body).contains(wanted) { Answer::Done } else { Answer::Refused }
}

fn build(recorder: &Recorder, event: &Event, secrets: &Secrets, now_ms: i64) -> Result<Request, Answer> {
    let Call { method, url, body, .. } = match event.word {
        Word::Pause => &recorder.pause,
        Word::Resume => &recorder.resume,
    };
    let value = |name: &str| value(event, name);
    let url = url.fill(value).map_err(|_| Answer::NoCallName)?;
    let body = body.as_ref().map_or_else(|| Ok(own_body(recorder, event)), |body| body.fill(value));
    let body = body.map_err(|_| Answer::NoCallName)?;
    let mut headers = headers(recorder, event, secrets).ok_or(Answer::Misconfigured)?;
    if let Some(key) = &secrets.signing {
        let signature = HeaderValue::from_str(&signature(key, now_ms, &body)).map_err(|_| Answer::Misconfigured)?;
        headers.insert(HeaderName::from_static(SIGNATURE), signature);
    }
    Ok(Request { method: method.clone(), url, headers, body })
}

fn value(event: &Event, name: &str) -> Option<String> {
    let name_of = |name: &Option<CallName>| name.as_ref().map(ToString::to_string);
    match name {
        "event" => Some(event.word.as_str().to_owned()),
        "id" => Some(event.id.clone()),
        "call" => Some(event.call.clone()),
        "agent" => Some(event.extension.clone()),
        "customer_call" => name_of(&event.names.customer),
        "caller_leg" => name_of(&event.names.caller_leg),
        "agent_leg" => name_of(&event.names.agent_leg),
        _ => None,
    }
}

fn own_body(recorder: &Recorder, event: &Event) -> String {
    let CallNames { customer, caller_leg, agent_leg } = &event.names;
    json!({
        "event": event.word.as_str(),
        "id": event.id,
        "sequence": event.sequence,
        "at": rfc3339(event.at_ms),
        "recorder": recorder.name,
        "call": event.call,
        "agent": event.extension,
        "customer_call": customer,
        "caller_leg": caller_leg,
        "agent_leg": agent_leg,
    })
    .to_string()
}

fn headers(recorder: &Recorder, event: &Event, secrets: &Secrets) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &recorder.headers {
        headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(&recorder.content_type).ok()?);
    headers.insert(HeaderName::from_static("idempotency-key"), HeaderValue::from_str(&event.id).ok()?);
    if let Some(secret) = &secrets.shown {
        let (name, value) = match &recorder.secret_as {
            SecretAs::Bearer => (AUTHORIZATION, format!("Bearer {secret}")),
            SecretAs::Basic => (AUTHORIZATION, format!("Basic {}", base64(secret.as_bytes()))),
            SecretAs::Header(name) => (HeaderName::from_bytes(name.as_bytes()).ok()?, secret.clone()),
        };
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Some(headers)
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA-256 of the seconds, a full stop and the body.
fn signature(key: &str, now_ms: i64, body: &str) -> String {
    let seconds = now_ms.div_euclid(1000);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    let mut text = format!("t={seconds},v1=");
    for byte in tag.as_ref() {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let word = (0..3).fold(0_u32, |word, at| word << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4_usize {
            let shift = 18 - 6 * u32::try_from(at).unwrap_or(0);
            let letter = ALPHABET.get(usize::try_from(word >> shift & 63).unwrap_or(0)).copied();
            text.push(letter.filter(|_| at <= group.len()).map_or('=', char::from));
        }
    }
    text
}

async fn secrets(recorder: &Recorder) -> Result<Secrets, String> {
    Ok(Secrets {
        shown: secret(recorder.secret.as_ref()).await?,
        signing: secret(recorder.signing_key.as_ref()).await?,
    })
}

/// Without the end of its line, which most editors write.
async fn secret(at: Option<&Secret>) -> Result<Option<String>, String> {
    let (text, place) = match at {
        None => return Ok(None),
        Some(Secret::Env(name)) => {
            let place = format!("environment variable {name}");
            (std::env::var(name).map_err(|_| format!("{place}: it is not set, or no text"))?, place)
        }
        Some(Secret::File(file)) => {
            let place = format!("file {}", file.display());
            let opened = tokio::fs::File::open(file).await.map_err(|error| format!("{place}: {error}"))?;
            let mut text = String::new();
            let read = opened.take(SECRET_BYTES_MAX).read_to_string(&mut text).await;
            read.map_err(|error| format!("{place}: {error}"))?;
            (text, place)
        }
    };
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(format!("{place}: it is empty")) } else { Ok(Some(text.to_owned())) }
}

/// Whether what a recorder needs is there.
pub(crate) async fn check(recorder: &Recorder) -> Result<(), String> {
    client(recorder)?;
    secrets(recorder).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn recorder(more: &str) -> Recorder {
        let text = format!("[[recorder]]\nname = \"verint\"\nurl = \"https://r.example/hook\"\n{more}");
        Config::parse(&text).unwrap().recorder.remove(0)
    }

    fn event(word: Word) -> Event {
        let names = CallNames { customer: "c0ffee-17".parse().ok(), ..CallNames::default() };
        let (call, extension) = ("call-1".to_owned(), "1001".to_owned());
        Event { word, id: "e-1".to_owned(), sequence: 1_795_000_000_123, at_ms: 1_500, call, extension, names }
    }

    fn built(recorder: &Recorder, word: Word, secrets: &Secrets) -> Request {
        build(recorder, &event(word), secrets, 1_795_000_000_999).ok().unwrap()
    }

    #[test]
    fn the_body_says_what_is_asked_and_of_which_call_and_no_more() {
        let request = built(&recorder(""), Word::Pause, &Secrets::default());
        assert_eq!((request.method, request.url.as_str()), (Method::POST, "https://r.example/hook"));
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        let expected = json!({
            "event": "pause", "id": "e-1", "sequence": 1_795_000_000_123_i64, "at": "1970-01-01T00:00:01.5Z",
            "recorder": "verint", "call": "call-1", "agent": "1001", "customer_call": "c0ffee-17",
            "caller_leg": null, "agent_leg": null,
        });
        assert_eq!(body, expected);
        assert_eq!(request.headers["idempotency-key"], "e-1");
        assert!(!request.headers.contains_key(AUTHORIZATION) && !request.headers.contains_key(SIGNATURE));
    }

    /// The signature was computed with Python's `hmac` module.
    #[test]
    fn who_has_the_key_can_tell_that_it_is_from_here() {
        let body = "{\"event\":\"pause\"}";
        let expected = "t=1795000000,v1=2f5b8b2f27eda7a6c810b03ee5d920010b249bab179ab09b99fee9625b699816";
        assert_eq!(signature("a key", 1_795_000_000_999, body), expected);
        let secrets = Secrets { signing: Some("a key".to_owned()), ..Secrets::default() };
        let request = built(&recorder(""), Word::Resume, &secrets);
        let own = signature("a key", 1_795_000_000_999, &request.body);
        assert_eq!(request.headers[SIGNATURE], own.as_str());
    }

    #[test]
    fn secrets_are_shown_as_the_recorder_wants_them_and_printed_nowhere() {
        let shown = |more: &str| {
            let secrets = Secrets { shown: Some("name:pass word".to_owned()), ..Secrets::default() };
            built(&recorder(more), Word::Pause, &secrets).headers
        };
        assert_eq!(shown("")[AUTHORIZATION], "Bearer name:pass word");
        assert_eq!(shown("secret_as = \"basic\"")[AUTHORIZATION], "Basic bmFtZTpwYXNzIHdvcmQ=");
        let headers = shown("secret_as = \"X-Api-Key\"");
        assert_eq!(headers["x-api-key"], "name:pass word");
        assert!(!format!("{headers:?}").contains("pass word"));
        for (bytes, text) in [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes), text, "RFC 4648 section 10");
        }
    }

    #[test]
    fn a_recorder_with_words_of_its_own_is_told_those() {
        let more = "resume_method = \"DELETE\"\npause_url = \"https://r.example/calls/{customer_call}\"\n\
                    content_type = \"application/x-www-form-urlencoded\"\npause_body = \"Status=paused\"\nresume_body = \"e={event}\"\n";
        let recorder = recorder(more);
        let pause = built(&recorder, Word::Pause, &Secrets::default());
        assert_eq!((pause.url.as_str(), pause.body.as_str()), ("https://r.example/calls/c0ffee-17", "Status=paused"));
        let resume = built(&recorder, Word::Resume, &Secrets::default());
        assert_eq!((resume.method, resume.body.as_str()), (Method::DELETE, "e=resume"));
        assert_eq!(resume.headers[CONTENT_TYPE], "application/x-www-form-urlencoded");
        let mut unnamed = event(Word::Pause);
        unnamed.names.customer = None;
        assert_eq!(build(&recorder, &unnamed, &Secrets::default(), 0).err(), Some(Answer::NoCallName));
    }
}
