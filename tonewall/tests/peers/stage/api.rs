//! The office's HTTP API as bytes, for what a desk would never send.

use super::{PASSWORD, Stage, email, http};
use anyhow::Context;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// Somebody with a session, or without one.
pub struct Api {
    client: reqwest::Client,
    base: String,
    cookie: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub kind: String,
    pub text: String,
    pub cookie: Option<String>,
}

impl Answer {
    /// Status and code of a problem (RFC 9457); anything else fails the test.
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(self.kind, "application/problem+json", "{self:?}");
        let body: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(body["status"], self.status);
        assert!(body["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{self:?}");
        (self.status, body["code"].as_str().unwrap().to_owned())
    }
}

impl Api {
    pub fn stranger(stage: &Stage) -> Self {
        Self { client: http(), base: format!("http://{}", stage.office), cookie: None }
    }

    pub async fn agent(stage: &Stage, extension: &str) -> anyhow::Result<Self> {
        let stranger = Self::stranger(stage);
        let words = json!({"email": email(extension), "password": PASSWORD}).to_string();
        let answer = stranger.send(Method::POST, "/api/v1/session", Some(words)).await?;
        let cookie = answer.cookie.with_context(|| format!("signing in: {}", answer.text))?;
        Ok(Self { cookie: cookie.split(';').next().map(str::to_owned), ..stranger })
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.send(Method::GET, path, None).await?;
        anyhow::ensure!(answer.status == 200, "{path}: {answer:?}");
        Ok(serde_json::from_str(&answer.text)?)
    }

    /// Sends any body as if it were JSON.
    pub async fn send(&self, method: Method, path: &str, body: Option<String>) -> anyhow::Result<Answer> {
        let request = self.client.request(method, format!("{}{path}", self.base));
        self.deliver(request, body.unwrap_or_default()).await
    }

    /// Posts under an idempotency key.
    pub async fn post_keyed(&self, path: &str, key: &str, body: &str) -> anyhow::Result<Answer> {
        let request = self.client.post(format!("{}{path}", self.base)).header("Idempotency-Key", key);
        self.deliver(request, body.to_owned()).await
    }

    async fn deliver(&self, mut request: RequestBuilder, body: String) -> anyhow::Result<Answer> {
        request = request.header("X-Tonewall", "1").header("Content-Type", "application/json");
        if let Some(cookie) = &self.cookie {
            request = request.header("Cookie", cookie);
        }
        let answer = request.body(body).send().await?;
        let header = |name: &str| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let (kind, cookie) = (header("content-type").unwrap_or_default(), header("set-cookie"));
        Ok(Answer { status: answer.status().as_u16(), kind, cookie, text: answer.text().await? })
    }
}
