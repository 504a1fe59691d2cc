//! The only words that cross the door between the card data environment (`cde`) and the office.
//!
//! Both processes link this crate and nothing else of each other. Everything here may be read by an auditor who taps
//! the door, shown on an agent's screen or stored in the office's database.
//!
//! # Invariants
//! - No type can hold a card number or a security code. The most that is said of a card is [`CardView`]: brand, last
//!   four digits and expiry.
//! - No command names a host or a URL, none weakens masking, and no word holds a secret but [`Sealed`], which only the cde opens: the office refers to trunks, routes
//!   and gateways by name only. What is shown of trunks to an engineer has their addresses, and goes one way.
//! - Free text that people type passes [`text_pan_like`] before it may cross.
//!
//! # Layout
//! - [`ids`], [`money`], [`card`], [`address`], [`attempt`], [`token`], [`stored`], [`bounce`], [`credential`], [`report`]: small words. [`brand`]: the public brand table, Luhn,
//!   [`pan_like`] and [`text_pan_like`].
//! - [`command`]: what the office asks. [`event`]: what the cde shows live (snapshots, never stored).
//! - [`hook`]: recorders that are asked to pause.
//! - [`trunk`], [`figures`], [`ladder`], [`testcall`]: how trunks and legs are, and what was said by SIP, for engineers.
//! - [`record`]: what must not be lost (outcomes, audit); it waits in the cde's journal until acknowledged.
//! - [`frame`]: newline-delimited JSON, versioned, with sequence numbers.

pub mod address;
pub mod attempt;
pub mod bounce;
pub mod brand;
pub mod card;
pub mod command;
pub mod credential;
pub mod event;
pub mod figures;
pub mod frame;
pub mod hook;
pub mod ids;
pub mod ladder;
pub mod money;
pub mod record;
pub mod report;
pub mod stored;
pub mod testcall;
pub mod token;
pub mod trunk;

pub use address::{Address, AddressError, Check, Checks};
pub use attempt::AttemptKind;
pub use bounce::{BounceRefusal, BounceResult, BouncedOrder, OrderCode, Reference, ReferenceError};
pub use brand::{Brand, luhn_valid, name_pan_like, pan_like, text_pan_like};
pub use card::{CardView, ExpiryView, Field, Last4};
pub use command::{Action, CaptureTime, Command, CommandResult, Found, PaymentOrder, Refusal, Store};
pub use credential::{CredentialSlot, CredentialSource, CredentialView, GatewayView, Sealed, SealedError, SlotError};
pub use event::{
    CallEnd, CallSnapshot, CallState, Event, FieldProgress, FieldStatus, LineState, Masking, PaymentState, Progress,
    RejectReason, WayIn,
};
pub use figures::{CallFigures, KeyTransport, LegFigures, PeerFigures};
pub use frame::{FrameError, FromCde, FromOffice, LINE_BYTES_MAX, VERSION, decode, encode};
pub use hook::{CallName, CallNameError, CallNames, HookRule, HookSnapshot, HookState, HookTrouble};
pub use ids::{
    AttemptId, CallId, CommandId, Extension, JournalId, MerchantId, NAME_LENGTH_MAX, PaymentId, TransferCode,
};
pub use ladder::{Ladder, LadderMessage, LadderSummary};
pub use money::{Currency, Money};
pub use record::{
    AttemptSent, AuditAction, AuditEvent, ByHand, DeclineClass, MoneyAlarm, Origin, Outcome, Record, RecordBody,
    Restored, ToldAgain, TransferRefusal,
};
pub use report::{ReportCursor, ReportKind, ReportLine, ReportPage};
pub use stored::{
    Advice, Credential, Initiator, Keeper, Keeping, KeptCard, NetworkId, NetworkIdError, NotKept, Reason, StoredCharge,
};
pub use testcall::{TestEvent, TestResult, TestSnapshot, TestStep};
pub use token::{Token, TokenError};
pub use trunk::{PlaceSnapshot, PlaceState, RegistrationSnapshot, RegistrationState, TrunkSnapshot};
