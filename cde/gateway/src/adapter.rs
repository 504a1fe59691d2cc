//! What every gateway implements, and what it says of itself.

use crate::answer::Answer;
use crate::http::{HttpRequest, Sent};
use crate::plan::{Plan, Step};
use crate::report::{Period, ReadPage};
use crate::request::{CaptureTime, Initiator, Keep, Kind, Operation, Request, Terms};
use crate::webhook::{GatewayEvent, Headers, WebhookError};
use wire::{Brand, Currency};

/// One gateway. Adapters keep nothing between calls.
pub trait Adapter: Send + Sync {
    /// The bytes for a request. Only for one that [`Caps::unsupported`] finds nothing against; anything else is built so
    /// that the gateway refuses it.
    fn build(&self, request: &Request<'_>) -> HttpRequest;

    /// What the answer to it means. Total: whatever a gateway sends has a meaning, by the outcome law.
    fn parse(&self, operation: Operation, sent: Sent) -> Answer;

    /// What is to follow the request, where the operation takes more than one. The card is in none of it.
    fn plan(&self, _request: &Request<'_>) -> Plan {
        Plan::default()
    }

    /// What is to be done after an answer. Whoever sends requests goes by this, up to [`STEPS_MAX`](crate::plan::STEPS_MAX)
    /// of them; `plan` is the operation's, or a fresh one for each inquiry.
    fn step(&self, _plan: &mut Plan, operation: Operation, sent: Sent) -> Step {
        Step::Done(self.parse(operation, sent))
    }

    /// Asks for a page of the movements of money of a time, from after one of them; none where the gateway has no report to
    /// ask for.
    fn report(&self, _period: Period, _after: Option<&str>) -> Option<HttpRequest> {
        None
    }

    /// What the answer to that says; none where it is no page, or not to be believed whole.
    fn read_report(&self, _sent: Sent) -> Option<ReadPage> {
        None
    }

    /// What the gateway can do.
    fn caps(&self) -> &Caps;

    /// What a webhook says, once it is proved to be the gateway's. `now_unix_ms` is the time of its arrival.
    fn verify_webhook(
        &self,
        _headers: &Headers<'_>,
        _body: &[u8],
        _now_unix_ms: i64,
    ) -> Result<Vec<GatewayEvent>, WebhookError> {
        Err(WebhookError::None)
    }
}

/// What a gateway can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The adapter's name in the cde's file.
    pub name: &'static str,
    /// How it learns that a charge is a telephone order.
    pub moto: Moto,
    /// How it keeps a repeated request from being a second charge.
    pub idempotency: Idempotency,
    /// How it can be asked what became of an attempt.
    pub inquiry: Inquiry,
    /// After this time a charge that the gateway does not know will not appear any more.
    pub settle_ms: u64,
    /// Can money be reserved, and taken later?
    pub capture_later: bool,
    /// Can less be taken than was reserved?
    pub partial_capture: bool,
    /// How often one authorization can be captured.
    pub captures_max: u32,
    /// Can an authorization be given back before it is settled?
    pub void: bool,
    /// Can taken money be given back?
    pub refund: bool,
    /// In parts?
    pub partial_refund: bool,
    /// May less be approved than was asked?
    pub partial_approval: bool,
    /// Does it pass house number and postcode on, and what the bank says of them?
    pub avs: bool,
    /// Does it pass on what the bank says of the security code?
    pub cvv: bool,
    /// Can it keep a card under a token?
    pub tokens: bool,
    /// Can it take payments that the merchant starts?
    pub mit: bool,
    /// In which currencies.
    pub currencies: Currencies,
    /// From which cards.
    pub brands: Brands,
    /// Does it move real money?
    pub live: bool,
    /// Has it been checked against software that is not ours?
    pub verified: bool,
}

/// The currencies that a gateway takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Currencies {
    /// What its account is for; the gateway refuses the others.
    Any,
    /// These codes of ISO 4217.
    Only(&'static [&'static str]),
}

impl Currencies {
    /// Is it one of them?
    pub fn contains(self, currency: Currency) -> bool {
        match self {
            Self::Any => true,
            Self::Only(codes) => codes.contains(&currency.code()),
        }
    }
}

/// The cards that a gateway takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brands {
    /// What its account is for; the gateway refuses the others.
    Any,
    /// These.
    Only(&'static [Brand]),
}

impl Brands {
    /// Is it one of them?
    pub fn contains(self, brand: Brand) -> bool {
        match self {
            Self::Any => true,
            Self::Only(brands) => brands.contains(&brand),
        }
    }
}

/// How a gateway learns that a charge is a mail or telephone order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moto {
    /// Each authorization says so.
    Flag,
    /// By an account or route that only takes such orders; the cde's file must confirm it.
    ByRoute,
    /// It handles no cards.
    NotCard,
}

/// How a gateway keeps a repeated request from being a second charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// By a key sent with the request: the same key gets the first answer again, for at least so many hours.
    Key {
        /// How long a key is remembered.
        hours: u32,
    },
    /// By a key sent with the request, but after some failures the same key is executed again: no proof of anything.
    WeakKey,
    /// Not at all.
    None,
}

/// How a gateway can be asked what became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inquiry {
    /// By our own reference.
    ByReference,
    /// By the gateway's own name only, so not where no answer gave one: then people settle it.
    ByLocator,
    /// Not at all: an unknown outcome is settled by a webhook or by people.
    None,
}

impl Inquiry {
    /// Can it be asked, knowing or not knowing the gateway's own name for the attempt?
    pub fn possible(self, locator: Option<&str>) -> bool {
        match self {
            Self::ByReference => true,
            Self::ByLocator => locator.is_some(),
            Self::None => false,
        }
    }
}

/// What a gateway cannot do, found before anything is written down or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// Not this kind of operation.
    #[error("this gateway cannot do a {}", .0.as_str())]
    Kind(Kind),
    /// Not in this currency.
    #[error("this gateway does not take this currency")]
    Currency,
    /// Not from this card.
    #[error("this gateway does not take this brand of card")]
    Brand,
    /// Not in part.
    #[error("this gateway does it whole or not at all")]
    Part,
    /// Not a payment that the merchant starts.
    #[error("this gateway takes no payments that the merchant starts")]
    Mit,
}

impl Caps {
    /// Is there something in a request that the gateway cannot do? House number and postcode are no reason: they are
    /// left out where nobody compares them.
    pub fn unsupported(&self, request: &Request<'_>) -> Option<Unsupported> {
        let kind = request.operation().kind;
        if !self.does(kind) {
            return Some(Unsupported::Kind(kind));
        }
        match *request {
            Request::Authorize { amount, card, terms, .. } => self
                .against_brand(card.pan.brand())
                .or_else(|| self.against_currency(amount.currency))
                .or_else(|| self.against_terms(terms)),
            Request::Store { card, terms, .. } => {
                self.against_brand(card.pan.brand()).or_else(|| self.against_terms(terms))
            }
            Request::ChargeStored { amount, terms, .. } => {
                self.against_currency(amount.currency).or_else(|| self.against_terms(terms))
            }
            Request::Capture { amount, of, last, .. } => {
                let whole = amount == of.approved && last;
                (!whole && !self.partial_capture).then_some(Unsupported::Part)
            }
            Request::Void { .. } | Request::Refund { .. } | Request::DeleteStored { .. } | Request::Inquire { .. } => {
                None
            }
        }
    }

    /// Can it do this kind of operation at all?
    pub fn does(&self, kind: Kind) -> bool {
        match kind {
            Kind::Authorize => true,
            Kind::Capture => self.capture_later,
            Kind::Void => self.void,
            Kind::Refund => self.refund,
            Kind::Store | Kind::ChargeStored | Kind::DeleteStored => self.tokens,
        }
    }

    fn against_currency(&self, currency: Currency) -> Option<Unsupported> {
        (!self.currencies.contains(currency)).then_some(Unsupported::Currency)
    }

    fn against_brand(&self, brand: Brand) -> Option<Unsupported> {
        (!self.brands.contains(brand)).then_some(Unsupported::Brand)
    }

    fn against_terms(&self, terms: Terms<'_>) -> Option<Unsupported> {
        let merchants = terms.agreement.is_some_and(|agreement| agreement.initiator == Initiator::Merchant);
        if terms.capture == CaptureTime::Later && !self.capture_later {
            return Some(Unsupported::Kind(Kind::Capture));
        }
        if terms.keep == Keep::Token && !self.tokens {
            return Some(Unsupported::Kind(Kind::Store));
        }
        (merchants && !self.mit).then_some(Unsupported::Mit)
    }
}

/// Why a gateway keeps the process from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// Charges would count as e-commerce, with another liability and other rules.
    #[error(
        "gateway {name}: it cannot flag a telephone order, so its account must be one for telephone orders only; \
         confirm that with moto_confirmed = true in cde.toml"
    )]
    MotoNotConfirmed {
        /// The adapter's name.
        name: &'static str,
    },
}

/// May the process start with this gateway?
pub fn check_startup(caps: &Caps, moto_confirmed: bool) -> Result<(), StartupError> {
    match caps.moto {
        Moto::Flag | Moto::NotCard => Ok(()),
        Moto::ByRoute if moto_confirmed => Ok(()),
        Moto::ByRoute => Err(StartupError::MotoNotConfirmed { name: caps.name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Agreement, Original, Reason};
    use wire::{AttemptId, MerchantId, Money};

    fn caps(moto: Moto) -> Caps {
        Caps {
            name: "test",
            moto,
            idempotency: Idempotency::None,
            inquiry: Inquiry::None,
            settle_ms: 0,
            capture_later: true,
            partial_capture: false,
            captures_max: 1,
            void: true,
            refund: false,
            partial_refund: false,
            partial_approval: false,
            avs: false,
            cvv: false,
            tokens: true,
            mit: false,
            currencies: Currencies::Only(&["GBP"]),
            brands: Brands::Any,
            live: false,
            verified: false,
        }
    }

    #[test]
    fn a_card_gateway_without_a_telephone_flag_starts_only_when_its_route_is_confirmed() {
        assert!(check_startup(&caps(Moto::ByRoute), false).is_err());
        assert_eq!(check_startup(&caps(Moto::ByRoute), true), Ok(()));
        for moto in [Moto::Flag, Moto::NotCard] {
            assert_eq!(check_startup(&caps(moto), false), Ok(()));
        }
    }

    #[test]
    fn what_a_gateway_cannot_do_is_found_before_it_is_sent() {
        let (caps, attempt) = (caps(Moto::Flag), AttemptId::from_random(1));
        let merchant: MerchantId = "shop".parse().unwrap();
        let money = |minor, currency: Currency| Money { minor, currency };
        let of = Original { attempt, gateway_ref: "ch", approved: money(100, Currency::GBP), capture_ref: None };
        let capture = |minor, last| {
            let amount = money(minor, Currency::GBP);
            caps.unsupported(&Request::Capture { attempt, amount, merchant: &merchant, of, last })
        };
        assert_eq!(capture(100, true), None);
        assert_eq!([capture(99, true), capture(100, false)], [Some(Unsupported::Part); 2]);
        let refund = Request::Refund { attempt, amount: of.approved, merchant: &merchant, of };
        assert_eq!(caps.unsupported(&refund), Some(Unsupported::Kind(Kind::Refund)));
        let charge = |currency, agreement| {
            let (amount, terms) = (money(100, currency), Terms { agreement, ..Terms::default() });
            caps.unsupported(&Request::ChargeStored { attempt, amount, token: "t", merchant: &merchant, terms })
        };
        assert_eq!([charge(Currency::GBP, None), charge(Currency::EUR, None)], [None, Some(Unsupported::Currency)]);
        let agreement = |initiator| {
            Some(Agreement { initiator, reason: Reason::Recurring, first: false, network_transaction_id: Some("n") })
        };
        assert_eq!(charge(Currency::GBP, agreement(Initiator::Customer)), None);
        assert_eq!(charge(Currency::GBP, agreement(Initiator::Merchant)), Some(Unsupported::Mit));
    }

    #[test]
    fn a_gateway_that_must_be_asked_by_its_own_name_cannot_be_asked_without() {
        assert!(Inquiry::ByReference.possible(None) && Inquiry::ByLocator.possible(Some("pi_1")));
        assert!(!Inquiry::ByLocator.possible(None) && !Inquiry::None.possible(Some("pi_1")));
    }
}
