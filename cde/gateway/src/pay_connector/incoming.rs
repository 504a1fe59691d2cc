//! The pay connector inwards: Twilio, Telnyx and SignalWire charge through us with the cards that they captured.
//!
//! The body is JSON whatever its `Content-Type` says, even where there is none (twilio.com/docs/voice/twiml/pay/
//! generic-pay-connector; SignalWire: `method` is `credit-card`, and `chargeAmount` a number). A caller that has no answer
//! in ten seconds asks again, five times at most, with the same `transaction_id`: it must get the first result.

use super::amount;
use aws_lc_rs::{constant_time, digest};
use card::{Card, Cvv, Digit, Expiry, Keyed, Pan, YearMonth};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use wire::{Address, AttemptId, DeclineClass, Money, Outcome};
use zeroize::Zeroizing;

/// The longest body; those of the documentation have some 500 bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// The longest `transaction_id`.
const TRANSACTION_BYTES_MAX: usize = 128;

/// A charge that a caller wants. It cannot be printed.
pub struct Incoming {
    /// The same for the same `transaction_id` of the same caller, so that nothing is charged twice.
    pub attempt: AttemptId,
    /// How much.
    pub amount: Money,
    /// From which card.
    pub card: Card,
    /// The postcode, where one was keyed.
    pub address: Option<Address>,
}

/// Why a request is not one that we charge. Nothing was sent anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not JSON, or not these fields.
    #[error("the request is not readable as JSON of a pay connector")]
    Unreadable,
    /// A field is missing or wrong.
    #[error("{0} is missing or not usable")]
    Field(&'static str),
    /// Something that the contract has and we do not do.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// Too many cards at once.
    #[error("too busy; try again")]
    Busy,
}

impl Refused {
    /// The contract's `error_code`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Field("cardnumber") => "incorrect_number",
            Self::Field("expiry_month" | "expiry_year") => "expired_card",
            Self::Field("cvv") => "invalid_cvc",
            Self::Unreadable | Self::Field(_) => "invalid_request",
            Self::Unsupported(_) => "not_supported",
            Self::Busy => "try_again_later",
        }
    }
}

/// Borrowed from the body, which its owner wipes: of the card nothing is copied but into locked memory.
#[derive(Deserialize)]
struct Order<'a> {
    transaction_id: &'a str,
    method: Option<&'a str>,
    cardnumber: Option<&'a str>,
    cvv: Option<&'a str>,
    expiry_month: Option<&'a str>,
    expiry_year: Option<&'a str>,
    postal_code: Option<&'a str>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    #[serde(borrow, rename = "chargeAmount")]
    charge_amount: Option<&'a RawValue>,
    currency_code: Option<&'a str>,
    bankaccountnumber: Option<IgnoredAny>,
}

/// Reads a body. `caller` is the name of the caller in the cde's file, `today` decides which cards have expired.
pub fn read(caller: &str, body: &[u8], today: YearMonth) -> Result<Incoming, Refused> {
    let order: Order<'_> = serde_json::from_slice(body).map_err(|_| Refused::Unreadable)?;
    let is_sound = (1..=TRANSACTION_BYTES_MAX).contains(&order.transaction_id.len());
    if !is_sound || !order.transaction_id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refused::Field("transaction_id"));
    }
    if order.bankaccountnumber.is_some() {
        return Err(Refused::Unsupported("a bank account"));
    }
    match order.method {
        None | Some("charge" | "credit-card") => {}
        Some("tokenize") => return Err(Refused::Unsupported("tokenize")),
        Some(_) => return Err(Refused::Field("method")),
    }
    let amount = asked(&order)?;
    let address = order.postal_code.filter(|text| !text.trim().is_empty());
    let address = address.map(|text| Address::new("", text).map_err(|_| Refused::Field("postal_code"))).transpose()?;
    let attempt = attempt(caller, order.transaction_id);
    Ok(Incoming { attempt, amount, card: card(&order, today)?, address })
}

fn asked(order: &Order<'_>) -> Result<Money, Refused> {
    let written = order.amount.or(order.charge_amount).ok_or(Refused::Field("amount"))?.get();
    let text = written.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(written);
    let currency = order.currency_code.map(str::to_ascii_uppercase).and_then(|code| code.parse().ok());
    amount::minor(text, currency.ok_or(Refused::Field("currency_code"))?).ok_or(Refused::Field("amount"))
}

fn card(order: &Order<'_>, today: YearMonth) -> Result<Card, Refused> {
    let number = order.cardnumber.ok_or(Refused::Field("cardnumber"))?;
    let pan = Pan::parse(&keyed([number], "cardnumber")?).map_err(|_| Refused::Field("cardnumber"))?;
    let (month, year) = (order.expiry_month.unwrap_or_default(), order.expiry_year.unwrap_or_default());
    // Some write 2027.
    let year = if year.len() == 4 { year.get(2..).unwrap_or_default() } else { year };
    let zero = if month.len() == 1 { "0" } else { "" };
    let expiry = Expiry::parse(&keyed([zero, month, year], "expiry_month")?, today)
        .map_err(|_| Refused::Field("expiry_month"))?;
    let cvv = order.cvv.filter(|text| !text.is_empty());
    let cvv = cvv.map(|text| Cvv::parse(&keyed([text], "cvv")?, Some(pan.brand())).map_err(|_| Refused::Field("cvv")));
    Ok(Card { cvv: cvv.transpose()?, pan, expiry })
}

fn keyed<const N: usize>(parts: [&str; N], name: &'static str) -> Result<Keyed, Refused> {
    let mut keyed = Keyed::new().map_err(|_| Refused::Busy)?;
    for byte in parts.into_iter().flat_map(str::bytes) {
        let digit = byte.checked_sub(b'0').and_then(Digit::new).ok_or(Refused::Field(name))?;
        if !keyed.push(&digit) {
            return Err(Refused::Field(name));
        }
    }
    Ok(keyed)
}

/// Two callers may use one `transaction_id`.
fn attempt(caller: &str, transaction: &str) -> AttemptId {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in ["pay-connector", caller, transaction] {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    let hash = context.finish();
    let half = hash.as_ref().first_chunk::<16>().copied().unwrap_or_default();
    AttemptId::from_random(u128::from_be_bytes(half))
}

/// Who a caller must say that it is (RFC 7617). It cannot be printed.
pub struct Login(Zeroizing<String>);

impl Login {
    /// Of a name without a colon and its password.
    pub fn new(username: &str, password: &str) -> Self {
        let both = Zeroizing::new(format!("{username}:{password}"));
        Self(Zeroizing::new(crate::base64::encode(both.as_bytes())))
    }

    /// Is it this one that an `Authorization` header shows? Takes as long whatever is shown.
    pub fn is_shown_by(&self, authorization: Option<&str>) -> bool {
        let shown = authorization.and_then(|value| value.split_once(' '));
        let shown = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic")).map(|(_, shown)| shown.trim());
        let shown = shown.unwrap_or_default().as_bytes();
        constant_time::verify_slices_are_equal(shown, self.0.as_bytes()).is_ok()
    }
}

/// An answer of the contract: its status and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// JSON.
    pub body: String,
}

/// How a charge ended. `failure_status` is what a caller wants where nothing was charged: Twilio 200, SignalWire 402.
pub fn ended(attempt: AttemptId, outcome: &Outcome, failure_status: u16) -> Reply {
    let (code, words) = match outcome {
        Outcome::Approved { gateway_ref, .. } => {
            let name = if gateway_ref.is_empty() { attempt.to_string() } else { gateway_ref.clone() };
            return Reply { status: 200, body: body(Some(&name), None, None) };
        }
        Outcome::Declined { class, .. } => declined(*class),
        Outcome::Rejected | Outcome::Abandoned => ("not_processed", "Nothing was charged. It may be tried again."),
        Outcome::Unknown => {
            ("outcome_unknown", "The outcome is being confirmed. Do not take this payment again until it is known.")
        }
    };
    Reply { status: failure_status, body: body(None, Some(code), Some(words)) }
}

/// Nothing was charged: the request was not usable.
pub fn refused(reason: Refused, failure_status: u16) -> Reply {
    let status = if matches!(reason, Refused::Unreadable) { 400 } else { failure_status };
    Reply { status, body: body(None, Some(reason.code()), Some(&reason.to_string())) }
}

fn body(charge_id: Option<&str>, error_code: Option<&str>, error_message: Option<&str>) -> String {
    serde_json::json!({
        "charge_id": charge_id, "error_code": error_code, "error_message": error_message, "parameters": {},
    })
    .to_string()
}

/// Stripe's words, which most who read them know.
fn declined(class: DeclineClass) -> (&'static str, &'static str) {
    match class {
        DeclineClass::InsufficientFunds => ("insufficient_funds", "There is not enough money on the card."),
        DeclineClass::DoNotHonor => ("card_declined", "The bank declined and gave no reason."),
        DeclineClass::ExpiredCard => ("expired_card", "The card has expired."),
        DeclineClass::WrongCvv => ("incorrect_cvc", "The security code is wrong."),
        DeclineClass::WrongAddress => ("incorrect_zip", "The address does not match."),
        DeclineClass::NotAllowed => ("card_not_supported", "This card cannot be used for this."),
        DeclineClass::LostOrStolen => ("card_declined", "The bank declined. Another card may work."),
        DeclineClass::NoSuchCard => ("incorrect_number", "There is no such card."),
        DeclineClass::AuthenticationRequired => {
            ("authentication_required", "The bank wants the cardholder online. Another card may work.")
        }
        DeclineClass::BankDown => ("issuer_not_available", "The bank cannot be reached. Try again later."),
        DeclineClass::Other => ("card_declined", "The card was declined."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Currency;

    const TODAY: YearMonth = YearMonth { year: 2026, month: 11 };
    /// As Twilio documents it.
    const TWILIO: &str = r#"{"method":"charge","transaction_id":"IPe16430-39ba-4820-bedc-7aad0762a487",
        "cardnumber":"4111111111111111","cvv":"123","amount":"10.0","currency_code":"USD","expiry_month":"08",
        "expiry_year":"27","description":"Pizza \"large\"","postal_code":"94111","parameters":{"k":"v"}}"#;
    /// As SignalWire documents it.
    const SIGNALWIRE: &str = r#"{"transaction_id":"8c9d14d5","method":"credit-card","cardnumber":"378282246310005",
        "cvv":"1234","postal_code":"123456","description":"x","chargeAmount":55.5,"token_type":null,
        "currency_code":"usd","expiry_month":"8","expiry_year":"2027"}"#;

    fn read_by(caller: &str, body: &str) -> Result<Incoming, Refused> {
        read(caller, body.as_bytes(), TODAY)
    }

    fn refusal(body: &str) -> Refused {
        read_by("twilio", body).err().expect("it was taken")
    }

    #[test]
    fn what_the_callers_document_is_read_to_the_minor_unit() {
        let twilio = read_by("twilio", TWILIO).ok().unwrap();
        assert_eq!(twilio.amount, Money { minor: 1_000, currency: Currency::USD });
        assert_eq!(twilio.address.as_ref().map(Address::postcode), Some("94111"));
        let view = twilio.card.view();
        assert_eq!(
            (view.last4.to_string(), view.expiry.map(|date| (date.month, date.year))),
            ("1111".to_owned(), Some((8, 2027)))
        );
        let signalwire = read_by("signalwire", SIGNALWIRE).ok().unwrap();
        assert_eq!(signalwire.amount, Money { minor: 5_550, currency: Currency::USD });
        assert_eq!(signalwire.card.view().expiry.map(|date| (date.month, date.year)), Some((8, 2027)));
        assert!(signalwire.card.cvv.is_some());
    }

    #[test]
    fn one_transaction_of_one_caller_is_one_attempt() {
        let attempt = |caller: &str, body: &str| read_by(caller, body).ok().unwrap().attempt;
        assert_eq!(attempt("twilio", TWILIO), attempt("twilio", &TWILIO.replace("10.0", "11.0")));
        assert_ne!(attempt("twilio", TWILIO), attempt("telnyx", TWILIO));
        assert_ne!(attempt("twilio", TWILIO), attempt("twilio", &TWILIO.replace("IPe1", "IPe2")));
    }

    #[test]
    fn what_is_missing_or_wrong_is_refused_by_its_name() {
        assert_eq!(refusal("amount=10"), Refused::Unreadable);
        assert_eq!(refusal(r#"{"transaction_id":1}"#), Refused::Unreadable);
        for (from, to, name) in [
            ("IPe16430-39ba-4820-bedc-7aad0762a487", "", "transaction_id"),
            ("4111111111111111", "4111111111111112", "cardnumber"),
            ("4111111111111111", "4111 1111 1111 1111", "cardnumber"),
            ("\"10.0\"", "\"10.005\"", "amount"),
            ("\"10.0\"", "1e1", "amount"),
            ("\"10.0\"", "null", "amount"),
            ("USD", "XYZ", "currency_code"),
            ("\"27\"", "\"25\"", "expiry_month"),
            ("\"123\"", "\"1234\"", "cvv"),
            ("\"charge\"", "\"gift\"", "method"),
        ] {
            assert_eq!(refusal(&TWILIO.replace(from, to)), Refused::Field(name), "{to}");
        }
        assert_eq!(refusal(&TWILIO.replace("\"charge\"", "\"tokenize\"")), Refused::Unsupported("tokenize"));
        let bank = TWILIO.replace("\"cvv\":", "\"bankaccountnumber\":\"12345678\",\"cvv\":");
        assert_eq!(refusal(&bank), Refused::Unsupported("a bank account"));
    }

    #[test]
    fn only_the_right_name_and_password_are_let_in() {
        let login = Login::new("AC1", "secret");
        assert!(
            login.is_shown_by(Some("Basic QUMxOnNlY3JldA==")) && login.is_shown_by(Some("basic  QUMxOnNlY3JldA=="))
        );
        for wrong in [None, Some(""), Some("Basic "), Some("Bearer QUMxOnNlY3JldA=="), Some("Basic QUMxOnNlY3JldB==")] {
            assert!(!login.is_shown_by(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn answers_are_as_the_contract_says() {
        let attempt = AttemptId::from_random(1);
        let amount = Money { minor: 1_000, currency: Currency::USD };
        let approved = Outcome::Approved {
            auth_code: String::new(),
            gateway_ref: "pi_7".to_owned(),
            amount,
            checks: wire::Checks::default(),
        };
        let reply = ended(attempt, &approved, 402);
        let body = r#"{"charge_id":"pi_7","error_code":null,"error_message":null,"parameters":{}}"#;
        assert_eq!(reply, Reply { status: 200, body: body.to_owned() });
        let declined = Outcome::Declined { class: DeclineClass::WrongCvv, network_code: None };
        assert_eq!([ended(attempt, &declined, 200).status, ended(attempt, &declined, 402).status], [200, 402]);
        for outcome in [declined, Outcome::Unknown, Outcome::Rejected] {
            let json: serde_json::Value = serde_json::from_str(&ended(attempt, &outcome, 200).body).unwrap();
            assert!(json["charge_id"].is_null() && json["error_code"].is_string(), "{json}");
        }
        assert_eq!(refused(Refused::Unreadable, 200).status, 400);
        assert!(refused(Refused::Field("cvv"), 200).body.contains("invalid_cvc"));
    }
}
