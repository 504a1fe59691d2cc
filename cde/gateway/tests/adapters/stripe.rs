//! Stripe: goldens of what is sent, what the answers mean, and how an attempt is asked for.

use crate::{AMOUNT, ID, attempt, card, header, shop};
use gateway::Adapter;
use gateway::{
    Advice, Agreement, Answer, Asked, CaptureTime, Following, Heard, HttpRequest, Initiator, Keep, KeyError, Kind,
    Method, Mode, Operation, Original, Plan, Reason, Request, Sent, SentBetween, Step, Stripe, Terms, WebhookError,
};
use wire::{Address, AttemptId, Check, DeclineClass};

mod older;

pub(crate) fn stripe() -> Stripe {
    Stripe::new("sk_test_x".to_owned(), Some("whsec_test".to_owned()), Mode::Test).ok().unwrap()
}

fn body(request: &HttpRequest) -> String {
    request.body.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn response(status: u16, body: &str) -> Sent {
    Sent::Response { status, body: body.as_bytes().to_vec() }
}

fn done(step: Step) -> Answer {
    match step {
        Step::Done(answer) => answer,
        Step::Next(request) => panic!("asks for {}", request.path),
    }
}

fn next(step: Step) -> HttpRequest {
    match step {
        Step::Done(answer) => panic!("ends with {answer:?}"),
        Step::Next(request) => request,
    }
}

fn authorize(terms: Terms<'_>, visit: impl FnOnce(&Request<'_>)) {
    let (card, merchant) = (card("4242424242424242", "1230", Some("123")), shop());
    visit(&Request::Authorize { attempt: attempt(), amount: AMOUNT, card: &card, merchant: &merchant, terms });
}

fn direct(kind: Kind) -> Operation {
    Operation::direct(kind, attempt(), Some(AMOUNT))
}

/// A PaymentIntent as Stripe answers it, with more of its fields.
fn intent(status: &str, more: &str) -> String {
    format!(
        r#"{{"id":"pi_7","object":"payment_intent","amount":4200,"currency":"gbp","status":"{status}",
        "metadata":{{"tonewall_attempt":"{ID}","tonewall_merchant":"shop"}},"customer":null,"payment_method":"pm_7"{more}}}"#
    )
    // The law's mutations look for the currency as we write it.
    .replace("\"gbp\"", "\"GBP\"")
}

const CHARGED: &str = r#","amount_received":4200,"latest_charge":{"id":"ch_7","payment_method_details":{"card":{
    "authorization_code":"A1B2C3","network_transaction_id":"976910110049114",
    "checks":{"address_line1_check":"pass","address_postal_code_check":"fail","cvc_check":"unchecked"}}}}"#;

pub(crate) fn answers() -> Vec<(u16, String)> {
    let error = |status, kind: &str, more: &str| (status, format!(r#"{{"error":{{"type":"{kind}"{more}}}}}"#));
    vec![
        (200, intent("succeeded", CHARGED)),
        (200, intent("requires_capture", r#","amount_capturable":4200"#)),
        (200, intent("processing", "")),
        (200, intent("requires_action", "")),
        (200, intent("requires_payment_method", r#","last_payment_error":{"decline_code":"lost_card"}"#)),
        (200, intent("canceled", "")),
        (
            200,
            format!(
                r#"{{"object":"list","has_more":false,"data":[{{"id":"pi_7","metadata":{{"tonewall_attempt":"{ID}"}}}}]}}"#
            ),
        ),
        (200, r#"{"object":"list","has_more":false,"data":[]}"#.to_owned()),
        (200, r#"{"object":"search_result","has_more":false,"data":[]}"#.to_owned()),
        (
            200,
            format!(
                r#"{{"id":"re_7","object":"refund","amount":4200,"currency":"GBP","status":"succeeded","metadata":{{"tonewall_attempt":"{ID}"}}}}"#
            ),
        ),
        (
            200,
            format!(
                r#"{{"id":"seti_7","object":"setup_intent","status":"succeeded","customer":"cus_7","payment_method":"pm_7","metadata":{{"tonewall_attempt":"{ID}"}}}}"#
            ),
        ),
        (200, r#"{"id":"pm_7","object":"payment_method","customer":null}"#.to_owned()),
        error(402, "card_error", r#","code":"card_declined","decline_code":"insufficient_funds""#),
        error(
            402,
            "card_error",
            &format!(r#","code":"incorrect_cvc","payment_intent":{{"metadata":{{"tonewall_attempt":"{ID}"}}}}"#),
        ),
        error(400, "invalid_request_error", r#","code":"parameter_missing""#),
        error(400, "idempotency_error", ""),
        error(404, "invalid_request_error", r#","code":"resource_missing""#),
        error(401, "invalid_request_error", ""),
        error(429, "invalid_request_error", r#","code":"rate_limit""#),
        error(429, "invalid_request_error", r#","code":"lock_timeout""#),
        error(409, "idempotency_error", ""),
        error(500, "api_error", ""),
    ]
}

pub(crate) fn documented(status: u16, body: &[u8]) -> bool {
    let error = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default()["error"].clone();
    let (kind, code) = (error["type"].as_str(), error["code"].as_str().unwrap_or_default());
    match status {
        400 | 404 => kind == Some("invalid_request_error") && !code.starts_with("idempotency"),
        401 | 403 => error.is_object(),
        429 => error.is_object() && code != "lock_timeout",
        _ => false,
    }
}

#[test]
fn the_card_is_in_the_first_request_and_money_moves_by_the_last() {
    authorize(Terms::default(), |request| {
        let (adapter, first, mut plan) = (stripe(), stripe().build(request), stripe().plan(request));
        assert_eq!((first.method, first.path.as_str()), (Method::Post, "/v1/payment_methods"));
        assert_eq!(
            body(&first),
            "type=card&card[number]=4242424242424242&card[exp_month]=12&card[exp_year]=2030&card[cvc]=123"
        );
        assert_eq!(header(&first, "authorization"), Some("Bearer sk_test_x"));
        assert_eq!(header(&first, "stripe-version"), Some("2024-12-18.acacia"));
        assert_eq!(header(&first, "content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(header(&first, "idempotency-key"), Some(format!("{ID}-method").as_str()));
        let second = next(adapter.step(&mut plan, request.operation(), response(200, r#"{"id":"pm_7"}"#)));
        assert_eq!(second.path, "/v1/payment_intents");
        assert_eq!(header(&second, "idempotency-key"), Some(ID));
        let golden = format!(
            "amount=4200&currency=gbp&payment_method_types[0]=card&capture_method=automatic&confirm=true&\
             payment_method=pm_7&metadata[tonewall_attempt]={ID}&metadata[tonewall_merchant]=shop&\
             expand[0]=latest_charge&payment_method_options[card][moto]=true"
        );
        assert_eq!(body(&second), golden);
        assert_eq!(second.redacted(), format!("POST /v1/payment_intents\n{golden}").into_bytes());
        let Answer::Approved(approval) =
            done(adapter.step(&mut plan, request.operation(), response(200, &intent("succeeded", CHARGED))))
        else {
            panic!("not approved");
        };
        assert_eq!((approval.auth_code.as_str(), approval.gateway_ref.as_str()), ("A1B2C3", "pi_7"));
        assert_eq!((approval.amount, approval.token), (Some(AMOUNT), None));
        assert_eq!(approval.network_transaction_id.as_deref(), Some("976910110049114"));
        let checks = approval.checks;
        let found = [checks.address, checks.postcode, checks.cvv];
        assert_eq!(found, [Some(Check::Match), Some(Check::NoMatch), Some(Check::NotChecked)]);
    });
}

#[test]
fn nothing_of_the_card_is_told_of_the_requests() {
    authorize(Terms::default(), |request| {
        let told = String::from_utf8(stripe().build(request).redacted()).unwrap();
        assert_eq!(told, format!("POST /v1/payment_methods\n{ID} 4200 GBP shop"));
        assert!(!format!("{:?}", stripe().plan(request)).contains("4242"));
    });
}

#[test]
fn a_card_that_is_kept_gets_a_customer_and_money_that_is_reserved_is_not_taken() {
    let address = Address::new("10a", "SW1A 2AA").unwrap();
    let terms = Terms { capture: CaptureTime::Later, keep: Keep::Token, avs: Some(&address), ..Terms::default() };
    authorize(terms, |request| {
        let (adapter, mut plan) = (stripe(), stripe().plan(request));
        let first = body(&adapter.build(request));
        assert!(
            first.ends_with("&billing_details[address][line1]=10a&billing_details[address][postal_code]=SW1A%202AA")
        );
        let second = next(adapter.step(&mut plan, request.operation(), response(200, r#"{"id":"pm_7"}"#)));
        assert_eq!(second.path, "/v1/customers");
        let third = next(adapter.step(&mut plan, request.operation(), response(200, r#"{"id":"cus_7"}"#)));
        let form = body(&third);
        for part in ["capture_method=manual", "payment_method=pm_7", "customer=cus_7", "setup_future_usage=off_session"]
        {
            assert!(form.split('&').any(|found| found == part), "{part}: {form}");
        }
        let kept = intent("requires_capture", r#","amount_capturable":4200,"setup_future_usage":"off_session""#)
            .replace(r#""customer":null"#, r#""customer":"cus_7""#);
        let Answer::Approved(approval) = done(adapter.step(&mut plan, request.operation(), response(200, &kept)))
        else {
            panic!("not approved");
        };
        assert_eq!(approval.token.as_deref(), Some("cus_7.pm_7"));
    });
}

#[test]
fn before_the_last_request_a_lost_answer_proves_that_nothing_was_charged() {
    authorize(Terms::default(), |request| {
        for sent in
            [Sent::NotSent, Sent::Broken, response(500, "{}"), response(200, "{}"), response(200, r#"{"id":"a/b"}"#)]
        {
            let mut plan = stripe().plan(request);
            assert_eq!(done(stripe().step(&mut plan, request.operation(), sent)), Answer::Rejected);
        }
        let refused = response(402, r#"{"error":{"type":"card_error","code":"incorrect_number"}}"#);
        let answer = done(stripe().step(&mut stripe().plan(request), request.operation(), refused));
        assert!(matches!(answer, Answer::Declined { class: DeclineClass::NoSuchCard, .. }));
        let mut plan = stripe().plan(request);
        next(stripe().step(&mut plan, request.operation(), response(200, r#"{"id":"pm_7"}"#)));
        assert_eq!(done(stripe().step(&mut plan, request.operation(), Sent::Broken)), Answer::UNKNOWN);
    });
}

#[test]
fn declines_are_told_in_our_words() {
    let read = |body: &str| stripe().parse(direct(Kind::Authorize), response(402, body));
    let declined = read(
        r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds",
            "network_decline_code":"51","advice_code":"try_again_later"}}"#,
    );
    let expected = Answer::Declined {
        class: DeclineClass::InsufficientFunds,
        network_code: Some("51".to_owned()),
        advice: Some(Advice::Later),
    };
    assert_eq!(declined, expected);
    let other = AttemptId::from_random(9);
    let anothers = format!(
        r#"{{"error":{{"type":"card_error","code":"card_declined","payment_intent":{{"metadata":{{"tonewall_attempt":"{other}"}}}}}}}}"#
    );
    assert_eq!(read(&anothers), Answer::UNKNOWN);
}

/// Broke: after a change of accounts each kept card was declined as one that no bank knows, and its agreement given up.
#[test]
fn a_stored_card_that_the_account_does_not_have_was_declined_by_no_bank() {
    for status in [400, 404] {
        let body = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"customer"}}"#;
        assert_eq!(stripe().parse(direct(Kind::ChargeStored), response(status, body)), Answer::Rejected);
    }
}

#[test]
fn an_answer_about_another_charge_settles_nothing() {
    let read = |body: &str| stripe().parse(direct(Kind::Authorize), response(200, body));
    assert!(matches!(read(&intent("succeeded", "")), Answer::Approved(_)));
    for (from, to) in [("4200", "4201"), ("GBP", "EUR"), ("000000000007", "000000000008"), ("pi_7", "../7")] {
        assert_eq!(read(&intent("succeeded", "").replace(from, to)), Answer::UNKNOWN, "{to}");
    }
}

#[test]
fn changes_of_a_charge_are_sent_as_documented() {
    let merchant = shop();
    let of = Original { attempt: AttemptId::from_random(1), gateway_ref: "pi_1", approved: AMOUNT, capture_ref: None };
    let golden = |request: Request<'_>| {
        let built = stripe().build(&request);
        (built.path.clone(), body(&built))
    };
    let (attempt, amount) = (attempt(), AMOUNT);
    let capture = golden(Request::Capture { attempt, amount, merchant: &merchant, of, last: true });
    assert_eq!(capture, ("/v1/payment_intents/pi_1/capture".to_owned(), "amount_to_capture=4200".to_owned()));
    let void = golden(Request::Void { attempt, merchant: &merchant, of });
    assert_eq!(void, ("/v1/payment_intents/pi_1/cancel".to_owned(), String::new()));
    let refund = golden(Request::Refund { attempt, amount, merchant: &merchant, of });
    let form = format!("payment_intent=pi_1&amount=4200&metadata[tonewall_attempt]={ID}");
    assert_eq!(refund, ("/v1/refunds".to_owned(), form));
    let forget = golden(Request::DeleteStored { attempt, token: "cus_1.pm_1", merchant: &merchant });
    assert_eq!(forget, ("/v1/payment_methods/pm_1/detach".to_owned(), String::new()));
    let of = Original { gateway_ref: "../x", ..of };
    assert_eq!(golden(Request::Void { attempt, merchant: &merchant, of }).0, "/v1/payment_intents/-/cancel");
}

#[test]
fn a_charge_that_the_merchant_starts_is_off_session_and_no_telephone_order() {
    let merchant = shop();
    let form = |initiator| {
        let agreement =
            Some(Agreement { initiator, reason: Reason::Recurring, first: false, network_transaction_id: Some("n") });
        let terms = Terms { agreement, ..Terms::default() };
        let (attempt, amount, token) = (attempt(), AMOUNT, "cus_1.pm_1");
        body(&stripe().build(&Request::ChargeStored { attempt, amount, token, merchant: &merchant, terms }))
    };
    let merchants = form(Initiator::Merchant);
    assert!(merchants.contains("payment_method=pm_1") && merchants.contains("customer=cus_1"));
    assert!(merchants.contains("off_session=true") && !merchants.contains("[moto]"));
    assert!(form(Initiator::Customer).contains("[moto]=true") && !form(Initiator::Customer).contains("off_session"));
}

fn listed(attempts: &[AttemptId], has_more: bool, created: i64) -> String {
    let rows = attempts.iter().enumerate().map(|(index, attempt)| {
        format!(r#"{{"id":"pi_{index}","created":{created},"metadata":{{"tonewall_attempt":"{attempt}"}}}}"#)
    });
    format!(r#"{{"object":"list","has_more":{has_more},"data":[{}]}}"#, rows.collect::<Vec<_>>().join(","))
}

const SENT_MS: i64 = 1_700_000_000_000;
const LATER_MS: i64 = SENT_MS + 3_600_000;

fn following(kind: Kind, locator: Option<&str>) -> Following {
    let sent = SentBetween { first_unix_ms: SENT_MS - 60_000, last_unix_ms: SENT_MS };
    Following::new(direct(kind), shop(), locator.map(str::to_owned), sent)
}

fn ask(heard: Heard) -> HttpRequest {
    match heard {
        Heard::Ask(request) => request,
        Heard::Known(answer) => panic!("knows {answer:?}"),
        Heard::Nothing => panic!("nothing"),
    }
}

#[test]
fn an_attempt_is_found_among_the_newest_and_then_asked_for_itself() {
    let (adapter, mut following) = (stripe(), following(Kind::Authorize, None));
    let first = following.ask(SENT_MS, &adapter).unwrap();
    assert_eq!((first.method, first.path.as_str()), (Method::Get, "/v1/payment_intents?limit=100"));
    let page = listed(&[AttemptId::from_random(1), attempt()], true, 1_700_000_000);
    let second = ask(following.hear(&adapter, response(200, &page)));
    assert_eq!(second.path, "/v1/payment_intents/pi_1?expand[0]=latest_charge");
    let Heard::Known(Answer::Approved(approval)) = following.hear(&adapter, response(200, &intent("succeeded", "")))
    else {
        panic!("not found");
    };
    assert_eq!(approval.gateway_ref, "pi_7");
}

/// Nobody can take the key of a refund: the list is all that proves something.
#[test]
fn only_a_list_that_reaches_back_proves_that_there_is_none() {
    let other = [AttemptId::from_random(1)];
    let hear = |kind, now_ms, page: String| {
        let (adapter, mut following) = (stripe(), following(kind, None));
        following.ask(now_ms, &adapter);
        following.hear(&adapter, response(200, &page))
    };
    let sent_s = SENT_MS / 1_000;
    let refund = |now_ms, page| hear(Kind::Refund, now_ms, page);
    assert!(matches!(refund(LATER_MS, listed(&other, false, sent_s)), Heard::Known(Answer::Abandoned)));
    assert!(matches!(refund(LATER_MS, listed(&other, true, sent_s - 3_600)), Heard::Known(Answer::Abandoned)));
    assert!(matches!(refund(SENT_MS, listed(&other, false, sent_s)), Heard::Nothing), "it may still appear");
    let older = ask(refund(LATER_MS, listed(&other, true, sent_s)));
    let of_then = "/v1/refunds?limit=100&created[gte]=1699999340&created[lte]=1700000600";
    assert_eq!(older.path, of_then);
}

/// A clock that is wrong, or a restart that forgot that Stripe has had the charge, had it given up by its list.
#[test]
fn of_a_charge_the_key_is_asked_however_late_it_is() {
    let other = [AttemptId::from_random(1)];
    for (now_ms, created) in [(SENT_MS, SENT_MS), (LATER_MS, SENT_MS), (LATER_MS, SENT_MS - 3_600_000)] {
        let (adapter, mut following) = (stripe(), following(Kind::Authorize, None));
        following.ask(now_ms, &adapter);
        let taken = ask(following.hear(&adapter, response(200, &listed(&other, false, created / 1_000))));
        assert_eq!((taken.method, header(&taken, "idempotency-key")), (Method::Post, Some(ID)));
        let used = r#"{"error":{"type":"idempotency_error","message":"Other parameters."}}"#;
        assert!(matches!(following.hear(&adapter, response(400, used)), Heard::Nothing));
    }
}

/// Stripe may repeat a 500 to whoever takes the key for a day, and then its list decides, after ten windows.
#[test]
fn where_nothing_is_said_of_the_key_for_long_the_list_proves_it() {
    let nothing = || response(200, &listed(&[AttemptId::from_random(1)], false, SENT_MS / 1_000));
    for said_nothing in [Sent::Broken, response(500, "{}"), response(409, "{}")] {
        let (adapter, mut following) = (stripe(), following(Kind::Authorize, None));
        for now_ms in [SENT_MS + 60_000, SENT_MS + 300_000, SENT_MS + 599_999] {
            following.ask(now_ms, &adapter);
            let taken = ask(following.hear(&adapter, nothing()));
            assert_eq!(taken.method, Method::Post);
            assert!(matches!(following.hear(&adapter, said_nothing.clone()), Heard::Nothing));
        }
        following.ask(SENT_MS + 600_000, &adapter);
        assert!(matches!(following.hear(&adapter, nothing()), Heard::Known(Answer::Abandoned)));
    }
}

/// It was taken for an answer that says nothing, and the list decided by clocks.
#[test]
fn a_key_that_could_not_be_asked_for_is_asked_for_again_however_late_it_is() {
    let nothing = || response(200, &listed(&[AttemptId::from_random(1)], false, SENT_MS / 1_000));
    let (adapter, mut following) = (stripe(), following(Kind::Authorize, None));
    let too_much = response(429, r#"{"error":{"type":"invalid_request_error","code":"rate_limit"}}"#);
    for not_done in [Sent::NotSent, too_much.clone(), Sent::NotSent, too_much] {
        following.ask(SENT_MS + 100_000_000, &adapter);
        let taken = ask(following.hear(&adapter, nothing()));
        assert_eq!((taken.method, header(&taken, "idempotency-key")), (Method::Post, Some(ID)));
        assert!(matches!(following.hear(&adapter, not_done), Heard::Nothing));
    }
}

#[test]
fn on_a_busy_account_all_that_was_made_then_proves_that_there_is_none() {
    let (adapter, mut following) = (stripe(), following(Kind::Refund, None));
    following.ask(LATER_MS, &adapter);
    let other = [AttemptId::from_random(1)];
    let mut page = |has_more, created| following.hear(&adapter, response(200, &listed(&other, has_more, created)));
    assert!(ask(page(true, LATER_MS / 1_000)).path.contains("created[gte]"), "a page was made since");
    assert!(ask(page(true, SENT_MS / 1_000)).path.ends_with("&created[lte]=1700000600&starting_after=pi_0"));
    assert!(matches!(page(false, SENT_MS / 1_000), Heard::Known(Answer::Abandoned)));
}

#[test]
fn the_search_finds_what_is_far_back_and_proves_nothing() {
    let (adapter, mut following) = (stripe(), following(Kind::Authorize, None));
    let mut request = following.ask(LATER_MS, &adapter).unwrap();
    let mut pages = 0;
    while !request.path.contains("search") {
        let page = listed(&[AttemptId::from_random(1)], true, SENT_MS / 1_000);
        request = ask(following.hear(&adapter, response(200, &page)));
        pages += 1;
    }
    assert!(pages < gateway::STEPS_MAX - 2, "the search, the object and a cancellation are still to come");
    let query = format!("metadata%5B%27tonewall_attempt%27%5D%3A%27{ID}%27");
    assert_eq!(request.path, format!("/v1/payment_intents/search?limit=2&query={query}"));
    let nothing = r#"{"object":"search_result","has_more":false,"data":[]}"#;
    assert_eq!(ask(following.hear(&adapter, response(200, nothing))).method, Method::Post, "its key may");
}

#[test]
fn the_hours_that_mastercard_advises_are_told_and_an_ended_agreement_stays_ended() {
    let advised = |code: &str, more: &str| {
        let body =
            format!(r#"{{"error":{{"type":"card_error","code":"card_declined","decline_code":"{code}"{more}}}}}"#);
        let mut plan = Plan::default();
        match done(stripe().step(&mut plan, direct(Kind::Authorize), response(402, &body))) {
            Answer::Declined { advice, .. } => advice,
            other => panic!("{other:?}"),
        }
    };
    let later = r#","advice_code":"try_again_later","network_advice_code":"25""#;
    assert_eq!(advised("insufficient_funds", later), Some(Advice::After { hours: 24 }));
    assert_eq!(advised("insufficient_funds", r#","network_advice_code":"99""#), Some(Advice::Later));
    assert_eq!(advised("revocation_of_authorization", later), Some(Advice::EndAgreement));
}

/// A PaymentIntent that keeps the key of our attempt.
fn fence(status: &str) -> String {
    let created = format!(r#","created":{}"#, SENT_MS / 1_000 + 2);
    intent(status, &created).replace("tonewall_attempt", "tonewall_fence").replace("pi_7", "pi_9")
}

/// It had to wait for the window of a minute, and longer than its promise.
#[test]
fn a_charge_whose_key_is_taken_before_it_comes_is_known_not_to_have_come_at_once() {
    let (adapter, mut following) = (stripe(), following(Kind::Authorize, None));
    let nothing = || response(200, &listed(&[AttemptId::from_random(1)], false, SENT_MS / 1_000));
    following.ask(SENT_MS, &adapter);
    let taken = ask(following.hear(&adapter, nothing()));
    assert_eq!((taken.method, taken.path.as_str()), (Method::Post, "/v1/payment_intents"));
    assert_eq!(header(&taken, "idempotency-key"), Some(ID), "the key of the charge itself");
    let form = body(&taken);
    assert!(form.contains(&format!("metadata[tonewall_fence]={ID}")), "{form}");
    for word in ["confirm", "payment_method=", "off_session", "tonewall_attempt"] {
        assert!(!form.contains(word), "it could charge, or be taken for a charge: {form}");
    }
    let away = ask(following.hear(&adapter, response(200, &fence("requires_payment_method"))));
    assert_eq!(away.path, "/v1/payment_intents/pi_9/cancel");
    let again = ask(following.hear(&adapter, response(200, &fence("canceled"))));
    assert_eq!(again.path, "/v1/payment_intents?limit=100", "what was read before is read again");
    assert!(matches!(following.hear(&adapter, nothing()), Heard::Known(Answer::Abandoned)));
}

/// Each read as many pages as a busy account makes in twenty minutes, so that after an outage it took minutes.
#[test]
fn on_a_busy_account_a_key_that_was_free_is_proof_enough_after_the_newest_were_read() {
    let (adapter, mut following) = (stripe(), following(Kind::Authorize, None));
    let page = || response(200, &listed(&[AttemptId::from_random(1)], true, SENT_MS / 1_000));
    let nothing = r#"{"object":"search_result","has_more":false,"data":[]}"#;
    let (mut asked, mut request) = (1, following.ask(SENT_MS, &adapter).unwrap());
    let known = loop {
        let answer = match (request.method, request.path.as_str()) {
            (Method::Post, "/v1/payment_intents") => response(200, &fence("requires_payment_method")),
            (Method::Post, _) => response(200, &fence("canceled")),
            (_, path) if path.contains("search") => response(200, nothing),
            _ => page(),
        };
        request = match following.hear(&adapter, answer) {
            Heard::Ask(request) => request,
            Heard::Known(answer) => break answer,
            Heard::Nothing => panic!("nothing"),
        };
        asked += 1;
    };
    assert_eq!((known, asked), (Answer::Abandoned, 17));
    assert!(asked <= gateway::INQUIRY_STEPS_MAX, "in one inquiry");
}

#[test]
fn after_its_key_was_taken_a_charge_of_before_is_still_found() {
    let (adapter, mut following) = (stripe(), following(Kind::Authorize, None));
    following.ask(SENT_MS, &adapter);
    ask(following.hear(&adapter, response(200, &listed(&[], false, 0))));
    ask(following.hear(&adapter, response(200, &fence("requires_payment_method"))));
    // The answer about putting it away is lost: the next inquiry goes on from there.
    assert!(matches!(following.hear(&adapter, Sent::Broken), Heard::Nothing));
    assert_eq!(following.pause_ms(), 500);
    following.ask(SENT_MS, &adapter);
    let found = ask(following.hear(&adapter, response(200, &listed(&[attempt()], false, 0))));
    assert_eq!(found.path, "/v1/payment_intents/pi_0?expand[0]=latest_charge");
    let known = following.hear(&adapter, response(200, &intent("succeeded", CHARGED)));
    assert!(matches!(known, Heard::Known(Answer::Approved(_))));
}

/// Stripe repeats a 500 for a day, whatever it has done.
#[test]
fn that_a_key_is_taken_is_seen_in_the_list_where_the_answer_does_not_say_so() {
    let (adapter, mut following) = (stripe(), following(Kind::Authorize, None));
    following.ask(SENT_MS, &adapter);
    ask(following.hear(&adapter, response(200, &listed(&[], false, 0))));
    assert!(matches!(following.hear(&adapter, response(500, "{}")), Heard::Nothing));
    following.ask(SENT_MS, &adapter);
    let page = listed(&[attempt()], false, SENT_MS / 1_000 + 2).replace("tonewall_attempt", "tonewall_fence");
    let away = ask(following.hear(&adapter, response(200, &page)));
    assert_eq!(away.path, "/v1/payment_intents/pi_0/cancel");
    ask(following.hear(&adapter, response(200, &fence("canceled"))));
    assert!(matches!(following.hear(&adapter, response(200, &page)), Heard::Known(Answer::Abandoned)));
}

#[test]
fn a_key_that_is_not_free_proves_nothing_and_another_account_takes_none() {
    let (adapter, nothing) = (stripe(), listed(&[], false, 0));
    let refused = |code: &str| format!(r#"{{"error":{{"type":"idempotency_error","code":"{code}"}}}}"#);
    let answers = [
        response(400, &refused("idempotency_error")),
        response(409, &refused("idempotency_key_in_use")),
        response(429, &refused("rate_limit")),
        response(500, "{}"),
        // Stripe may have forgotten what was done with it.
        response(200, &fence("requires_payment_method").replace("1700000002", "1700043200")),
        // Of somebody else, or of the charge itself that is not done.
        response(200, &fence("requires_payment_method").replace(ID, &AttemptId::from_random(2).to_string())),
        response(200, &intent("requires_confirmation", "")),
        Sent::Broken,
        Sent::NotSent,
    ];
    for answer in answers {
        let mut following = following(Kind::Authorize, None);
        following.ask(SENT_MS, &adapter);
        ask(following.hear(&adapter, response(200, &nothing)));
        assert!(matches!(following.hear(&adapter, answer), Heard::Nothing));
        following.ask(SENT_MS + 59_999, &adapter);
        assert!(
            !matches!(following.hear(&adapter, response(200, &nothing)), Heard::Known(_)),
            "the window is not over"
        );
    }
    let mut elsewhere = following(Kind::Authorize, None);
    elsewhere.can_prove(false);
    for now_ms in [SENT_MS, LATER_MS] {
        elsewhere.ask(now_ms, &adapter);
        assert!(matches!(elsewhere.hear(&adapter, response(200, &nothing)), Heard::Nothing));
    }
    let mut refund = following(Kind::Refund, None);
    refund.ask(SENT_MS, &adapter);
    assert!(matches!(refund.hear(&adapter, response(200, &nothing)), Heard::Nothing), "of charges alone");
}

#[test]
fn a_card_that_is_to_be_forgotten_is_asked_for_by_its_token() {
    let (adapter, mut following) = (stripe(), following(Kind::DeleteStored, Some("cus_1.pm_2")));
    let method = |customer: &str| format!(r#"{{"id":"pm_2","object":"payment_method","customer":{customer}}}"#);
    let asked = following.ask(SENT_MS, &adapter).unwrap();
    assert_eq!((asked.method, asked.path.as_str()), (Method::Get, "/v1/payment_methods/pm_2"));
    let still = following.hear(&adapter, response(200, &method("\"cus_1\"")));
    assert!(matches!(still, Heard::Known(Answer::Abandoned)), "it is to be asked for anew");
    following.ask(SENT_MS, &adapter);
    assert!(matches!(following.hear(&adapter, response(200, &method("null"))), Heard::Known(Answer::Approved(_))));
}

/// Whatever else an account does, what was never made is known to be so.
#[test]
fn an_inquiry_goes_on_where_the_one_before_it_has_stopped() {
    let (adapter, mut following) = (stripe(), following(Kind::Authorize, None));
    let others: Vec<AttemptId> = (1_001..4_000).map(AttemptId::from_random).collect();
    let (mut next, mut asked, mut first_of_round) = (0, 0, Vec::new());
    let nothing = r#"{"object":"search_result","has_more":false,"data":[]}"#.to_owned();
    let is_known = 'rounds: loop {
        let mut request = following.ask(LATER_MS, &adapter).unwrap();
        first_of_round.push(request.path.clone());
        loop {
            asked += 1;
            assert!(asked < 100, "it never ends");
            let body = if request.method == Method::Post {
                // Taken so late that it proves nothing: the pages must.
                fence("requires_payment_method").replace("\"created\":17", "\"created\":18")
            } else if request.path.contains("search") {
                nothing.clone()
            } else {
                next += 100;
                listed(&others[next - 100..next], next < 2_000, SENT_MS / 1_000).replace("pi_99", &format!("pi_{next}"))
            };
            match following.hear(&adapter, response(200, &body)) {
                Heard::Ask(further) => request = further,
                Heard::Nothing => break,
                Heard::Known(answer) => break 'rounds answer,
            }
        }
        assert_eq!(following.pause_ms(), 500, "there is more to be read");
    };
    assert_eq!((is_known, next), (Answer::Abandoned, 2_000), "every page was read once");
    assert!(first_of_round[2].ends_with("&starting_after=pi_1400"), "{first_of_round:?}");
}

#[test]
fn a_charge_that_was_never_confirmed_is_canceled_and_then_abandoned() {
    let (adapter, mut following) = (stripe(), following(Kind::Authorize, Some("pi_7")));
    let asked = following.ask(LATER_MS, &adapter).unwrap();
    assert_eq!(asked.path, "/v1/payment_intents/pi_7?expand[0]=latest_charge");
    let cancel = ask(following.hear(&adapter, response(200, &intent("requires_confirmation", ""))));
    assert_eq!((cancel.method, cancel.path.as_str()), (Method::Post, "/v1/payment_intents/pi_7/cancel"));
    let canceled = following.hear(&adapter, response(200, &intent("canceled", "")));
    assert!(matches!(canceled, Heard::Known(Answer::Abandoned)));
    following.ask(SENT_MS, &adapter);
    let early = following.hear(&adapter, response(200, &intent("requires_confirmation", "")));
    assert!(matches!(early, Heard::Nothing), "its confirmation may be on the way");
}

#[test]
fn changes_are_asked_for_by_the_charge_that_they_change() {
    let (adapter, mut capture) = (stripe(), following(Kind::Capture, Some("pi_7")));
    capture.ask(LATER_MS, &adapter);
    let taken = intent("succeeded", r#","amount_received":4200"#);
    assert!(matches!(capture.hear(&adapter, response(200, &taken)), Heard::Known(Answer::Approved(_))));
    let reserved = intent("requires_capture", r#","amount_capturable":4200"#);
    assert!(matches!(capture.hear(&adapter, response(200, &reserved)), Heard::Known(Answer::Abandoned)));
    let mut refund = following(Kind::Refund, Some("pi_7"));
    let asked = refund.ask(LATER_MS, &adapter).unwrap();
    assert_eq!(asked.path, "/v1/refunds?limit=100&payment_intent=pi_7");
    let page = listed(&[attempt()], false, 0).replace("pi_", "re_");
    assert_eq!(ask(refund.hear(&adapter, response(200, &page))).path, "/v1/refunds/re_0");
}

#[test]
fn a_key_is_for_its_mode() {
    let new = |key: &str, mode| Stripe::new(key.to_owned(), None, mode).map(|adapter| adapter.caps().live);
    assert_eq!(new("sk_test_x", Mode::Test).ok(), Some(false));
    assert_eq!(new("rk_live_x", Mode::Live).ok(), Some(true));
    assert_eq!(new("sk_live_x", Mode::Test).err(), Some(KeyError::LiveKey));
    assert_eq!(new("sk_test_x", Mode::Live).err(), Some(KeyError::TestKey));
    assert!(matches!(new("pk_test_x", Mode::Test).err(), Some(KeyError::NotAKey { .. })));
}

#[test]
fn a_webhook_names_what_has_changed_and_never_an_outcome() {
    use aws_lc_rs::hmac;
    let body = format!(
        r#"{{"id":"evt_1","type":"payment_intent.succeeded","data":{{"object":{{"id":"pi_7","metadata":{{"tonewall_attempt":"{ID}"}}}}}}}}"#
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"whsec_test");
    let tag = hmac::sign(&key, format!("{}.{body}", SENT_MS / 1_000).as_bytes());
    let v1: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let signature = format!("t={},v1={v1}", SENT_MS / 1_000);
    let headers = [("Stripe-Signature", signature.as_str())];
    let events = stripe().verify_webhook(&headers, body.as_bytes(), SENT_MS).unwrap();
    assert_eq!((events[0].attempt, events[0].locator.as_deref()), (Some(attempt()), Some("pi_7")));
    assert_eq!(events[0].says, gateway::Says::Changed);
    let failed = body.replace("payment_intent.succeeded", "refund.failed");
    let tag = hmac::sign(&key, format!("{}.{failed}", SENT_MS / 1_000).as_bytes());
    let v1: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let signed = format!("t={},v1={v1}", SENT_MS / 1_000);
    let events = stripe().verify_webhook(&[("Stripe-Signature", &signed)], failed.as_bytes(), SENT_MS).unwrap();
    assert_eq!(events[0].says, gateway::Says::Undone { kind: Kind::Refund });
    let none = Stripe::new("sk_test_x".to_owned(), None, Mode::Test).ok().unwrap();
    assert_eq!(none.verify_webhook(&headers, body.as_bytes(), SENT_MS), Err(WebhookError::NoSecret));
    assert_eq!(stripe().verify_webhook(&[], body.as_bytes(), SENT_MS), Err(WebhookError::Signature));
}

#[test]
fn the_plan_of_an_inquiry_is_fresh_each_time() {
    let operation = Operation { asked: Asked::ByInquiry { settled: true }, ..direct(Kind::Authorize) };
    let page = listed(&[], false, 0);
    assert_eq!(done(stripe().step(&mut Plan::default(), operation, response(200, &page))), Answer::Abandoned);
}
