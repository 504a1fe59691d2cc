//! Payment gateways without sockets: a request becomes bytes, an answer becomes an outcome.
//!
//! # Invariants
//! - The outcome law, for every adapter: what failed before the first byte of the request is `Rejected`; a broken
//!   transport, an answer that cannot be read, one that speaks of another charge, and every refusal that the gateway
//!   does not document as "not executed" are `Unknown`. Nothing is `Rejected` or `Abandoned` by a guess.
//! - An adapter either flags each authorization as a telephone order, or is confirmed to be a route for them, or
//!   handles no cards; else the process does not start ([`check_startup`]).
//! - No host and no secret but the gateway's own key is in a request; where it is sent stands in the cde's file.
//! - The body of a request is written once, into memory of the right size, and wiped when dropped.
//! - What a gateway says is cut to short printable text, never a card number, before it goes on.
//!
//! # Layout
//! - [`adapter`]: what every gateway implements, and what it says of itself.
//! - [`request`]: what may be asked. [`answer`]: what an answer means. [`webhook`]: what a gateway says unasked.
//! - [`http`]: requests and answers as plain values. [`text`]: a gateway's text before it goes on.
//! - [`decline`]: the networks' response codes.
//! - [`rules`]: what a merchant makes of address and code results.
//! - [`follow`]: how an unknown outcome is asked for until it is known. [`plan`]: operations of several requests.
//! - [`pace`]: how often a gateway is asked.
//! - [`report`]: what a gateway can be asked at the end of a day.
//! - [`routing`]: which gateway a payment goes to.
//! - `form`, `json`, `number`, `base64`, `hex`, `signature`: how bodies and headers are written and proved. [`key`]: a gateway's keys.
//! - One file an adapter, with its rooms: [`sandbox`], [`stripe`], [`adyen`], [`pay_connector`].

pub mod adapter;
pub mod adyen;
pub mod answer;
mod base64;
pub mod decline;
pub mod follow;
mod form;
mod hex;
pub mod http;
mod json;
pub mod key;
mod number;
pub mod pace;
pub mod pay_connector;
pub mod plan;
pub mod report;
pub mod request;
pub mod routing;
pub mod rules;
pub mod sandbox;
mod signature;
pub mod stripe;
pub mod text;
pub mod webhook;

pub use adapter::{
    Adapter, Brands, Caps, Currencies, Idempotency, Inquiry, Moto, StartupError, Unsupported, check_startup,
};
pub use adyen::Adyen;
pub use answer::{Advice, Answer, Approval};
pub use follow::{Following, Heard};
pub use http::{ANSWER_BYTES_MAX, Body, HttpRequest, Method, Sent, digest_input};
pub use key::{KeyError, Mode};
pub use pace::{Lane, Pace};
pub use pay_connector::PayConnector;
pub use plan::{INQUIRY_STEPS_MAX, Plan, STEPS_MAX, Step};
pub use report::{Period, ReadPage};
pub use request::{
    Agreement, Asked, CaptureTime, Initiator, Keep, Kind, Operation, Original, Reason, Request, SentBetween, Terms,
};
pub use rules::{CheckRules, Rule};
pub use sandbox::Sandbox;
pub use stripe::Stripe;
pub use webhook::{GatewayEvent, Headers, Says, WEBHOOK_AGE_MS_MAX, WebhookError};
