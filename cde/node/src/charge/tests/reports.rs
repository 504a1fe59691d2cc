//! What gateways tell of a day, page by page, for who has no credential of theirs.

use super::{Folder, bank};
use crate::charge::{Charger, LiveCalls};
use crate::config::Config;
use crate::credentials::Safe;
use crate::journal::Journal;
use aws_lc_rs::hmac;
use std::collections::BTreeMap;
use std::path::Path;
use tokio::sync::mpsc;
use wire::{Action, CallId, Command, CommandId, CommandResult, Origin, Refusal, ReportCursor};

const DAY: (i64, i64) = (1_795_651_200_000, 1_795_737_600_000);

/// Two pages; of another key nothing.
fn balance(line: &str, _reference: &str) -> Option<(u16, String)> {
    let movement = |id: &str| {
        format!(
            r#"{{"id":"{id}","object":"balance_transaction","amount":4200,"currency":"gbp","fee":83,"created":1795681800,
            "reporting_category":"charge","type":"charge","source":{{"id":"ch_{id}","object":"charge","currency":"gbp",
            "payment_method_details":{{"card":{{"last4":"4242"}}}}}}}}"#
        )
    };
    let page = |id: &str, more: bool| format!(r#"{{"object":"list","has_more":{more},"data":[{}]}}"#, movement(id));
    let is_day = line.starts_with("GET /v1/balance_transactions?") && line.contains("created[gte]=1795651200");
    match (is_day, line.contains("starting_after=txn_1"), line.contains("starting_after=txn_broken")) {
        (true, true, _) => Some((200, page("txn_2", false))),
        (true, _, false) => Some((200, page("txn_1", true))),
        _ => Some((403, r#"{"error":{"type":"invalid_request_error"}}"#.to_owned())),
    }
}

async fn charger(folder: &Folder, url: &str, of_merchant: &str) -> Charger {
    crate::samples::cryptography();
    std::fs::write(folder.0.join("key"), "sk_test_nobodys").unwrap();
    let stripe = |name: &str| {
        format!("[[gateway]]\nname = \"{name}\"\nadapter = \"stripe\"\nurl = \"{url}\"\nkey_file = \"key\"\n")
    };
    let text = format!(
        "{}{}[[gateway]]\nname = \"box\"\nadapter = \"sandbox\"\nurl = \"{url}\"\n[[merchant]]\nid = \"m\"\ngateway = {of_merchant}\n",
        stripe("one"),
        stripe("two")
    );
    let config = Config::parse(&text, Path::new("cde.toml")).unwrap();
    let journal = Journal::open(&folder.0.join("journal.db")).await.unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"test");
    let custody = (None, Safe::new(&folder.0, None, key.clone()), &BTreeMap::new());
    Charger::new((&config, &folder.0), custody, journal, key, LiveCalls::default(), mpsc::channel(8).0).unwrap()
}

async fn ask(
    charger: &Charger,
    merchant: &str,
    (from, until): (i64, i64),
    next: Option<ReportCursor>,
) -> CommandResult {
    let merchant = merchant.parse().unwrap();
    let action = Action::Report { merchant, from_unix_ms: from, until_unix_ms: until, next };
    let (id, call) = (CommandId::from_random(1), CallId::from_random(1));
    charger.answer(&Command { id, call, origin: Origin::User { id: 7 }, action }).await
}

fn refused(reason: Refusal) -> CommandResult {
    CommandResult::Refused { reason }
}

#[tokio::test]
async fn each_gateway_that_can_be_asked_is_read_to_its_end_and_nothing_of_a_card_goes_on() {
    let folder = Folder::new();
    let charger = charger(&folder, &bank(balance).await, "[\"two\", \"box\", \"one\", \"two\"]").await;
    let (mut next, mut read) = (None, Vec::new());
    for _ in 0..9 {
        let CommandResult::Report(page) = ask(&charger, "m", DAY, next).await else { panic!() };
        assert!(page.format == "stripe" && !format!("{page:?}").contains("4242\""));
        read.extend(page.lines.iter().map(|line| format!("{} {}", page.gateway, line.key)));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(read, ["one txn_1", "one txn_2", "two txn_1", "two txn_2"]);
}

#[tokio::test]
async fn what_cannot_be_asked_or_read_is_refused() {
    let folder = Folder::new();
    let url = bank(balance).await;
    let stripe = charger(&folder, &url, "\"one\"").await;
    let at = |gateway: &str, after: &str| Some(ReportCursor { gateway: gateway.into(), after: Some(after.into()) });
    assert_eq!(ask(&stripe, "m", DAY, at("one", "txn_broken")).await, refused(Refusal::NoReport));
    assert_eq!(ask(&stripe, "m", DAY, at("two", "txn_1")).await, refused(Refusal::Unsupported), "not this merchant's");
    assert_eq!(ask(&stripe, "other", DAY, None).await, refused(Refusal::UnknownMerchant));
    for period in [(5, 5), (5, 4), (0, i64::MAX), (i64::MIN, i64::MAX)] {
        assert_eq!(ask(&stripe, "m", period, None).await, refused(Refusal::WrongState), "{period:?}");
    }
    stripe.journal.close().await;
    let sandbox = charger(&folder, &url, "\"box\"").await;
    assert_eq!(ask(&sandbox, "m", DAY, None).await, refused(Refusal::Unsupported));
}
