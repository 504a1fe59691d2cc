//! Reports of gateways against what is written here, what is keyed by hand, and what people must look at.

use crate::client::Answer;
use crate::{Client, Link, World, add_user, call, database, money};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{
    Action, AttemptId, AttemptKind, AuditAction, AuditEvent, CommandResult, Currency, Money, MoneyAlarm, Origin,
    Outcome, PaymentOrder, RecordBody, Refusal, ReportCursor, ReportKind, ReportLine, ReportPage,
};

/// The day of the records that [`Link::record`] tells: 03:33:20 in UTC.
const DAY: &str = "/api/v1/reconciliations/2033-05-18";
const HEADER: &str = "balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,source_id,description,\
                      charge_id,payment_intent_id,payment_metadata[tonewall_attempt]";

fn sent(order: &PaymentOrder, attempt: u128, kind: AttemptKind, minor: i64) -> RecordBody {
    RecordBody::AttemptSent(wire::AttemptSent {
        attempt: AttemptId(Uuid::from_u128(attempt)),
        kind,
        payment: order.payment,
        call: call(1, "1001").call,
        extension: "1001".parse().unwrap(),
        origin: Origin::System,
        merchant: order.merchant.clone(),
        amount: Money { minor, currency: Currency::GBP },
        capture: None,
        card: None,
    })
}

fn done(order: &PaymentOrder, attempt: u128, minor: i64, name: &str) -> RecordBody {
    let (amount, checks) = (Money { minor, currency: Currency::GBP }, wire::Checks::default());
    let outcome = Outcome::Approved { auth_code: "A".into(), gateway_ref: name.into(), amount, checks };
    ended(order, attempt, outcome)
}

fn ended(order: &PaymentOrder, attempt: u128, outcome: Outcome) -> RecordBody {
    RecordBody::AttemptEnded { attempt: AttemptId(Uuid::from_u128(attempt)), payment: order.payment, outcome }
}

/// Amy looks after the money, and has taken 42.00.
async fn with_payment(world: &mut World) -> (Client, Link, PaymentOrder) {
    console::user_rights(world.config(), "amy@example.com", &"charge,finance".parse().unwrap()).await.unwrap();
    let (desk, mut link) = world.with_call().await;
    let order = money::start(&desk, &mut link).await;
    link.record(1, sent(&order, 1, AttemptKind::Authorize, 4200)).await;
    link.record(2, done(&order, 1, 4200, "pi_1")).await;
    link.acknowledged(2).await;
    (desk, link, order)
}

fn row(id: &str, day: &str, gross: &str, category: &str, source: &str, intent: &str) -> String {
    format!("{id},{day} 04:00:00,gbp,{gross},0.50,0.00,{category},{source},Tonewall,ch_1,{intent},\n")
}

async fn upload(desk: &Client, rows: &[String]) -> Answer {
    let body = format!("{HEADER}\n{}", rows.concat());
    desk.with("Content-Type", "text/csv").post("/api/v1/reconciliations?format=stripe&name=may.csv", &body).await
}

fn counts(day: &Value) -> Vec<i64> {
    ["matched", "differs", "contradicted", "unknown", "ours_only", "theirs_only", "apart"]
        .map(|name| day["counts"][name].as_i64().unwrap())
        .to_vec()
}

#[tokio::test]
async fn a_report_given_twice_changes_nothing_and_a_late_line_counts_for_the_day_of_its_payment() {
    let mut world = World::new().await;
    let (desk, link, order) = with_payment(&mut world).await;
    assert_eq!(counts(&desk.get(DAY).await.json()), [0, 0, 0, 0, 1, 0, 0], "no report yet");
    let refund = 2;
    link.record(3, sent(&order, refund, AttemptKind::Refund, 1000)).await;
    link.record(4, done(&order, refund, 1000, "re_1")).await;
    desk.until(DAY, |day| counts(day)[4] == 2).await;
    let first = upload(&desk, &[row("txn_1", "2033-05-18", "42.00", "charge", "ch_1", "pi_1")]).await;
    assert_eq!(
        (first.status, &first.json()["known"], &first.json()["report"]["fresh"]),
        (201, &false.into(), &1.into())
    );
    let day = desk.get(DAY).await.json();
    assert_eq!(counts(&day), [1, 0, 0, 0, 1, 0, 0]);
    let again = upload(&desk, &[row("txn_1", "2033-05-18", "42.00", "charge", "ch_1", "pi_1")]).await;
    assert_eq!((again.status, &again.json()["report"]["id"]), (200, &first.json()["report"]["id"]));
    assert_eq!(desk.get(DAY).await.json(), day);
    // The next day's report has the first line again, and the refund's.
    let late = row("txn_2", "2033-05-19", "-10.00", "refund", "re_1", "pi_1");
    let next = upload(&desk, &[row("txn_1", "2033-05-18", "42.00", "charge", "ch_1", "pi_1"), late]).await.json();
    assert_eq!((&next["report"]["lines"], &next["report"]["fresh"]), (&2.into(), &1.into()));
    let day = desk.get(DAY).await.json();
    assert_eq!((counts(&day), &day["clean"]), (vec![2, 0, 0, 0, 0, 0, 0], &true.into()));
    assert_eq!(day["counts"]["refunds"], 1);
    assert_eq!(day["totals"][0]["theirs_given_back"]["minor"], 1000);
    assert_eq!(counts(&desk.get("/api/v1/reconciliations/2033-05-19").await.json()), [0; 7]);
    let list = desk.get("/api/v1/reconciliations").await.json();
    assert_eq!((list["reports"].as_array().unwrap().len(), &list["time_zone"]), (2, &"UTC".into()));
}

#[tokio::test]
async fn what_differs_is_told_apart_and_exported() {
    let mut world = World::new().await;
    let (desk, link, order) = with_payment(&mut world).await;
    link.record(3, sent(&order, 2, AttemptKind::Refund, 1000)).await;
    link.record(4, ended(&order, 2, Outcome::Unknown)).await;
    desk.until(DAY, |day| counts(day)[3] == 1).await;
    let rows = [
        row("txn_1", "2033-05-18", "41.00", "charge", "ch_1", "pi_1"),
        row("txn_2", "2033-05-18", "-10.00", "refund", "re_7", "pi_1"),
        row("txn_3", "2033-05-18", "9.00", "charge", "ch_9", "pi_9"),
        row("txn_4", "2033-05-18", "-42.00", "dispute", "dp_1", "pi_1"),
    ];
    assert_eq!(upload(&desk, &rows).await.status, 201);
    let day = desk.get(DAY).await.json();
    assert_eq!((counts(&day), &day["clean"]), (vec![0, 1, 0, 1, 0, 1, 1], &false.into()));
    assert_eq!(day["unknown"][0]["theirs"]["names"][0], "re_7", "the gateway has the refund that nobody knew of");
    assert_eq!(
        (&day["theirs_only"][0]["why"], &day["differs"][0]["ours"]["account"]),
        (&"not_ours".into(), &"INV-88120".into())
    );
    let csv = desk.get(&format!("{DAY}/export")).await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"reconciliation-main-2033-05-18.csv\""));
    assert_eq!(csv.text.lines().count(), 5, "{}", csv.text);
    assert!(csv.text.contains("\r\ndiffers,charge,") && csv.text.contains(",GBP,42.00,GBP,41.00,0.50,GBP,"));
    let xlsx = desk.get(&format!("{DAY}/export?format=xlsx")).await;
    assert!(xlsx.status == 200 && xlsx.text.starts_with("PK"));
    let problem = desk.get(&format!("{DAY}/export?format=pdf")).await;
    assert_eq!(problem.problem(), (422, "bad_query".into()));
}

#[tokio::test]
async fn only_finance_may_and_a_card_number_is_stored_nowhere() {
    let mut world = World::new().await;
    let (desk, _link, _) = with_payment(&mut world).await;
    let bob = world.desk("bob").await;
    for path in [
        "/api/v1/reconciliations",
        DAY,
        &format!("{DAY}/export"),
        "/api/v1/manual-payments",
        "/api/v1/payments?all=true",
    ] {
        assert_eq!(bob.get(path).await.problem(), (403, "no_right".into()), "{path}");
    }
    assert_eq!(upload(&bob, &[]).await.problem(), (403, "no_right".into()));
    let card = row("txn_1", "2033-05-18", "42.00", "charge", "4242424242424242", "pi_1");
    let refused = upload(&desk, &[row("txn_0", "2033-05-18", "1.00", "charge", "ch_mark", "pi_0"), card]).await;
    assert_eq!(refused.problem(), (422, "looks_like_card".into()));
    assert!(refused.json()["detail"].as_str().unwrap().contains("Line 3") && !refused.text.contains("4242"));
    let bytes = database(world.config().database.parent().unwrap());
    let has = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    assert!(has(b"INV-88120"), "the control: what is stored is found");
    assert!(!has(b"4242424242424242") && !has(b"ch_mark"), "nothing of the report is stored");
    let wrong = desk.with("Content-Type", "text/csv").post("/api/v1/reconciliations?format=adyen", "a,b\n1,2\n").await;
    assert_eq!(wrong.problem(), (422, "bad_report".into()));
    assert!(wrong.json()["detail"].as_str().unwrap().contains("`Psp Reference`"));
    for query in ["format=columns&reference=a&source=b", "format=columns&at=a&reference=b&amount=c&currency=GBP"] {
        let missing = desk.post(&format!("/api/v1/reconciliations?{query}"), "x").await;
        assert_eq!(missing.problem(), (422, "bad_query".into()), "{query}");
    }
    let bad_name = desk.post("/api/v1/reconciliations?format=stripe&name=4242424242424242.csv", "x").await;
    assert_eq!(bad_name.problem(), (422, "looks_like_card".into()));
}

#[tokio::test]
async fn any_csv_comes_in_by_its_columns_in_the_zone_of_the_house() {
    let mut world = World::new().await;
    let (desk, _link, _) = with_payment(&mut world).await;
    world.stop().await;
    world.restart_with(|config| config.time_zone = "America/New_York".to_owned().try_into().unwrap()).await;
    let desk = Client { addr: world.client.addr, ..desk };
    let body = "Booked;Ref;Amt\n17/05/2033 23:40;pi_1;42,00\n";
    let query =
        "format=columns&source=house-bank&at=Booked&reference=Ref&amount=Amt&currency=GBP&decimal=comma&dates=dmy";
    let taken = desk.with("Content-Type", "text/csv").post(&format!("/api/v1/reconciliations?{query}"), body).await;
    assert_eq!(taken.status, 201, "{taken:?}");
    let day = desk.get("/api/v1/reconciliations/2033-05-17").await.json();
    assert_eq!((counts(&day), &day["time_zone"]), (vec![1, 0, 0, 0, 0, 0, 0], &"America/New_York".into()));
    assert_eq!(day["matched"][0]["theirs"]["at"], "2033-05-18T03:40:00Z");
    assert_eq!(desk.get("/api/v1/reconciliations/2033-02-30").await.problem(), (404, "not_found".into()));
}

#[tokio::test]
async fn what_is_keyed_by_hand_is_listed_by_account_until_it_is_and_again_when_it_is_given_back() {
    let mut world = World::new().await;
    let (desk, link, order) = with_payment(&mut world).await;
    let list = "/api/v1/manual-payments";
    let shown = desk.get(list).await.json();
    assert_eq!(
        (&shown["payments"][0]["account"], &shown["payments"][0]["to_key"]["minor"]),
        (&"INV-88120".into(), &4200.into())
    );
    let path = format!("/api/v1/payments/{}/keyed", order.payment);
    let keyed = |minor: i64| json!({"shown": {"minor": minor, "currency": "GBP"}}).to_string();
    assert_eq!(world.desk("bob").await.post(&path, &keyed(4200)).await.problem(), (403, "no_right".into()));
    assert_eq!(desk.post(&path, &keyed(4100)).await.problem(), (409, "amount_changed".into()));
    assert_eq!(desk.post(&path, &keyed(4200)).await.status, 200);
    assert_eq!(desk.post(&path, &keyed(4200)).await.status, 200, "said again it is the same");
    assert!(desk.get(list).await.json()["payments"].as_array().unwrap().is_empty());
    let done = desk.get(&format!("{list}?keyed=true")).await.json();
    assert_eq!(done["payments"][0]["keyed_by"], "amy@example.com");
    link.record(3, sent(&order, 2, AttemptKind::Refund, 1000)).await;
    link.record(4, self::done(&order, 2, 1000, "re_1")).await;
    let again = desk.until(list, |list| list["payments"][0]["to_key"]["minor"] == -1000).await;
    assert_eq!(again["payments"][0]["keyed"]["minor"], 4200);
    assert!(again["next_cursor"].is_null());
    assert_eq!(desk.get(&format!("{list}?limit=0")).await.problem(), (422, "bad_query".into()));
    let csv = desk.get(&format!("{list}/export")).await.text;
    assert!(csv.contains("\r\nINV-88120,,,GBP,-10.00,32.00,42.00,amy@example.com,"), "{csv}");
    assert_eq!(desk.post(&path, &keyed(0)).await.status, 200, "a mark is taken back");
    assert_eq!(desk.get(list).await.json()["payments"][0]["to_key"]["minor"], 3200);
    let audit = desk.get(&format!("/api/v1/payments/{}", order.payment)).await.json()["audit"].clone();
    let marks: Vec<_> = audit.as_array().unwrap().iter().filter(|row| row["what"] == "keyed").collect();
    assert_eq!((marks.len(), &marks[0]["result"], &marks[1]["result"]), (2, &"42.00 GBP".into(), &"nothing".into()));
}

fn alarm(order: &PaymentOrder, alarm: MoneyAlarm) -> RecordBody {
    let action = AuditAction::Money { payment: order.payment, alarm };
    let (call, extension) = (call(1, "1001").call, "1001".parse().unwrap());
    RecordBody::Audit(AuditEvent { origin: Origin::System, call, extension, action })
}

#[tokio::test]
async fn an_alarm_about_money_waits_for_people_until_somebody_has_looked_at_it() {
    let mut world = World::new().await;
    let (desk, link, order) = with_payment(&mut world).await;
    add_user(world.config(), "cat", "1003").await;
    console::user_rights(world.config(), "cat@example.com", &"finance".parse().unwrap()).await.unwrap();
    let path = format!("/api/v1/payments/{}", order.payment);
    link.record(3, alarm(&order, MoneyAlarm::Disputed)).await;
    link.record(4, alarm(&order, MoneyAlarm::ChecksFailed)).await;
    link.record(5, alarm(&order, MoneyAlarm::EndedOtherwise)).await;
    let shown = desk.until(&path, |payment| payment["alarms_open"] == 2).await;
    let alarms: Vec<_> = shown["alarms"].as_array().unwrap().iter().map(|alarm| alarm["alarm"].clone()).collect();
    assert_eq!(alarms, ["disputed", "ended_otherwise"]);
    assert_eq!(desk.get("/api/v1/finance").await.json()["payments"][0]["alarms_open"], 2);
    let metrics = desk.get("/metrics").await.text;
    assert!(metrics.contains("tonewall_office_money_alarms_open{alarm=\"disputed\"} 1"), "{metrics}");
    let seen = |id: i64| format!("{path}/alarms/{id}/seen");
    let (first, second) = (shown["alarms"][0]["id"].as_i64().unwrap(), shown["alarms"][1]["id"].as_i64().unwrap());
    assert_eq!(world.desk("bob").await.post(&seen(first), "").await.problem(), (403, "no_right".into()));
    for dressed in [
        "card 4242 4242 4242 4242",
        "4242/4242/4242/4242",
        "4242__4242\n4242__4242",
        "４２４２４２４２４２４２４２４２",
    ] {
        let card = json!({"note": dressed}).to_string();
        assert_eq!(desk.post(&seen(first), &card).await.problem(), (422, "looks_like_card".into()), "{dressed}");
    }
    let cat = world.desk("cat").await;
    let answer = cat.post(&seen(first), &json!({"note": " Sent the papers to the bank. "}).to_string()).await;
    assert_eq!((answer.status, &answer.json()["alarms"][0]["seen_by"]), (200, &"cat@example.com".into()));
    assert_eq!(answer.json()["alarms"][0]["note"], "Sent the papers to the bank.");
    assert_eq!(desk.post(&seen(first), "").await.status, 200, "the first to look stays");
    assert_eq!(desk.post(&seen(second), "").await.status, 200);
    let shown = desk.get(&path).await.json();
    assert_eq!((&shown["alarms_open"], &shown["alarms"][0]["seen_by"]), (&0.into(), &"cat@example.com".into()));
    assert!(desk.get("/api/v1/finance").await.json()["payments"].as_array().unwrap().is_empty());
    assert_eq!(desk.post(&seen(999), "").await.problem(), (404, "not_found".into()));
    assert_eq!(cat.get("/api/v1/payments?all=true").await.json()["payments"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_report_with_the_wrong_columns_is_taken_back_and_given_in_anew() {
    let mut world = World::new().await;
    let (desk, _link, _) = with_payment(&mut world).await;
    let desk = desk.with("Content-Type", "text/csv");
    let give = async |amount: &str, body: &str| {
        let query = format!("format=columns&source=house-bank&at=at&reference=ref&amount={amount}&currency=GBP");
        desk.post(&format!("/api/v1/reconciliations?{query}"), body).await
    };
    let body = "at,ref,gross,net\n2033-05-18 04:00:00,pi_1,42.00,41.00\n";
    let wrong = give("net", body).await.json();
    assert_eq!(counts(&desk.get(DAY).await.json()), [0, 1, 0, 0, 0, 0, 0]);
    let more = format!("{body}2033-05-18 05:00:00,pi_9,2.00,1.00\n");
    assert_eq!(give("net", &more).await.json()["report"]["fresh"], 1);
    let path = format!("/api/v1/reports/{}", wrong["report"]["id"].as_str().unwrap());
    assert_eq!(world.desk("bob").await.send("DELETE", &path, None).await.problem(), (403, "no_right".into()));
    let gone = desk.send("DELETE", &path, None).await;
    assert_eq!((gone.status, &gone.json()["give_again"]), (200, &json!([])));
    assert_eq!(desk.send("DELETE", &path, None).await.problem(), (404, "not_found".into()));
    assert_eq!(counts(&desk.get(DAY).await.json()), [0, 1, 0, 0, 0, 1, 0], "what the other report has stays");
    let gross = give("gross", body).await;
    assert_eq!(gross.status, 201, "the same file by other columns is another report");
    let day = desk.get(DAY).await.json();
    assert_eq!(
        (&day["matched"][0]["theirs"]["source"], &day["counts"]["conflicts"]),
        (&"house-bank".into(), &0.into())
    );
}

fn told(key: &str, kind: ReportKind, minor: i64, names: &[&str]) -> ReportLine {
    ReportLine {
        key: key.to_owned(),
        kind,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        attempts: vec![],
        money: Money { minor, currency: Currency::GBP },
        fee: Some(Money { minor: 50, currency: Currency::GBP }),
        // 04:00 in UTC, as the rows of the files here.
        at_unix_ms: 2_000_001_600_000,
    }
}

/// Answers each page that is asked for, and tells which ones were.
async fn tell(link: &mut Link, pages: Vec<CommandResult>) -> Vec<Option<ReportCursor>> {
    let mut asked = Vec::new();
    for page in pages {
        let command = link.command().await;
        let Action::Report { merchant, from_unix_ms, until_unix_ms, next } = &command.action else {
            panic!("{command:?}")
        };
        assert_eq!((merchant.as_str(), until_unix_ms - from_unix_ms), ("main", 86_400_000));
        asked.push(next.clone());
        link.answer(&command, page).await;
    }
    asked
}

#[tokio::test]
async fn a_day_is_asked_of_the_gateway_page_by_page_and_counts_once_with_its_file() {
    let mut world = World::new().await;
    let (desk, mut link, _) = with_payment(&mut world).await;
    let path = format!("{DAY}/fetch");
    assert_eq!(world.desk("bob").await.post(&path, "").await.problem(), (403, "no_right".into()));
    let cursor = ReportCursor { gateway: "stripe-uk".into(), after: Some("txn_1".into()) };
    let page = |lines, next| {
        CommandResult::Report(ReportPage {
            gateway: "stripe-uk".into(),
            format: "stripe".into(),
            lines,
            skipped: 0,
            next,
        })
    };
    let charge = told("txn_1", ReportKind::Charge, 4200, &["ch_1", "pi_1"]);
    let payout = told("txn_2", ReportKind::Payout, 4150, &["po_1"]);
    let pages = || vec![page(vec![charge.clone()], Some(cursor.clone())), page(vec![payout.clone()], None)];
    let ask = |client: &Client| {
        let (client, path) = (client.clone(), path.clone());
        tokio::spawn(async move { client.post(&path, "").await })
    };
    let request = ask(&desk);
    assert_eq!(tell(&mut link, pages()).await, [None, Some(cursor.clone())]);
    let answer = request.await.unwrap();
    let one = answer.json()["gateways"][0].clone();
    assert_eq!((answer.status, &one["gateway"], &one["known"]), (200, &"stripe-uk".into(), &false.into()));
    assert_eq!((&one["report"]["source"], &one["report"]["lines"]), (&"stripe".into(), &2.into()));
    assert_eq!(counts(&desk.get(DAY).await.json()), [1, 0, 0, 0, 0, 0, 1]);
    let request = ask(&desk);
    tell(&mut link, pages()).await;
    assert_eq!(request.await.unwrap().json()["gateways"][0]["known"], true);
    // The file of the same day has the same movement, and waits for no gateway.
    let request = ask(&desk);
    tell(&mut link, pages().drain(..1).collect()).await;
    let file = upload(&desk, &[row("txn_1", "2033-05-18", "42.00", "charge", "ch_1", "pi_1")]).await.json();
    tell(&mut link, pages().drain(1..).collect()).await;
    assert_eq!(request.await.unwrap().json()["gateways"][0]["known"], true);
    assert_eq!((&file["report"]["fresh"], &file["report"]["conflicts"]), (&0.into(), &0.into()));
    assert_eq!(counts(&desk.get(DAY).await.json()), [1, 0, 0, 0, 0, 0, 1]);

    // Nothing of a day is taken in that could not be read whole.
    let more = told("txn_9", ReportKind::Charge, 1, &["ch_9"]);
    let refused = |reason| CommandResult::Refused { reason };
    let broken: Vec<_> = [page(vec![more], Some(cursor.clone()))]
        .into_iter()
        .chain([(); 3].map(|()| refused(Refusal::NoReport)))
        .collect();
    let request = ask(&desk);
    tell(&mut link, broken).await;
    assert_eq!(request.await.unwrap().problem(), (409, "no_report".into()));
    assert_eq!(counts(&desk.get(DAY).await.json())[5], 0);
    let request = ask(&desk);
    tell(&mut link, vec![refused(Refusal::Unsupported)]).await;
    assert_eq!(request.await.unwrap().problem(), (409, "no_report_api".into()));
    let request = ask(&desk);
    tell(&mut link, vec![page(vec![], None)]).await;
    assert!(request.await.unwrap().json()["gateways"][0]["report"].is_null());
}
