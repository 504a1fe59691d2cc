use crate::{World, call, call_path};
use wire::{Action, FromCde};

#[tokio::test]
async fn a_command_is_sent_again_over_the_next_connection() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let request = tokio::spawn(async move { desk.post(&call_path(1, "release"), "").await });
    let first = link.command().await;
    drop(link);
    let mut link = world.cde.accept(vec![call(1, "1001")]).await;
    let again = link.command().await;
    assert_eq!(first, again, "the same command by its id");
    link.done(&again).await;
    assert_eq!(request.await.unwrap().status, 200);
}

#[tokio::test]
async fn readiness_tells_of_the_door_and_passes_on_warnings() {
    let mut world = World::new().await;
    let answer = world.client.get("/readyz").await;
    assert_eq!((answer.status, &answer.json()["door"]), (503, &"down".into()));
    let (desk, mut link) = world.with_call().await;
    let answer = desk.get("/readyz").await.json();
    assert_eq!((&answer["ready"], &answer["warnings"][0]), (&true.into(), &"one user".into()));
    assert!(desk.get("/metrics").await.text.contains("tonewall_office_door_up 1"));
    assert_eq!(desk.get("/healthz").await.status, 200);
    // A second greeting is not one of the words that may come now.
    link.say(FromCde::Hello { journal: world.cde.journal, calls: vec![], warnings: vec![] }).await;
    assert!(link.is_ended().await);
}

#[tokio::test]
async fn a_socket_of_another_user_is_not_spoken_to() {
    let mut world = World::new().await;
    world.stop().await;
    world.restart_with(|config| config.door_peer_uid = Some(4_000_000)).await;
    let warned = async {
        loop {
            let warnings = world.client.get("/readyz").await.json()["warnings"].to_string();
            if warnings.contains("another user") {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), warned).await.unwrap();
}

#[tokio::test]
async fn work_that_was_begun_is_finished_when_the_client_is_gone() {
    let mut world = World::new().await;
    let (desk, mut link) = world.with_call().await;
    let key = desk.with("Idempotency-Key", "k");
    let gone = key.clone();
    let request = tokio::spawn(async move { gone.post(&call_path(1, "release"), "").await });
    let command = link.command().await;
    request.abort();
    assert!(request.await.is_err());
    link.done(&command).await;
    let mut answer = key.post(&call_path(1, "release"), "").await;
    while answer.status == 409 {
        assert_eq!(answer.problem().1, "idempotency_busy");
        answer = key.post(&call_path(1, "release"), "").await;
    }
    assert_eq!(answer.status, 200);
    let other = tokio::spawn(async move { desk.post(&call_path(1, "secure"), "").await });
    assert_eq!(link.command().await.action, Action::Secure, "the release was not sent twice");
    other.abort();
}
