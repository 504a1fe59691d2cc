//! What the desk sends to start a payment, and the rules it must keep.

use crate::http::agreements::terms::{Repeat, RepeatBody};
use crate::http::problem::Problem;
use crate::rights::Right;
use crate::view::schema;
use serde::Deserialize;
use utoipa::ToSchema;
use wire::{
    Address, CaptureTime, Field, MerchantId, Money, PaymentId, PaymentOrder, Reason, money::PAYMENT_MINOR_MAX,
    text_pan_like,
};

/// The longest account number, invoice or reference.
const TEXT_CHARS_MAX: usize = 64;

/// A payment to take. The card is not part of it: the caller keys that.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPaymentBody {
    #[schema(value_type = schema::Money)]
    amount: Money,
    /// The payee's own number of the customer's account; at most 64 printable characters, never a card number.
    account: Option<String>,
    /// The payee's own number of what is being paid; at most 64 printable characters, never a card number.
    invoice: Option<String>,
    /// At most 64 printable characters, never a card number.
    reference: Option<String>,
    /// Whether the money is taken at once.
    #[serde(default)]
    capture: Capture,
    /// What to keep of the card after an approval.
    #[serde(default)]
    store: Keep,
    /// What the card is kept for, as the networks want it flagged.
    #[schema(value_type = Option<schema::Purpose>)]
    purpose: Option<Reason>,
    /// The fields to ask, in this order; without it all three.
    #[schema(value_type = Option<Vec<schema::Field>>)]
    fields: Option<Vec<Field>>,
    /// House number and postcode of the cardholder, for the bank to compare.
    avs: Option<AvsBody>,
    /// May the bank approve a part of the amount?
    #[serde(default)]
    partial: bool,
    /// What several payments together are to pay, this one being the first of them; without it, its amount.
    #[schema(value_type = Option<schema::Money>)]
    due: Option<Money>,
    /// UUID of the first of several payments, this one being another of them.
    #[schema(value_type = Option<String>)]
    part_of: Option<PaymentId>,
    /// The surcharge that the caller has accepted; `GET /api/v1/surcharge` tells it. It comes on top of the amount.
    #[schema(value_type = Option<schema::Money>)]
    surcharge: Option<Money>,
    /// Further payments from the same card, after this one: an agreement with the customer. It stands when this one is paid.
    repeat: Option<RepeatBody>,
    /// Of a charge of a card on file: UUIDs of payments that this one is not, though it looks like them. After a restore from a
    /// backup the refusal `restored_repeat` names one.
    #[schema(value_type = Option<Vec<String>>)]
    besides: Option<Vec<PaymentId>>,
}

/// What banks compare of an address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AvsBody {
    /// At most 16 letters, digits, spaces, - and /.
    #[serde(default)]
    house_number: String,
    /// At most 10 of the same.
    #[serde(default)]
    postcode: String,
}

/// When the money is taken after an approval.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Capture {
    /// At once.
    #[default]
    Now,
    /// By a later request.
    Later,
}

/// What to keep of the card after an approval.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Keep {
    /// Nothing.
    #[default]
    None,
    /// The card, under a token.
    Token,
    /// The card, and no money is taken: the amount is zero.
    Only,
}

/// A payment whose rules have been checked.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) amount: Money,
    pub(crate) account: Option<String>,
    pub(crate) invoice: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) fields: Vec<Field>,
    pub(crate) capture: CaptureTime,
    pub(crate) due: Option<Money>,
    pub(crate) part_of: Option<PaymentId>,
    pub(crate) surcharge: Option<Money>,
    pub(super) avs: Option<Address>,
    pub(super) partial: bool,
    pub(super) keep: Keep,
    pub(super) purpose: Option<Reason>,
    pub(crate) repeat: Option<Repeat>,
}

impl Order {
    /// What its user must be allowed.
    pub(crate) fn rights(&self) -> Vec<Right> {
        let take = if self.capture == CaptureTime::Later { Right::Preauthorize } else { Right::Charge };
        let keep = !matches!(self.keep, Keep::None) || self.repeat.is_some();
        let takes = !matches!(self.keep, Keep::Only);
        [takes.then_some(take), keep.then_some(Right::Store)].into_iter().flatten().collect()
    }

    /// As the cde is asked for it.
    pub(crate) fn for_cde(self, payment: PaymentId, merchant: MerchantId) -> PaymentOrder {
        PaymentOrder {
            payment,
            amount: self.amount,
            merchant,
            fields: self.fields,
            store: match self.keep {
                Keep::None if self.repeat.is_none() => wire::Store::None,
                Keep::None | Keep::Token => wire::Store::Token,
                Keep::Only => wire::Store::Only,
            },
            // What is agreed on says what the card is kept for.
            purpose: self.repeat.as_ref().map(|repeat| repeat.terms.reason()).or(self.purpose),
            capture: self.capture,
            avs: self.avs,
            partial: self.partial,
        }
    }
}

impl NewPaymentBody {
    pub(crate) const EXPECTED: &'static str = "amount {minor, currency}, and if wanted account, invoice, \
                                               reference, capture (now, later), store (none, token, \
                                               only), purpose (recurring, installment, unscheduled), fields (pan, \
                                               expiry, cvv), avs {house_number, postcode}, partial (true, \
                                               false), due and surcharge {minor, currency}, part_of (UUID), \
                                               repeat {terms, contact}";

    /// Checks the rules for a charge of a card on file, which is kept already. With it come the payments that it is not.
    pub(crate) fn check_charge(self) -> Result<(Order, Vec<PaymentId>), Problem> {
        if self.repeat.is_some() || self.partial || self.avs.is_some() || self.fields.is_some() {
            let detail = "A card on file is charged as it is: leave out `repeat`, `partial`, `avs` and `fields`.";
            return Err(Problem::unprocessable("not_for_kept_card", detail));
        }
        let besides = self.besides.unwrap_or_default();
        Ok((Self { store: Keep::None, besides: None, ..self }.check()?, besides))
    }

    /// Checks the rules.
    pub(crate) fn check(self) -> Result<Order, Problem> {
        if self.besides.is_some() {
            let detail = "`besides` is said of a charge of a card on file. Leave it out.";
            return Err(Problem::unprocessable("only_for_kept_card", detail));
        }
        let takes_none = matches!(self.store, Keep::Only);
        if takes_none && (self.amount.minor != 0 || self.surcharge.is_some() || self.due.is_some()) {
            let detail = "Where a card is only kept, the amount is zero, without surcharge or due.";
            return Err(Problem::unprocessable("bad_amount", detail));
        }
        if !takes_none && !self.amount.payable() {
            return Err(Problem::unprocessable("bad_amount", "The amount must be above zero and not absurdly large."));
        }
        let capture = match self.capture {
            Capture::Now => CaptureTime::Now,
            Capture::Later => CaptureTime::Later,
        };
        let avs = self.avs.map(|avs| Address::new(&avs.house_number, &avs.postcode)).transpose();
        let avs =
            avs.map_err(|error| Problem { detail: error.to_string().into(), ..Problem::unprocessable("bad_avs", "") })?;
        let fields = self.fields.unwrap_or_else(|| vec![Field::Pan, Field::Expiry, Field::Cvv]);
        let mut once = fields.clone();
        once.sort_unstable();
        once.dedup();
        if once.len() != fields.len() || !fields.contains(&Field::Pan) {
            return Err(Problem::unprocessable("bad_fields", "Ask each field at most once, and always `pan`."));
        }
        let (account, invoice, reference) = (text(self.account)?, text(self.invoice)?, text(self.reference)?);
        let (amount, partial, keep, purpose) = (self.amount, self.partial, self.store, self.purpose);
        let (due, part_of, surcharge) = (self.due, self.part_of, self.surcharge);
        let sound = |money: Money, least| {
            money.currency == amount.currency && (least..=PAYMENT_MINOR_MAX).contains(&money.minor)
        };
        if due.is_some_and(|due| !sound(due, amount.minor)) || (due.is_some() && part_of.is_some()) {
            let detail = "`due` is at least the amount, in its currency, and only the first part has it.";
            return Err(Problem::unprocessable("bad_due", detail));
        }
        if surcharge.is_some_and(|surcharge| !sound(surcharge, 0)) {
            return Err(Problem::unprocessable("bad_surcharge", "The surcharge is in the amount's currency."));
        }
        let repeat = self.repeat.map(|repeat| repeat.check(amount)).transpose()?;
        Ok(Order {
            repeat,
            amount,
            account,
            invoice,
            reference,
            fields,
            capture,
            due,
            part_of,
            surcharge,
            avs,
            partial,
            keep,
            purpose,
        })
    }
}

/// Empty text is no text. Digits of other scripts are none of an account.
pub(crate) fn text(text: Option<String>) -> Result<Option<String>, Problem> {
    let Some(text) = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) else { return Ok(None) };
    let allowed = |c: char| !c.is_control() && (c.is_ascii() || !c.is_numeric());
    if text.chars().count() > TEXT_CHARS_MAX || !text.chars().all(allowed) {
        let detail = "Account, invoice and reference are at most 64 printable characters, with the digits 0 to 9.";
        return Err(Problem::unprocessable("bad_text", detail));
    }
    if text_pan_like(&text) { Err(Problem::LOOKS_LIKE_CARD) } else { Ok(Some(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(extra: &str) -> Result<Order, String> {
        let body = format!(r#"{{"amount":{{"minor":4200,"currency":"GBP"}}{extra}}}"#);
        let body: NewPaymentBody = serde_json::from_str(&body).map_err(|_| "json".to_owned())?;
        body.check().map_err(|problem| problem.code.into_owned())
    }

    #[test]
    fn a_card_number_is_refused_however_it_is_dressed() {
        for text in ["4242424242424242", "4242 4242-4242.4242", "4242/4242/4242/4242", "x4242__4242__4242__4242"] {
            for member in ["account", "invoice", "reference"] {
                let code = check(&format!(r#","{member}":"{text}""#)).unwrap_err();
                assert_eq!(code, "looks_like_card", "{text}");
            }
        }
        assert_eq!(check(r#","account":"٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢""#).unwrap_err(), "bad_text");
    }

    #[test]
    fn an_order_needs_the_rights_for_what_it_does() {
        assert_eq!(check("").unwrap().rights(), [Right::Charge]);
        let more = check(r#","capture":"later","store":"token","avs":{"postcode":"N1 1AA"},"partial":true"#).unwrap();
        assert_eq!(more.rights(), [Right::Preauthorize, Right::Store]);
        let order = more.for_cde(PaymentId::from_random(1), "main".parse().unwrap());
        assert_eq!((order.capture, order.store, order.partial), (CaptureTime::Later, wire::Store::Token, true));
        assert_eq!(order.avs.unwrap().postcode(), "N1 1AA");
    }

    #[test]
    fn orders_are_checked() {
        let order = check(r#","account":" INV-88120 ","reference":"""#).unwrap();
        assert_eq!((order.account.as_deref(), order.reference), (Some("INV-88120"), None));
        assert_eq!(order.fields, [Field::Pan, Field::Expiry, Field::Cvv]);
        let order = check(r#","invoice":"2026-0117","avs":null"#).unwrap();
        assert_eq!((order.invoice.as_deref(), order.account), (Some("2026-0117"), None));
        assert_eq!(check(r#","fields":["cvv","pan"]"#).unwrap().fields, [Field::Cvv, Field::Pan]);
        for (extra, code) in [
            (r#","fields":["pan","pan"]"#, "bad_fields"),
            (r#","fields":["cvv"]"#, "bad_fields"),
            (r#","capture":"tomorrow""#, "json"),
            (r#","store":"mandate""#, "json"),
            (r#","avs":{"postcode":"4242424242424242"}"#, "bad_avs"),
            (r#","avs":{"house_number":"42424242","postcode":"42424242"}"#, "bad_avs"),
            (r#","avs":{}"#, "bad_avs"),
            (r#","due":{"minor":4199,"currency":"GBP"}"#, "bad_due"),
            (r#","due":{"minor":5000,"currency":"EUR"}"#, "bad_due"),
            (r#","surcharge":{"minor":-1,"currency":"GBP"}"#, "bad_surcharge"),
            (r#","part_of":"4242424242424242""#, "json"),
            (r#","avs":false"#, "json"),
            (
                r#","repeat":{"terms":{"start":"2027-01-31","unit":"months","every":0,"amount":{"minor":1,"currency":"GBP"}}}"#,
                "bad_terms",
            ),
            (
                r#","repeat":{"terms":{"start":"2027-01-31","unit":"months","every":1,"amount":{"minor":1,"currency":"EUR"}}}"#,
                "bad_terms",
            ),
            (r#","besides":[]"#, "only_for_kept_card"),
            (r#","pan":"1""#, "json"),
            (&format!(r#","account":"{}""#, "x".repeat(65)), "bad_text"),
        ] {
            assert_eq!(check(extra).unwrap_err(), code, "{extra}");
        }
    }
}
