//! `[[recorder]]` of `office.toml`: a recorder that is no part of Tonewall, and how it is asked to pause and to resume.

use super::template::Template;
use reqwest::{Method, Url};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// The most recorders, and patterns of extensions of one.
pub(crate) const RECORDERS_MAX: usize = 64;
const EXTENSIONS_MAX: usize = 256;
const HEADERS_MAX: usize = 32;
/// How long one may take: shorter than the card side waits for the office's word, which is ten seconds.
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 100..=8_000;

/// One recorder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Recorder {
    /// Its name, for people and the audit trail.
    pub name: String,
    /// Whose calls it has: patterns of extensions, where an `x` is any digit; empty: everybody's.
    pub extensions: Vec<String>,
    pub(crate) pause: Call,
    pub(crate) resume: Call,
    pub(crate) content_type: String,
    /// What an answer to a pause must contain beside a status 2xx.
    pub(crate) paused_when: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) secret_as: SecretAs,
    pub(crate) secret: Option<Secret>,
    pub(crate) signing_key: Option<Secret>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) timeout: Duration,
    /// Is it asked in the clear, and not on this machine?
    pub(crate) is_open_to_readers: bool,
}

impl Recorder {
    /// Does it resume whatever it records, as nothing tells it which recording is meant?
    pub(crate) fn resumes_all(&self) -> bool {
        let which = ["agent", "call", "customer_call", "caller_leg", "agent_leg"];
        // A body of ours says all of them.
        let says = |body: &Template| body.says(&which);
        !self.resume.url.says(&which) && self.resume.body.as_ref().is_some_and(|body| !says(body))
    }
}

/// One of the two requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Template,
    /// Without one the body is ours.
    pub(crate) body: Option<Template>,
    /// Statuses besides 2xx that mean that it is done, such as what says that it was done before.
    pub(crate) also_done: Vec<u16>,
}

/// Where a secret is. It is read for every request, so that one that is renewed is used at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Secret {
    File(PathBuf),
    Env(String),
}

/// How a secret is shown to the recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretAs {
    /// `Authorization: Bearer …`
    Bearer,
    /// `Authorization: Basic …`; the secret is `name:password` (RFC 7617).
    Basic,
    /// As the value of this header.
    Header(String),
}

/// The table as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    extensions: Vec<String>,
    url: Option<String>,
    pause_url: Option<String>,
    resume_url: Option<String>,
    method: Option<String>,
    pause_method: Option<String>,
    resume_method: Option<String>,
    pause_body: Option<String>,
    resume_body: Option<String>,
    content_type: Option<String>,
    paused_when: Option<String>,
    #[serde(default)]
    pause_done: Vec<u16>,
    #[serde(default)]
    resume_done: Vec<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
    secret_as: Option<String>,
    signing_key_file: Option<PathBuf>,
    signing_key_env: Option<String>,
    ca_file: Option<PathBuf>,
    timeout_ms: Option<u64>,
    #[serde(default)]
    insecure: bool,
}

impl TryFrom<Written> for Recorder {
    type Error = String;
    fn try_from(written: Written) -> Result<Self, String> {
        let name = written.name.clone();
        read(written).map_err(|message| format!("[[recorder]] {name:?}: {message}"))
    }
}

fn read(written: Written) -> Result<Recorder, String> {
    is_name(&written.name, "name")?;
    let is_pattern = |text: &String| text.parse::<wire::Extension>().is_ok();
    if written.extensions.len() > EXTENSIONS_MAX || !written.extensions.iter().all(is_pattern) {
        return Err(format!(
            "extensions: expected at most {EXTENSIONS_MAX} extensions, such as \"1001\" or \"10xx\", where an x is any digit"
        ));
    }
    let content_type = written.content_type.unwrap_or_else(|| "application/json".to_owned());
    is_value(&content_type, "content_type")?;
    let is_json = content_type.starts_with("application/json");
    let url_of = |own: Option<String>, key: &str| {
        let url = own.or_else(|| written.url.clone()).ok_or(format!("it has no {key} and no url"))?;
        let url = Template::in_url(&url).map_err(|message| format!("{key}: {message}"))?;
        let is_open_to_readers = check_url(&url, written.insecure).map_err(|message| format!("{key}: {message}"))?;
        Ok::<_, String>((url, is_open_to_readers))
    };
    let body_of = |body: Option<String>, key: &str| {
        let body = body.map(|body| if is_json { Template::in_json(&body) } else { Template::in_form(&body) });
        body.transpose().map_err(|message| format!("{key}: {message}"))
    };
    let (pause_url, is_pause_open) = url_of(written.pause_url, "pause_url")?;
    let (resume_url, is_resume_open) = url_of(written.resume_url, "resume_url")?;
    let method = |own: Option<&String>| method(own.or(written.method.as_ref()));
    let pause_body = body_of(written.pause_body, "pause_body")?;
    let resume_body = body_of(written.resume_body, "resume_body")?;
    if !is_json && (pause_body.is_none() || resume_body.is_none()) {
        return Err("with a content_type of its own it needs pause_body and resume_body".to_owned());
    }
    let timeout_ms = written.timeout_ms.unwrap_or(3_000);
    if !TIMEOUT_MS.contains(&timeout_ms) {
        return Err(format!("timeout_ms: expected {} to {}", TIMEOUT_MS.start(), TIMEOUT_MS.end()));
    }
    let [pause_done, resume_done] =
        [statuses(written.pause_done, "pause_done")?, statuses(written.resume_done, "resume_done")?];
    Ok(Recorder {
        pause: Call {
            method: method(written.pause_method.as_ref())?,
            url: pause_url,
            body: pause_body,
            also_done: pause_done,
        },
        resume: Call {
            method: method(written.resume_method.as_ref())?,
            url: resume_url,
            body: resume_body,
            also_done: resume_done,
        },
        name: written.name,
        extensions: written.extensions,
        content_type,
        paused_when: written.paused_when.filter(|text| !text.is_empty()),
        headers: headers(written.headers)?,
        secret_as: secret_as(written.secret_as.as_deref())?,
        secret: secret(written.secret_file, written.secret_env, "secret")?,
        signing_key: secret(written.signing_key_file, written.signing_key_env, "signing_key")?,
        ca_file: written.ca_file,
        timeout: Duration::from_millis(timeout_ms),
        is_open_to_readers: is_pause_open || is_resume_open,
    })
}

/// Says whether others can read what is said there.
fn check_url(template: &Template, insecure: bool) -> Result<bool, String> {
    let with = |value: &str| template.filled_with(value).parse::<Url>().map_err(|_| "this is no URL".to_owned());
    let (one, other) = (with("a1")?, with("b2")?);
    let place = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
    if place(&one) != place(&other) || one.host_str().is_none() {
        return Err("whom it is sent to must not hang on a call: no {…} before the path".to_owned());
    }
    if !one.username().is_empty() || one.password().is_some() {
        return Err("leave the name and the password out of it: secret_file, and secret_as = \"basic\"".to_owned());
    }
    let host = one.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match one.scheme() {
        "https" => Ok(false),
        "http" if is_here => Ok(false),
        "http" if insecure => Ok(true),
        "http" => {
            Err("http is not encrypted: who is on the way can have a recorder go on; use https, or say insecure = true"
                .to_owned())
        }
        _ => Err("expected https://…".to_owned()),
    }
}

fn method(text: Option<&String>) -> Result<Method, String> {
    let Some(text) = text else { return Ok(Method::POST) };
    [Method::POST, Method::PUT, Method::PATCH, Method::DELETE]
        .into_iter()
        .find(|method| method.as_str() == text)
        .ok_or_else(|| "method: expected \"POST\", \"PUT\", \"PATCH\" or \"DELETE\"".to_owned())
}

fn statuses(written: Vec<u16>, key: &str) -> Result<Vec<u16>, String> {
    let is_good = written.iter().all(|status| (400..500).contains(status));
    if is_good { Ok(written) } else { Err(format!("{key}: expected statuses of 400 to 499, such as [429]")) }
}

fn headers(written: BTreeMap<String, String>) -> Result<Vec<(String, String)>, String> {
    if written.len() > HEADERS_MAX {
        return Err(format!("headers: expected at most {HEADERS_MAX}"));
    }
    for (name, value) in &written {
        is_header(name, "headers")?;
        is_value(value, "headers")?;
        if ["authorization", "cookie", "host", "content-length", "content-type"]
            .contains(&name.to_ascii_lowercase().as_str())
        {
            return Err(format!(
                "headers: {name} is not said here: what is secret stands in secret_file or secret_env"
            ));
        }
    }
    Ok(written.into_iter().collect())
}

fn secret_as(text: Option<&str>) -> Result<SecretAs, String> {
    match text {
        None | Some("bearer") => Ok(SecretAs::Bearer),
        Some("basic") => Ok(SecretAs::Basic),
        Some(header) => {
            is_header(header, "secret_as")?;
            Ok(SecretAs::Header(header.to_owned()))
        }
    }
}

fn secret(file: Option<PathBuf>, variable: Option<String>, key: &str) -> Result<Option<Secret>, String> {
    match (file, variable) {
        (Some(_), Some(_)) => Err(format!("{key}_file and {key}_env: one of them is enough")),
        (Some(file), None) => Ok(Some(Secret::File(file))),
        (None, Some(variable)) => Ok(Some(Secret::Env(variable))),
        (None, None) => Ok(None),
    }
}

fn is_name(text: &str, key: &str) -> Result<(), String> {
    let is_name = text.parse::<wire::Extension>().is_ok() && !wire::name_pan_like(text);
    if is_name {
        Ok(())
    } else {
        Err(format!("{key}: expected 1 to {} letters, digits and ._-+*#", wire::NAME_LENGTH_MAX))
    }
}

fn is_header(text: &str, key: &str) -> Result<(), String> {
    let is_good = reqwest::header::HeaderName::from_bytes(text.as_bytes()).is_ok();
    if is_good { Ok(()) } else { Err(format!("{key}: {text:?} is no name of a header")) }
}

fn is_value(text: &str, key: &str) -> Result<(), String> {
    let is_good = reqwest::header::HeaderValue::from_str(text).is_ok();
    if is_good { Ok(()) } else { Err(format!("{key}: this cannot be the value of a header")) }
}

impl Recorder {
    /// Does it have the calls of this extension?
    pub(crate) fn has(&self, extension: &str) -> bool {
        let is = |(own, other): (u8, u8)| own == other || own == b'x' && other.is_ascii_digit();
        let fits = |own: &String| own.len() == extension.len() && own.bytes().zip(extension.bytes()).all(is);
        self.extensions.is_empty() || self.extensions.iter().any(fits)
    }

    /// The same with relative paths starting at `folder`.
    pub(crate) fn in_folder(&mut self, folder: &Path) {
        let secrets = [&mut self.secret, &mut self.signing_key].into_iter().flatten();
        let files = secrets.filter_map(|secret| match secret {
            Secret::File(file) => Some(file),
            Secret::Env(_) => None,
        });
        files.chain(&mut self.ca_file).for_each(|file| *file = folder.join(&*file));
    }

    /// What is weak about it, for people who look at the configuration.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.is_open_to_readers {
            warnings.push("insecure = true: who is on the way to it can answer for it, or have it record".to_owned());
        }
        if self.paused_when.is_none() {
            warnings.push(
                "any answer 2xx counts as paused; where its answer says whether it has, set paused_when".to_owned(),
            );
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;
    use std::path::Path;

    fn parse(table: &str) -> Result<Config, String> {
        Config::parse(&format!("\n[[recorder]]\n{table}")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_recorder_is_asked_over_https_or_on_this_machine_and_nowhere_that_a_call_could_name() {
        let url = |url: &str| parse(&format!("name = \"a\"\nurl = \"{url}\"\n"));
        for good in [
            "https://recorder.example/hook",
            "http://127.0.0.1:9/hook",
            "http://[::1]:9/",
            "https://api.example/calls/{customer_call}/rec?event={event}",
        ] {
            assert!(url(good).is_ok(), "{good}: {:?}", url(good));
        }
        for (bad, says) in [
            ("http://recorder.example/hook", "not encrypted"),
            ("http://localhost.example/", "not encrypted"),
            ("ftp://recorder.example/", "expected https"),
            ("https://{customer_call}/", "must not hang on a call"),
            ("https://recorder.example:{agent}/", "this is no URL"),
            ("https://x{agent}.example/", "must not hang on a call"),
            ("https://a:b@recorder.example/", "secret_file"),
            ("https://recorder.example/{pan}", "{pan}"),
            ("recorder", "this is no URL"),
        ] {
            let error = url(bad).unwrap_err();
            assert!(error.contains(says) && error.contains("line 2"), "{bad}: {error}");
        }
        let open = parse("name = \"a\"\nurl = \"http://recorder.example/hook\"\ninsecure = true\n").unwrap();
        assert!(open.recorder[0].warnings()[0].contains("insecure"));
    }

    #[test]
    fn what_names_neither_agent_nor_call_resumes_all() {
        for (more, does) in [
            ("url = \"https://r.example/{event}\"", false),
            ("url = \"https://r.example/{event}\"\nresume_body = '{\"a\": \"{id}\"}'", true),
            ("url = \"https://r.example/{event}\"\nresume_body = '{\"a\": \"{agent}\"}'", false),
            ("url = \"https://r.example/{customer_call}\"\nresume_body = '{\"a\": 1}'", false),
        ] {
            let parsed = parse(&format!("name = \"a\"\n{more}\n")).unwrap();
            assert_eq!(parsed.recorder[0].resumes_all(), does, "{more}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_line() {
        let base = "name = \"a\"\nurl = \"https://r.example/\"\n";
        for (more, says) in [
            ("timeout_ms = 9000\n", "100 to 8000"),
            ("pause_done = [500]\n", "400 to 499"),
            ("method = \"GET\"\n", "expected \"POST\""),
            ("headers = { Authorization = \"x\" }\n", "secret_file or secret_env"),
            ("headers = { \"a b\" = \"x\" }\n", "no name of a header"),
            ("secret_file = \"a\"\nsecret_env = \"B\"\n", "one of them"),
            ("secret_as = \"a b\"\n", "no name of a header"),
            ("content_type = \"application/x-www-form-urlencoded\"\n", "needs pause_body"),
            ("extensions = [\"a b\"]\n", "10xx"),
            ("pause_body = '{\"a\": \"{digits}\"}'\n", "{digits}"),
            ("verify = false\n", "unknown field"),
        ] {
            let error = parse(&format!("{base}{more}")).unwrap_err();
            assert!(error.contains(says), "{more}: {error}");
        }
        assert!(parse("name = \"4242424242424242\"\nurl = \"https://r.example/\"\n").is_err());
        assert!(parse("name = \"a\"\n").unwrap_err().contains("no pause_url and no url"));
        let twice =
            "name = \"a\"\nurl = \"https://r.example/\"\n[[recorder]]\nname = \"a\"\nurl = \"https://r.example/\"\n";
        assert!(parse(twice).unwrap_err().contains("two"));
    }

    #[test]
    fn a_recorder_has_the_calls_of_its_extensions() {
        let of = |extensions: &str| {
            let config = parse(&format!("name = \"a\"\nurl = \"https://r.example/\"\nextensions = {extensions}\n"));
            config.unwrap().in_folder(Path::new("/etc")).recorder.remove(0)
        };
        let has = |extensions: &str| ["1001", "1101", "10010"].map(|extension| of(extensions).has(extension));
        assert_eq!(has("[]"), [true; 3]);
        assert_eq!(has("[\"10xx\"]"), [true, false, false]);
        assert_eq!(has("[\"1101\", \"10xx\"]"), [true, true, false]);
    }
}
