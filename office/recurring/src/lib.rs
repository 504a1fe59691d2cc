//! Recurring payments (Continuous Payment Authority): when what is due, and what may be tried again. Pure: no clock, no
//! database, no card; a stored card is named by its token elsewhere.
//!
//! # Invariants
//! - A payment is a number of an agreement, from 1 without gaps. It is handed out once, in order, whatever is amended,
//!   skipped or paused in between.
//! - The date of a payment is counted from the first one of its terms, never from the one before: the 31st stays the 31st.
//! - Nothing is handed out before its day, while the agreement is paused, or after it was canceled.
//! - What a network forbids to try again is not tried again.
//!
//! # Layout
//! - [`terms`]: how much, how often, how long; the dates. [`agreement`]: the terms over time, and what happens to them.
//! - [`retry`]: the networks' rules. [`credential`]: what each charge says of the stored card.

pub mod agreement;
pub mod credential;
pub mod retry;
pub mod terms;

pub use agreement::{Agreement, AgreementError, CatchUp, Fate, Issued, Payment, State};
pub use credential::{Credential, Reason, subsequent};
pub use retry::{Decline, Policy, Verdict, after_decline};
pub use terms::{Amount, Interval, Roll, Terms, TermsError};
