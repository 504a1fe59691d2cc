//! Signing in and out.

use super::{
    principal::{Address, COOKIE, Principal, Via},
    problem::{Problem, ProblemBody},
    request::Posted,
};
use crate::{
    app::App,
    clock::now_ms,
    rights::Right,
    secret::{self, PASSWORD_BYTES_MAX},
    store::{
        audit::Entry,
        sessions::AGE_MS,
        users::{Door, Role, User},
    },
};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::sync::{Arc, atomic::Ordering};
use utoipa::ToSchema;

const BAD_CREDENTIALS: Problem =
    Problem::new(StatusCode::UNAUTHORIZED, "bad_credentials", "The e-mail address or the password is wrong.");

/// What signs a user in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    email: String,
    password: String,
    /// A second factor: only null for the time being.
    #[schema(value_type = Option<String>)]
    code: Option<IgnoredAny>,
}

/// The signed-in user.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionView {
    user: UserView,
    /// The currency that the desk offers first (ISO 4217).
    currency: &'static str,
}

/// A user.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserView {
    id: i64,
    name: String,
    email: String,
    role: Role,
    /// Whose calls are shown; null shows none.
    extension: Option<String>,
    /// What they may do with money.
    rights: Vec<Right>,
}

impl SessionView {
    fn new(app: &App, user: User) -> Self {
        let (extension, rights) = (user.extension.map(String::from), user.rights.words());
        let user = UserView { id: user.id, name: user.name, email: user.email, role: user.role, extension, rights };
        Self { user, currency: app.config.currency.code() }
    }
}

/// Sign in. After ten failures in a row the user is locked for half an hour.
#[utoipa::path(post, path = "/api/v1/session", request_body = Credentials, tag = "session", security(()), responses(
    (status = 200, body = SessionView, description = "Signed in; the cookie is set"),
    (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "`bad_credentials`"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "`code_unsupported`"),
    (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "`locked`")))]
pub(crate) async fn sign_in(
    State(app): State<Arc<App>>,
    address: Address,
    posted: Posted,
) -> Result<Response, Problem> {
    let Credentials { email, password, code } = posted.json("email and password, both text, and code (null)")?;
    if code.is_some() {
        return Err(Problem::unprocessable("code_unsupported", "Nobody has a second factor here: only `code: null`."));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(BAD_CREDENTIALS);
    }
    let found = app.store.sign_in_begin(now_ms(), &email).await?;
    if let Door::Locked(until) = found {
        audit(&app, &email, "locked", &address).await?;
        let detail = "Too many failures. Wait for half an hour, or ask an admin for a link (tonewall user link).";
        let seconds = (until - now_ms()).max(0) / 1000 + 1;
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "locked", detail).retry_after(seconds));
    }
    let (user, hash) = match found {
        Door::Try(user, hash) => (Some(user), Some(hash)),
        Door::Unknown | Door::Locked(_) => (None, None),
    };
    let right = matches(&app, password, hash).await?;
    let Some(user) = user.filter(|_| right) else {
        app.counters.sign_in_failures.fetch_add(1, Ordering::Relaxed);
        // An unknown e-mail is not written down: people type passwords, and worse, into the wrong field.
        let known = app.store.user_by_email(&email).await?;
        audit(&app, known.as_ref().map_or("unknown user", |user| &user.email), "bad_credentials", &address).await?;
        return Err(BAD_CREDENTIALS);
    };
    app.store.sign_in_succeeded(user.id).await?;
    let cookie = begin(&app, &user, "password", &address).await?;
    Ok(([(header::SET_COOKIE, cookie)], Json(SessionView::new(&app, user))).into_response())
}

/// Hashing is slow on purpose, so few are done at once and none on the threads that serve the others.
async fn matches(app: &App, password: String, hash: Option<String>) -> Result<bool, Problem> {
    let _turn = app.hashing.acquire().await.map_err(|_| Problem::INTERNAL)?;
    let work = move || secret::password_matches(&password, hash.as_deref());
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::INTERNAL)
}

async fn begin(app: &App, user: &User, how: &str, address: &Address) -> Result<HeaderValue, Problem> {
    let token = secret::token()?;
    app.store.session_begin(now_ms(), user.id, &token).await?;
    app.counters.sign_ins.fetch_add(1, Ordering::Relaxed);
    audit(app, &user.email, how, address).await?;
    cookie(app, &token, AGE_MS / 1000)
}

fn cookie(app: &App, token: &str, seconds: i64) -> Result<HeaderValue, Problem> {
    let secure = if app.config.https { "; Secure" } else { "" };
    let text = format!("{COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).map_err(|_| Problem::INTERNAL)
}

async fn audit(app: &App, who: &str, result: &str, address: &Address) -> Result<(), Problem> {
    let what = if result == "signed_out" { "sign_out" } else { "sign_in" };
    let entry =
        Entry { who: who.to_owned(), origin: address.0.clone(), ..Entry::system(now_ms(), what, result, "session") };
    Ok(app.store.audit(&entry).await?)
}

/// Who is signed in.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses(
    (status = 200, body = SessionView),
    (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "`not_signed_in`")))]
pub(crate) async fn whoami(State(app): State<Arc<App>>, who: Principal) -> Json<SessionView> {
    Json(SessionView::new(&app, who.user))
}

/// Sign out.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses(
    (status = 204, description = "Signed out; the cookie is gone, and the streams of the session end")))]
pub(crate) async fn sign_out(State(app): State<Arc<App>>, who: Principal) -> Result<Response, Problem> {
    if let Via::Session(token) = &who.via {
        app.store.session_end(token).await?;
        audit(&app, &who.user.email, "signed_out", &who.address).await?;
        app.sign_outs.send_modify(|count| *count += 1);
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(&app, "", 0)?)]).into_response())
}

/// The token of a sign-in link.
#[derive(Deserialize, utoipa::IntoParams)]
pub(crate) struct LinkQuery {
    token: String,
}

/// Sign in by a link that works once.
#[utoipa::path(get, path = "/api/v1/session/auto", params(LinkQuery), tag = "session", security(()), responses(
    (status = 303, description = "Signed in; goes on to the desk"),
    (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "`bad_link`")))]
pub(crate) async fn auto(
    State(app): State<Arc<App>>,
    address: Address,
    query: Result<Query<LinkQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let token = query.map(|Query(query)| query.token).unwrap_or_default();
    let Some(user) = app.store.link_take(now_ms(), &token).await? else {
        audit(&app, "unknown user", "bad_link", &address).await?;
        let detail = "This link was used before, or its ten minutes are over. Ask for a new one.";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "bad_link", detail));
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::SET_COOKIE, begin(&app, &user, "link", &address).await?);
    headers.insert(header::LOCATION, HeaderValue::from_static("/"));
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}
