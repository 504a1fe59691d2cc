//! What a call asks for that a contact centre sends to us to be paid alone: an amount and the like, in User-to-User (RFC 7433) or
//! headers of our own; and in what words the contact centre is told what became of it.
//!
//! A contact centre says what it wants as `name=value` pairs joined by `&`, in hexadecimal, in one User-to-User, or each as a
//! header `X-Tonewall-Name`. The answer comes back in both.

pub(crate) mod codes;

use crate::config::fits;
use crate::ladder::percent_decoded;
use crate::rewrite::hex_decoded;
use sip::IncomingInvite;
use std::collections::BTreeMap;
use std::fmt::Write;
use wire::{
    BounceRefusal, BounceResult, BouncedOrder, Currency, DeclineClass, Extension, Field, MerchantId, Money, Outcome,
    PaymentId,
};
use wire::{Progress, Reference};

/// How a route takes calls that are paid alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// Whose money it is.
    pub merchant: MerchantId,
    /// The one currency that may be asked for, and is where none is named.
    pub currency: Currency,
    /// The most that one call may ask for, minor units.
    pub minor_max: i64,
    /// What the caller keys, in this order.
    pub fields: Vec<Field>,
    /// To which extensions of the trunk a call may ask to go back, beside the route's own; an `x` is any digit.
    pub returns: Vec<String>,
    /// The keys of these callers pass through a PBX before they come to us.
    pub keys_cross_pbx: bool,
    /// Only orders that were made by the API are taken, and what a call itself says is to be paid is not.
    pub only_ordered: bool,
}

/// What a call says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// All of it.
    Asked(Asked),
    /// The code of an order that was made ahead of it.
    Code(String),
    /// Words of an order, but not how much.
    NoAmount,
    /// Nothing of an order.
    Nothing,
}

/// What a call asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Of an order that was made ahead of the call, the payment that it is to be.
    pub(crate) payment: Option<PaymentId>,
    pub(crate) amount: Money,
    pub(crate) reference: Option<Reference>,
    /// Where it is to go back to, if not where the route says.
    pub(crate) back: Option<Extension>,
}

/// What our own headers begin with.
const PREFIX: &str = "x-tonewall-";
const USER_TO_USER: &str = "User-to-User";
/// What may be asked for.
const NAMES: [&str; 5] = ["amount", "currency", "reference", "return", CODE];
/// The name of a code that stands for all of them.
const CODE: &str = "order-code";
/// What nobody but us says. Where one of them stands it is what a caller was sent back with, and no order, though an amount stands there too.
const ANSWERS: [&str; 4] = ["result", "payment", "auth-code", "last4"];
/// What an answer has beside those, and what an order is made of.
const ANSWERS_TOO: [&str; 2] = ["reason", "brand"];
/// The longest User-to-User that is read.
const VALUE_BYTES_MAX: usize = 512;

/// Whether a header is one that is said between a contact centre and us: it is never passed on.
pub(crate) fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(PREFIX))
}

/// Whether a User-to-User says what only we say, or asks for a payment: it is passed on for nobody, or a caller could say "approved".
pub(crate) fn is_ours_in_users((name, value): &(String, Vec<u8>)) -> bool {
    let is_ours = |name: &str| ANSWERS.contains(&name) || name == "amount" || name == CODE;
    name.eq_ignore_ascii_case(USER_TO_USER)
        && (has_our_purpose(value) || names_of(value).iter().any(|name| is_ours(name)))
}

/// Whether a User-to-User has any word of ours, even one that others may have for something else: none such stands beside our answer.
pub(crate) fn is_confusing(header: &(String, Vec<u8>)) -> bool {
    let is_word = |name: &str| NAMES.contains(&name) || ANSWERS_TOO.contains(&name);
    let (name, value) = header;
    is_ours_in_users(header)
        || name.eq_ignore_ascii_case(USER_TO_USER) && names_of(value).iter().any(|name| is_word(name))
}

fn is_order((name, value): &(String, Vec<u8>)) -> bool {
    name.eq_ignore_ascii_case(USER_TO_USER) && pairs_of(value).iter().any(|(name, _)| name == "amount" || name == CODE)
}

/// Whether a header is of those that a caller was sent back with.
fn is_answer(header: &(String, Vec<u8>)) -> bool {
    let (name, value) = header;
    if is_ours(name) {
        return ANSWERS.iter().any(|answer| own_name(name).as_deref() == Some(*answer));
    }
    let has_answer = || names_of(value).iter().any(|name| ANSWERS.contains(&name.as_str()));
    name.eq_ignore_ascii_case(USER_TO_USER) && (has_our_purpose(value) || has_answer())
}

/// What a header of ours names.
fn own_name(header: &str) -> Option<String> {
    header.get(PREFIX.len()..).map(|name| name.trim().to_ascii_lowercase())
}

impl Bounce {
    /// What an INVITE asks for, if the route allows it, or the code that it names.
    pub(crate) fn said(&self, invite: &IncomingInvite) -> Result<Said, BounceRefusal> {
        if invite.headers.iter().any(is_answer) {
            return Err(BounceRefusal::Malformed);
        }
        let said = said_in(&invite.headers)?;
        let one = |name: &str| said.get(name).map(String::as_str);
        if let Some(code) = one(CODE) {
            // An order has one author: beside its code nothing is said of it.
            let is_alone = said.len() == 1;
            return if is_alone { Ok(Said::Code(code.to_owned())) } else { Err(BounceRefusal::Malformed) };
        }
        let Some(minor) = one("amount") else {
            return Ok(if said.is_empty() { Said::Nothing } else { Said::NoAmount });
        };
        if self.only_ordered {
            return Err(BounceRefusal::NotOrdered);
        }
        let is_number = minor.bytes().all(|byte| byte.is_ascii_digit());
        let minor: i64 = minor.parse().ok().filter(|_| is_number).ok_or(BounceRefusal::Malformed)?;
        let currency = one("currency").map_or(Ok(self.currency), str::parse).map_err(|_| BounceRefusal::BadCurrency)?;
        if currency != self.currency {
            return Err(BounceRefusal::BadCurrency);
        }
        let amount = Money { minor, currency };
        if !amount.payable() || minor > self.minor_max {
            return Err(BounceRefusal::BadAmount);
        }
        let reference = one("reference").map(str::parse).transpose().map_err(|_| BounceRefusal::Malformed)?;
        let back = one("return").map(str::parse::<Extension>).transpose().map_err(|_| BounceRefusal::BadReturn)?;
        if back.as_ref().is_some_and(|back| !self.returns_to(back)) {
            return Err(BounceRefusal::BadReturn);
        }
        Ok(Said::Asked(Asked { payment: None, amount, reference, back }))
    }

    fn returns_to(&self, back: &Extension) -> bool {
        self.returns.iter().any(|pattern| fits(pattern, back.as_str()))
    }

    /// Whether a call of this route may be for such an order.
    pub(crate) fn takes(&self, order: &BouncedOrder) -> bool {
        let is_ours = order.merchant == self.merchant && order.amount.currency == self.currency;
        let is_little = order.amount.payable() && order.amount.minor <= self.minor_max;
        is_ours && is_little && order.back.as_ref().is_none_or(|back| self.returns_to(back))
    }
}

/// Each name once; said twice it would be two things. An order has one author: where a header of ours has a word of it, no
/// User-to-User is read, which may have come from farther away; and of those there is one.
fn said_in(headers: &[(String, Vec<u8>)]) -> Result<BTreeMap<String, String>, BounceRefusal> {
    let mut said = BTreeMap::new();
    let is_word = |(name, _): &(String, String)| NAMES.contains(&name.as_str());
    let of_ours = headers
        .iter()
        .filter(|(name, _)| is_ours(name))
        .filter_map(|(name, value)| Some((own_name(name)?, String::from_utf8_lossy(value).trim().to_owned())));
    let mut words: Vec<_> = of_ours.filter(is_word).collect();
    if words.is_empty() {
        let mut orders = headers.iter().filter(|header| is_order(header));
        words.extend(orders.next().into_iter().flat_map(|(_, value)| pairs_of(value)).filter(is_word));
        if orders.next().is_some() {
            return Err(BounceRefusal::Malformed);
        }
    }
    for (name, value) in words {
        let before = said.insert(name, value.clone());
        if before.is_some_and(|before| before != value) {
            return Err(BounceRefusal::Malformed);
        }
    }
    Ok(said)
}

/// The pairs of a User-to-User in hexadecimal, which is the only encoding that RFC 7433 has; none if it is anything else.
fn pairs_of(value: &[u8]) -> Vec<(String, String)> {
    let Some(value) = std::str::from_utf8(value).ok().filter(|value| value.len() <= VALUE_BYTES_MAX) else {
        return Vec::new();
    };
    let content = value.split(';').next().unwrap_or_default().trim().trim_matches('"');
    if content.is_empty() || content.len() % 2 == 1 || !content.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Vec::new();
    }
    let text = hex_decoded(content);
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.split('&').filter_map(pair).collect()
}

/// The names of all pairs that a reader may find in a User-to-User: of several behind commas, in hexadecimal or as they stand, and
/// whatever stands before a name, as the protocol discriminator of an older one does.
fn names_of(value: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(value).into_owned();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let runs = text.split(|c: char| !c.is_ascii_hexdigit());
    let decoded = runs.flat_map(|run| [0, 1].into_iter().filter_map(|from| run.get(from..))).map(hex_decoded);
    let texts: Vec<String> = decoded.chain([percent_decoded(&text), text.clone()]).collect();
    let names = texts.iter().flat_map(|text| text.match_indices('=').filter_map(|(at, _)| text.get(..at)));
    let last = |before: &str| before.trim_end().rsplit(|c| !is_name(c)).next().map(str::to_ascii_lowercase);
    names.filter_map(last).collect()
}

/// As ours are marked (RFC 7433 §4.1).
fn has_our_purpose(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    text.split([';', ','])
        .filter_map(|part| part.split_once('='))
        .any(|(name, value)| name.trim() == "purpose" && value.trim().trim_matches('"') == "tonewall")
}

/// What became of it, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) result: BounceResult,
    pub(crate) reason: Option<&'static str>,
}

impl Verdict {
    pub(crate) fn canceled(reason: &'static str) -> Self {
        Self { result: BounceResult::Canceled, reason: Some(reason) }
    }

    pub(crate) fn of(outcome: &Outcome) -> Self {
        let (result, reason) = match outcome {
            Outcome::Approved { .. } => (BounceResult::Approved, None),
            Outcome::Declined { class, .. } => (BounceResult::Declined, Some(class_word(*class))),
            Outcome::Unknown => (BounceResult::Unknown, None),
            Outcome::Rejected | Outcome::Abandoned => (BounceResult::Canceled, Some("not_sent")),
        };
        Self { result, reason }
    }
}

/// The word that records and the API have for it.
fn class_word(class: DeclineClass) -> &'static str {
    match class {
        DeclineClass::InsufficientFunds => "insufficient_funds",
        DeclineClass::DoNotHonor => "do_not_honor",
        DeclineClass::ExpiredCard => "expired_card",
        DeclineClass::WrongCvv => "wrong_cvv",
        DeclineClass::WrongAddress => "wrong_address",
        DeclineClass::NotAllowed => "not_allowed",
        DeclineClass::LostOrStolen => "lost_or_stolen",
        DeclineClass::NoSuchCard => "no_such_card",
        DeclineClass::AuthenticationRequired => "authentication_required",
        DeclineClass::BankDown => "bank_down",
        DeclineClass::Other => "other",
    }
}

impl From<BouncedOrder> for Asked {
    fn from(order: BouncedOrder) -> Self {
        let BouncedOrder { payment, amount, reference, back, .. } = order;
        Self { payment: Some(payment), amount, reference: Some(reference), back }
    }
}

/// With what a call is refused, and in which words.
pub(crate) fn refusal(why: BounceRefusal) -> (u16, &'static str) {
    match why {
        BounceRefusal::NoAmount => (400, "No Amount And No Order"),
        BounceRefusal::Malformed => (400, "Order Not Readable"),
        BounceRefusal::BadAmount => (403, "Amount Not Allowed"),
        BounceRefusal::BadCurrency => (403, "Currency Not Allowed"),
        BounceRefusal::InternalCaller => (403, "An Agent Cannot Pay"),
        BounceRefusal::BadReturn => (403, "Return Not Allowed"),
        BounceRefusal::Duplicate => (403, "Same Order Is Paid Or May Be"),
        BounceRefusal::NotOrdered => (403, "Order By The API Only"),
        BounceRefusal::UnknownCode => (404, "Order Code Unknown"),
        // What was there and is not any more (RFC 3261 §21.4.9).
        BounceRefusal::CodeUsed => (410, "Order Code Used"),
        BounceRefusal::CodeExpired => (410, "Order Code Expired"),
        BounceRefusal::CodeReplaced => (410, "Order Code Replaced"),
        BounceRefusal::Locked => (403, "Too Many Wrong Order Codes"),
    }
}

/// Which payment it was, how much was asked for, and what the contact centre calls it.
pub(crate) type Ordered<'a> = (PaymentId, Money, Option<&'a Reference>);

/// The headers that a caller goes back with: no more of a card than the desk shows. There is no progress where nothing could be started.
pub(crate) fn headers(
    verdict: Verdict,
    (payment, asked, reference): Ordered<'_>,
    progress: Option<&Progress>,
) -> Vec<(String, Vec<u8>)> {
    let mut said = vec![("Result", verdict.result.as_str().to_owned()), ("Payment", payment.to_string())];
    said.extend(verdict.reason.map(|reason| ("Reason", reason.to_owned())));
    let mut amount = asked;
    if let Some(Outcome::Approved { auth_code, amount: approved, .. }) =
        progress.and_then(|progress| progress.outcome.as_ref())
    {
        amount = *approved;
        let code: String = auth_code.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
        said.push(("Auth-Code", code));
    }
    said.extend([("Amount", amount.minor.to_string()), ("Currency", amount.currency.code().to_owned())]);
    let (brand, last4) = (progress.and_then(|progress| progress.brand), progress.and_then(|progress| progress.last4));
    said.extend(brand.map(|brand| ("Brand", format!("{brand:?}").to_ascii_lowercase())));
    said.extend(last4.map(|last4| ("Last4", last4.to_string())));
    said.extend(reference.map(|reference| ("Reference", reference.to_string())));
    said.retain(|(_, value)| !value.is_empty());
    let pairs: Vec<String> =
        said.iter().map(|(name, value)| format!("{}={value}", name.to_ascii_lowercase())).collect();
    let mut hex = String::new();
    for byte in pairs.join("&").bytes() {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    let own = said.into_iter().map(|(name, value)| (format!("X-Tonewall-{name}"), value.into_bytes()));
    own.chain([(USER_TO_USER.to_owned(), format!("{hex};encoding=hex;purpose=tonewall").into_bytes())]).collect()
}
