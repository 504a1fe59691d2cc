use crate::{PASSWORD, World};
use serde_json::json;

fn credentials(email: &str, password: &str) -> String {
    json!({"email": email, "password": password}).to_string()
}

#[tokio::test]
async fn a_password_opens_a_session_that_signing_out_ends() {
    let world = World::new().await;
    let answer = world.client.post("/api/v1/session", &credentials("Amy@example.com", PASSWORD)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["user"]["extension"], "1001");
    let desk = world.client.with_cookie(&answer);
    assert_eq!(desk.get("/api/v1/session").await.json()["user"]["role"], "agent");
    let mut events = desk.events().await;
    assert_eq!(events.next().await.unwrap().name, "snapshot");
    assert_eq!(desk.send("DELETE", "/api/v1/session", None).await.status, 204);
    assert!(events.next().await.is_none(), "the stream ends with its session");
    assert_eq!(desk.get("/api/v1/session").await.problem(), (401, "not_signed_in".into()));
}

#[tokio::test]
async fn a_second_factor_that_nobody_has_is_not_passed_over() {
    let world = World::new().await;
    let with =
        |code: serde_json::Value| json!({"email": "amy@example.com", "password": PASSWORD, "code": code}).to_string();
    assert_eq!(world.client.post("/api/v1/session", &with(serde_json::Value::Null)).await.status, 200);
    let answer = world.client.post("/api/v1/session", &with("123456".into())).await;
    assert_eq!(answer.problem(), (422, "code_unsupported".into()));
    assert!(answer.header("set-cookie").is_none());
}

#[tokio::test]
async fn ten_failures_lock_the_user_and_tell_nothing_of_unknown_ones() {
    let world = World::new().await;
    for _ in 0..10 {
        let answer = world.client.post("/api/v1/session", &credentials("amy@example.com", "a wrong password")).await;
        assert_eq!(answer.problem(), (401, "bad_credentials".into()));
    }
    let answer = world.client.post("/api/v1/session", &credentials("amy@example.com", PASSWORD)).await;
    assert_eq!(answer.problem(), (429, "locked".into()));
    assert!((1700..=1801).contains(&answer.header("retry-after").unwrap().parse::<i32>().unwrap()));
    let answer = world.client.post("/api/v1/session", &credentials("4242424242424242", PASSWORD)).await;
    assert_eq!(answer.problem(), (401, "bad_credentials".into()));
    let stored = crate::database(world.config().database.parent().unwrap());
    assert!(!stored.windows(16).any(|bytes| bytes == b"4242424242424242"), "what was typed is not kept");
}

#[tokio::test]
async fn a_link_works_once() {
    let world = World::new().await;
    let token = console::sign_in_link(world.config(), "amy@example.com").await.unwrap();
    let path = format!("/api/v1/session/auto?token={token}");
    let answer = world.client.get(&path).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    assert_eq!(world.client.get(&path).await.problem(), (401, "bad_link".into()));
    assert_eq!(world.client.get("/api/v1/session/auto").await.problem(), (401, "bad_link".into()));
}

#[tokio::test]
async fn another_site_cannot_use_the_cookie_and_a_key_needs_no_header() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let path = crate::call_path(1, "release");
    assert_eq!(desk.with("X-Tonewall", "0").post(&path, "").await.problem(), (403, "csrf".into()));
    let key = console::api_key_add(world.config(), "amy@example.com", "crm").await.unwrap();
    let program = world.client.with("Authorization", &format!("Bearer {key}"));
    let request = tokio::spawn(async move { program.post(&path, "").await });
    let command = link.command().await;
    link.done(&command).await;
    assert_eq!(request.await.unwrap().status, 200);
    let wrong = world.client.with("Authorization", "Bearer twk_0000");
    assert_eq!(wrong.get("/api/v1/calls").await.problem(), (401, "not_signed_in".into()));
}

#[tokio::test]
async fn the_audit_trail_names_the_key_and_a_revoked_key_is_refused_at_once_also_where_it_watches() {
    let world = World::new().await;
    crate::trunks::admin(&world).await;
    let key = async |email: &str, name| {
        let key = console::api_key_add(world.config(), email, name).await.unwrap();
        world.client.with("Authorization", &format!("Bearer {key}"))
    };
    let (crm, other) = (key("amy@example.com", "crm").await, key("amy@example.com", "desk tool").await);
    let admin = key("ida@example.com", "ops").await;
    assert_eq!(crm.get("/api/v1/api-keys").await.problem(), (403, "for_admins".into()));

    let mut events = crm.events().await;
    assert_eq!(events.next().await.unwrap().name, "snapshot");
    let listed = admin.get("/api/v1/api-keys").await;
    assert!(!listed.text.contains("twk_"), "no key is listed");
    let listed = listed.json()["api_keys"].clone();
    let named = |name| listed.as_array().unwrap().iter().find(|key| key["name"] == name).unwrap().clone();
    assert_eq!((&named("crm")["user"], &named("crm")["revoked_at"]), (&json!("amy@example.com"), &json!(null)));
    assert!(named("crm")["last_used_at"].is_string() && named("desk tool")["last_used_at"].is_null());

    let path = format!("/api/v1/api-keys/{}", named("crm")["id"]);
    assert_eq!(admin.send("DELETE", &path, None).await.status, 204);
    assert!(events.next().await.is_none(), "the stream ends with its key");
    assert_eq!(crm.get("/api/v1/session").await.problem(), (401, "key_revoked".into()));
    assert_eq!(admin.send("DELETE", &path, None).await.problem(), (404, "not_found".into()));
    assert_eq!(other.get("/api/v1/session").await.status, 200, "and no other key of theirs");

    let mut events = other.events().await;
    assert_eq!(events.next().await.unwrap().name, "snapshot");
    console::api_key_revoke(world.config(), "desk tool", None).await.unwrap();
    assert!(events.next().await.is_none(), "revoked by another process");
    let rows = world.audit("api_key_revoke").await;
    assert_eq!(rows[0], ("ida@example.com".into(), Some("ops".into()), "crm of amy@example.com".into()));
    assert_eq!(rows[1], ("system".into(), None, "desk tool of amy@example.com".into()));
}
