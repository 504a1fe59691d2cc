//! An agent without a browser: speaks the office's HTTP API as the desk does.

use anyhow::{Context, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// How often something that must come is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A signed-in agent.
#[derive(Clone)]
pub struct Desk {
    client: reqwest::Client,
    base: String,
    cookie: String,
}

impl Desk {
    /// Waits until the office answers and its door is up.
    pub async fn ready(office: SocketAddr, most: Duration) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("http://{office}/readyz");
        wait_for(most, "the office to be ready", async || {
            Ok(client.get(&url).send().await.is_ok_and(|answer| answer.status() == StatusCode::OK).then_some(()))
        })
        .await
    }

    /// Signs in.
    pub async fn sign_in(office: SocketAddr, email: &str, password: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let base = format!("http://{office}");
        let answer = client
            .post(format!("{base}/api/v1/session"))
            .header("X-Tonewall", "1")
            .json(&json!({"email": email, "password": password}))
            .send()
            .await?;
        if answer.status() != StatusCode::OK {
            bail!("signing in: {}", answer.status());
        }
        let cookie = answer.headers().get("set-cookie").context("no cookie")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Self { client, base, cookie })
    }

    /// The calls that this agent sees.
    pub async fn calls(&self) -> anyhow::Result<Vec<Value>> {
        let answer = self.get("/api/v1/calls").await?;
        Ok(answer.get("calls").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Waits for a call in a state, such as `talking`; returns it.
    pub async fn wait_for_call(&self, state: &str, most: Duration) -> anyhow::Result<Value> {
        wait_for(most, &format!("a call that is {state}"), async || {
            Ok(self.calls().await?.into_iter().find(|call| text(call, "/state") == state))
        })
        .await
    }

    /// Waits until the line of a call is in a state.
    pub async fn wait_for_line(&self, call: &str, line: &str, most: Duration) -> anyhow::Result<()> {
        wait_for(most, &format!("the line to be {line}"), async || {
            let calls = self.calls().await?;
            Ok(calls.iter().any(|found| text(found, "/call") == call && text(found, "/line") == line).then_some(()))
        })
        .await
    }

    /// Secures or releases a line.
    pub async fn line(&self, call: &str, what: &str) -> anyhow::Result<Value> {
        self.post(&format!("/api/v1/calls/{call}/{what}"), &json!({})).await
    }

    /// Asks for a code for a conference, in which the agent hears the keys; `minor` of GBP is to be paid in it.
    pub async fn conference(&self, minor: i64) -> anyhow::Result<Value> {
        let payment = json!({"amount": {"minor": minor, "currency": "GBP"}});
        self.post("/api/v1/transfers", &json!({"conference": true, "payment": payment})).await
    }

    /// Asks for a code to transfer a caller to; `minor` of GBP is to be paid once they are here.
    pub async fn transfer(&self, minor: i64) -> anyhow::Result<Value> {
        let order = json!({"payment": {"amount": {"minor": minor, "currency": "GBP"}, "account": "NW-204417"}});
        self.post("/api/v1/transfers", &order).await
    }

    /// Starts taking a payment.
    pub async fn start_payment(&self, call: &str, minor: i64, currency: &str) -> anyhow::Result<String> {
        let order = json!({"amount": {"minor": minor, "currency": currency}, "account": "NW-204417"});
        let payment = self.post(&format!("/api/v1/calls/{call}/payments"), &order).await?;
        Ok(text(&payment, "/id").to_owned())
    }

    /// One payment.
    pub async fn payment(&self, id: &str) -> anyhow::Result<Value> {
        self.get(&format!("/api/v1/payments/{id}")).await
    }

    /// `authorize`, `cancel` or `fields/pan/request` and the like.
    pub async fn act(&self, payment: &str, what: &str) -> anyhow::Result<Value> {
        self.post(&format!("/api/v1/payments/{payment}/{what}"), &json!({})).await
    }

    /// Waits until a payment is in one of these states; returns it. One that the cde began itself is seen on its call a
    /// moment before its record has come.
    pub async fn wait_for_payment(&self, id: &str, states: &[&str], most: Duration) -> anyhow::Result<Value> {
        wait_for(most, &format!("the payment to be {}", states.join(" or ")), async || {
            let path = format!("/api/v1/payments/{id}");
            let (status, payment) = self.answer(Method::GET, &path, None).await?;
            if status == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let payment = done(&path, status, payment)?;
            Ok(states.contains(&text(&payment, "/state")).then_some(payment))
        })
        .await
    }

    /// What `/readyz` warns of.
    pub async fn warnings(&self) -> anyhow::Result<Vec<String>> {
        let ready = self.get("/readyz").await?;
        let warnings = ready.get("warnings").and_then(Value::as_array).into_iter().flatten();
        Ok(warnings.filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// A figure of `/metrics` that has no labels.
    pub async fn figure(&self, name: &str) -> anyhow::Result<u64> {
        let answer = self.client.get(format!("{}/metrics", self.base)).send().await?.error_for_status()?;
        let text = answer.text().await?;
        let figure = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        figure.and_then(|figure| figure.parse().ok()).with_context(|| format!("the office has no figure {name}"))
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let (status, value) = self.answer(method, path, body).await?;
        done(path, status, value)
    }

    async fn answer(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .header("Cookie", &self.cookie)
            .header("X-Tonewall", "1");
        if let Some(body) = body {
            request = request.header("Idempotency-Key", uuid::Uuid::now_v7().to_string()).json(body);
        }
        let answer = request.send().await.with_context(|| format!("asking the office for {path}"))?;
        let status = answer.status();
        Ok((status, answer.json().await.unwrap_or(Value::Null)))
    }
}

fn done(path: &str, status: StatusCode, value: Value) -> anyhow::Result<Value> {
    if !status.is_success() {
        bail!("{path}: {status}: {} {}", text(&value, "/code"), text(&value, "/detail"));
    }
    Ok(value)
}

/// A text in a JSON value; empty when there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Looks again and again until there is something, or the time is over.
pub async fn wait_for<T>(
    most: Duration,
    what: &str,
    look: impl AsyncFn() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let looking = async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    match tokio::time::timeout(most, looking).await {
        Ok(found) => found,
        Err(_) => bail!("waited {} s for {what}, in vain", most.as_secs_f32()),
    }
}
