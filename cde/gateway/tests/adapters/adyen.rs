//! Adyen: goldens of what is sent, what the answers mean, and whose webhooks are believed.

use crate::{AMOUNT, ID, attempt, card, header, shop};
use gateway::{
    Adapter, Advice, Adyen, Agreement, Answer, CaptureTime, HttpRequest, Initiator, Keep, KeyError, Kind, Method, Mode,
    Operation, Original, Reason, Request, Says, Sent, Terms, WebhookError,
};
use wire::{Address, AttemptId, Check, DeclineClass};

/// The key of the examples in Adyen's documentation.
const WEBHOOK_KEY: &str = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";

pub(crate) fn adyen() -> Adyen {
    let key = "AQEtest-0123456789".to_owned();
    Adyen::new(key, "Shop".to_owned(), Some(WEBHOOK_KEY.to_owned()), Mode::Test).ok().unwrap()
}

fn body(request: &HttpRequest) -> String {
    request.body.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn authorize(terms: Terms<'_>) -> String {
    let (card, merchant) = (card("378282246310005", "0127", Some("1234")), shop());
    let request = Request::Authorize { attempt: attempt(), amount: AMOUNT, card: &card, merchant: &merchant, terms };
    let built = adyen().build(&request);
    assert_eq!((built.method, built.path.as_str()), (Method::Post, "/payments"));
    assert_eq!(
        (header(&built, "x-api-key"), header(&built, "idempotency-key")),
        (Some("AQEtest-0123456789"), Some(ID))
    );
    assert_eq!(String::from_utf8(built.redacted()).unwrap(), format!("POST /payments\n{ID} 4200 GBP shop"));
    body(&built)
}

fn direct(kind: Kind) -> Operation {
    Operation::direct(kind, attempt(), Some(AMOUNT))
}

fn read(kind: Kind, status: u16, body: &str) -> Answer {
    adyen().parse(direct(kind), Sent::Response { status, body: body.as_bytes().to_vec() })
}

fn payment(result: &str, more: &str) -> String {
    format!(
        r#"{{"pspReference":"993617895204576J","resultCode":"{result}","merchantReference":"{ID}","amount":{{"value":4200,"currency":"GBP"}}{more}}}"#
    )
}

const CHECKED: &str = r#","additionalData":{"authCode":"044925","avsResult":"6 Postal code matches","cvcResult":"1 Matches","networkTxReference":"976910110049114","expiryDate":"3/2030"}"#;

pub(crate) fn answers() -> Vec<(u16, String)> {
    let error = |status: u16, kind: &str, code: &str| {
        (status, format!(r#"{{"status":{status},"errorCode":"{code}","errorType":"{kind}","message":"x"}}"#))
    };
    let received = format!(
        r#"{{"merchantAccount":"Shop","paymentPspReference":"A","pspReference":"B","reference":"{ID}","status":"received","amount":{{"value":4200,"currency":"GBP"}}}}"#
    );
    let mut all: Vec<_> = [
        "Authorised",
        "PartiallyAuthorised",
        "Refused",
        "Error",
        "Cancelled",
        "Pending",
        "Received",
        "RedirectShopper",
        "ChallengeShopper",
        "New",
    ]
    .into_iter()
    .map(|result| (200, payment(result, r#","refusalReasonCode":"24""#)))
    .collect();
    all.extend([
        (200, payment("Authorised", CHECKED)),
        (201, received),
        (204, String::new()),
        error(422, "validation", "14_030"),
        error(422, "validation", "704"),
        error(401, "security", "000"),
        error(403, "security", "010"),
        error(500, "internal", "905"),
        error(409, "internal", "704"),
    ]);
    all
}

pub(crate) fn documented(status: u16, body: &[u8]) -> bool {
    let error = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
    let kind = error["errorType"].as_str().unwrap_or_default();
    let is_refused = match status {
        400 | 422 => matches!(kind, "validation" | "configuration"),
        401 | 403 => kind == "security",
        _ => false,
    };
    is_refused && error["errorCode"] != "704"
}

#[test]
fn a_charge_is_sent_as_documented_flagged_and_with_its_key() {
    let golden = format!(
        r#"{{"merchantAccount":"Shop","reference":"{ID}","amount":{{"value":4200,"currency":"GBP"}},"returnUrl":"https://tonewall.invalid/","paymentMethod":{{"type":"scheme","number":"378282246310005","expiryMonth":"01","expiryYear":"2027","cvc":"1234"}},"shopperInteraction":"Moto","captureDelayHours":0}}"#
    );
    assert_eq!(authorize(Terms::default()), golden);
}

#[test]
fn what_is_asked_for_beside_the_money_is_asked_in_adyens_words() {
    let address = Address::new("", "SW1A 2AA").unwrap();
    let agreement = Some(Agreement {
        initiator: Initiator::Customer,
        reason: Reason::Recurring,
        first: true,
        network_transaction_id: None,
    });
    let terms =
        Terms { capture: CaptureTime::Later, keep: Keep::Token, avs: Some(&address), agreement, ..Terms::default() };
    let json: serde_json::Value = serde_json::from_str(&authorize(terms)).unwrap();
    assert_eq!(json["shopperInteraction"], "Moto");
    assert_eq!(json["additionalData"]["manualCapture"], "true");
    assert_eq!((&json["storePaymentMethod"], &json["shopperReference"]), (&true.into(), &ID.into()));
    assert_eq!(json["recurringProcessingModel"], "Subscription");
    let billing = r#"{"city":"NA","country":"ZZ","houseNumberOrName":"NA","postalCode":"SW1A 2AA","street":"NA"}"#;
    assert_eq!(json["billingAddress"], serde_json::from_str::<serde_json::Value>(billing).unwrap());
}

#[test]
fn a_charge_that_the_merchant_starts_is_no_telephone_order() {
    let merchant = shop();
    let json = |initiator| {
        let agreement =
            Some(Agreement { initiator, reason: Reason::Unscheduled, first: false, network_transaction_id: Some("n") });
        let terms = Terms { agreement, ..Terms::default() };
        let (attempt, amount, token) = (attempt(), AMOUNT, "shopper.TOKEN");
        let request = Request::ChargeStored { attempt, amount, token, merchant: &merchant, terms };
        serde_json::from_str::<serde_json::Value>(&body(&adyen().build(&request))).unwrap()
    };
    let merchants = json(Initiator::Merchant);
    assert_eq!(
        (&merchants["shopperInteraction"], &merchants["shopperReference"]),
        (&"ContAuth".into(), &"shopper".into())
    );
    assert_eq!(merchants["paymentMethod"]["storedPaymentMethodId"], "TOKEN");
    assert_eq!(merchants["recurringProcessingModel"], "UnscheduledCardOnFile");
    assert_eq!(json(Initiator::Customer)["shopperInteraction"], "Moto");
}

#[test]
fn changes_of_a_charge_are_sent_as_documented() {
    let merchant = shop();
    let of = Original {
        attempt: AttemptId::from_random(1),
        gateway_ref: "PSP1",
        approved: AMOUNT,
        capture_ref: Some("CAP1"),
    };
    let golden = |request: Request<'_>| {
        let built = adyen().build(&request);
        (built.method, built.path.clone(), body(&built))
    };
    let (attempt, amount, merchant) = (attempt(), AMOUNT, &merchant);
    let capture = golden(Request::Capture { attempt, amount, merchant, of, last: true });
    let text = format!(r#"{{"merchantAccount":"Shop","reference":"{ID}","amount":{{"value":4200,"currency":"GBP"}}}}"#);
    assert_eq!(capture, (Method::Post, "/payments/PSP1/captures".to_owned(), text));
    let void = golden(Request::Void { attempt, merchant, of });
    let text = format!(r#"{{"merchantAccount":"Shop","reference":"{ID}"}}"#);
    assert_eq!(void, (Method::Post, "/payments/PSP1/cancels".to_owned(), text));
    let refund = golden(Request::Refund { attempt, amount, merchant, of });
    assert!(refund.1 == "/payments/PSP1/refunds" && refund.2.ends_with(r#","capturePspReference":"CAP1"}"#));
    let forget = golden(Request::DeleteStored { attempt, token: "shopper.TOKEN", merchant });
    let path = "/storedPaymentMethods/TOKEN?merchantAccount=Shop&shopperReference=shopper".to_owned();
    assert_eq!(forget, (Method::Delete, path, String::new()));
}

#[test]
fn approvals_and_declines_are_read() {
    let Answer::Approved(approval) = read(Kind::Authorize, 200, &payment("Authorised", CHECKED)) else {
        panic!("not approved");
    };
    assert_eq!((approval.auth_code.as_str(), approval.gateway_ref.as_str()), ("044925", "993617895204576J"));
    assert_eq!((approval.amount, approval.token), (Some(AMOUNT), None));
    let found = [approval.checks.address, approval.checks.postcode, approval.checks.cvv];
    assert_eq!(found, [Some(Check::NoMatch), Some(Check::Match), Some(Check::Match)]);
    let refused = r#","refusalReasonCode":"6","additionalData":{"merchantAdviceCode":"03 : Do not try again"}"#;
    let expected = Answer::Declined {
        class: DeclineClass::ExpiredCard,
        network_code: Some("6".to_owned()),
        advice: Some(Advice::Never),
    };
    assert_eq!(read(Kind::Authorize, 200, &payment("Refused", refused)), expected);
    let pending = Answer::Pending { locator: Some("993617895204576J".to_owned()) };
    assert_eq!(read(Kind::Authorize, 200, &payment("Pending", "")), pending);
    assert_eq!(read(Kind::Authorize, 200, &payment("IdentifyShopper", "")), Answer::ActionRequired);
}

#[test]
fn a_kept_card_has_a_token_and_a_change_is_only_received() {
    let kept =
        r#","additionalData":{"tokenization.storedPaymentMethodId":"M5N7TQ","tokenization.shopperReference":"s1"}"#;
    let Answer::Approved(approval) = read(Kind::Authorize, 200, &payment("Authorised", kept)) else {
        panic!("not approved");
    };
    assert_eq!(approval.token.as_deref(), Some("s1.M5N7TQ"));
    let received = &answers().into_iter().find(|(status, _)| *status == 201).unwrap().1;
    let pending = Answer::Pending { locator: Some("B".to_owned()) };
    assert_eq!(read(Kind::Capture, 201, received), pending);
    assert_eq!(read(Kind::Capture, 201, &received.replace("4200", "4100")), Answer::UNKNOWN);
}

/// Broke: a card that was deleted at Adyen by hand was asked for without an end.
#[test]
fn a_card_that_is_not_there_is_deleted_and_cannot_be_charged() {
    let error = |code: &str| format!(r#"{{"status":422,"errorCode":"{code}","message":"x","errorType":"validation"}}"#);
    for code in ["800", "803"] {
        assert!(matches!(read(Kind::DeleteStored, 422, &error(code)), Answer::Approved(_)), "{code}");
        assert_eq!(read(Kind::ChargeStored, 422, &error(code)), Answer::Rejected, "{code}");
    }
    assert_eq!(read(Kind::DeleteStored, 422, &error("901")), Answer::Rejected);
}

#[test]
fn an_answer_about_another_charge_settles_nothing() {
    for (from, to) in [("4200", "4201"), ("GBP", "EUR"), ("000000000007", "000000000008"), ("993617895204576J", "../7")]
    {
        let answer = read(Kind::Authorize, 200, &payment("Authorised", "").replace(from, to));
        assert_eq!(answer, Answer::UNKNOWN, "{to}");
    }
}

fn webhook(event: &str, success: bool, psp: &str, original: &str, signature: &str) -> String {
    format!(
        r#"{{"live":"false","notificationItems":[{{"NotificationRequestItem":{{"additionalData":{{"authCode":"1234","hmacSignature":"{signature}"}},"amount":{{"currency":"GBP","value":4200}},"eventCode":"{event}","eventDate":"2026-11-26T05:00:00+01:00","merchantAccountCode":"Shop","merchantReference":"{ID}","originalReference":"{original}","pspReference":"{psp}","reason":"CVC Declined","success":"{success}"}}}}]}}"#
    )
}

/// Signed by Adyen's own library for Python (PyPI `Adyen` 16.0.0, `generate_notification_sig`).
const SIGNED: [(&str, bool, &str, &str, &str); 3] = [
    ("AUTHORISATION", true, "993617895204576J", "", "XmDCxBe73n40e1OkpWYJFGv2OzOiXVhnSsanc7Arvf4="),
    ("AUTHORISATION", false, "993617895204576J", "", "GulQVCNQz+CiLs9Y8+5BGclhMLIX2icxThBHpfXNq8o="),
    ("CAPTURE", true, "993617895204577J", "993617895204576J", "2ZFSbvZbvzrpzdCfWwBUPy6KyAUNmZpHPPvrKBIqsLk="),
];

#[test]
fn what_adyen_signed_settles_an_attempt() {
    let events = SIGNED.map(|(event, success, psp, original, signature)| {
        let body = webhook(event, success, psp, original, signature);
        adyen().verify_webhook(&[], body.as_bytes(), 0).unwrap().remove(0)
    });
    let [approved, declined, captured] = &events;
    let Says::Ended { kind: Kind::Authorize, answer: Answer::Approved(approval) } = &approved.says else {
        panic!("not approved");
    };
    assert_eq!((approved.attempt, approval.amount), (Some(attempt()), Some(AMOUNT)));
    assert!(matches!(
        &declined.says,
        Says::Ended { kind: Kind::Authorize, answer: Answer::Declined { class: DeclineClass::WrongCvv, .. } }
    ));
    assert_eq!((captured.attempt, captured.locator.as_deref()), (None, Some("993617_895204_577J")));
    assert!(matches!(&captured.says, Says::Ended { kind: Kind::Capture, answer: Answer::Approved(_) }));
}

#[test]
fn what_adyen_did_not_sign_is_not_believed() {
    let (event, success, psp, original, signature) = SIGNED[0];
    let body = webhook(event, success, psp, original, signature);
    for (from, to) in
        [("4200", "4201"), ("GBP", "EUR"), (ID, "x"), (signature, ""), (signature, "AAAA"), ("993617895204576J", "1")]
    {
        let changed = body.replace(from, to);
        let verdict = adyen().verify_webhook(&[], changed.as_bytes(), 0);
        assert_eq!(verdict, Err(WebhookError::Signature), "{to}");
    }
    assert_eq!(adyen().verify_webhook(&[], b"{}", 0), Err(WebhookError::Body));
    let another =
        Adyen::new("AQEtest-0123456789".to_owned(), "Other".to_owned(), Some(WEBHOOK_KEY.to_owned()), Mode::Test);
    assert_eq!(another.ok().unwrap().verify_webhook(&[], body.as_bytes(), 0), Ok(vec![]), "another account's");
}

#[test]
fn a_name_that_looks_like_a_card_number_is_written_in_pieces_and_sent_back_whole() {
    let Answer::Approved(approval) =
        read(Kind::Authorize, 200, &payment("Authorised", "").replace("993617895204576J", "4242424242424242"))
    else {
        panic!("not approved");
    };
    assert_eq!(approval.gateway_ref, "424242_424242_4242");
    let of = Original {
        attempt: AttemptId::from_random(1),
        gateway_ref: &approval.gateway_ref,
        approved: AMOUNT,
        capture_ref: None,
    };
    let void = adyen().build(&Request::Void { attempt: attempt(), merchant: &shop(), of });
    assert_eq!(void.path, "/payments/4242424242424242/cancels");
}

#[test]
fn a_key_that_is_none_is_refused() {
    let new =
        |key: &str, hmac: &str| Adyen::new(key.to_owned(), "Shop".to_owned(), Some(hmac.to_owned()), Mode::Test).err();
    assert!(matches!(new("short", WEBHOOK_KEY), Some(KeyError::NotAKey { .. })));
    assert!(matches!(new("AQEtest-0123456789", "not hex"), Some(KeyError::NotAKey { .. })));
}
