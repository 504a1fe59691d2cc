//! What people change of an agreement, and of its payments that are due and wait. One that waits is in nobody's hands: whoever
//! takes it says so in a transaction of its own, so that either the change comes first or it is refused.

use super::messages::Kind;
use jiff::civil::Date;
use recurring::{Agreement, AgreementError, CatchUp, State, Terms};
use wire::Money;

/// What is to be done to an agreement.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// Other terms for all that is to come; what is due and was not tried is replaced by them.
    Amend(Terms),
    /// One is not taken, nor tried again; made up for, one more is taken at the end.
    Skip {
        number: u32,
        make_up: bool,
    },
    /// Another day or amount of one that was not tried.
    Move {
        number: u32,
        due: Option<Date>,
        amount: Option<Money>,
    },
    Pause,
    Resume(CatchUp),
    Cancel,
    /// One that was missed is taken after all.
    Take(u32),
    /// One that was missed is not taken.
    Leave(u32),
    /// All links to the customer's calendar that were made are not valid any more.
    TakeBackLinks,
}

/// When it is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    /// Unix milliseconds.
    pub(crate) now_ms: i64,
    /// The day in the agreement's time zone.
    pub(crate) today: Date,
    pub(crate) late_days_max: u16,
}

impl Deed {
    /// The audit trail's word.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Self::Amend(_) => "agreement_amend",
            Self::Skip { .. } => "agreement_skip",
            Self::Move { .. } => "agreement_move",
            Self::Pause => "agreement_pause",
            Self::Resume(_) => "agreement_resume",
            Self::Cancel => "agreement_cancel",
            Self::Take(_) => "agreement_take",
            Self::Leave(_) => "agreement_leave",
            Self::TakeBackLinks => "agreement_links_taken_back",
        }
    }

    /// What the customer is told. Of one that is taken after all they have the receipt.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Cancel => Some(Kind::Canceled),
            Self::Take(_) | Self::Leave(_) | Self::TakeBackLinks => None,
            _ => Some(Kind::Changed),
        }
    }

    /// Does it to the agreement, and says what is to be done to what is due of it. A refused deed changes nothing that is
    /// kept.
    pub(crate) fn begin(&self, agreement: &mut Agreement, at: At) -> Result<Step, AgreementError> {
        let done = |()| Step::Nothing;
        match self {
            Self::Amend(terms) => agreement.amend(at.today, terms.clone()).map(|()| Step::LeaveOutUntried),
            Self::Skip { number, make_up } => match agreement.skip(*number, *make_up) {
                Err(AgreementError::Issued | AgreementError::Ended) => {
                    Ok(Step::LeaveOut { number: *number, make_up: *make_up })
                }
                skipped => skipped.map(done),
            },
            Self::Move { due: Some(due), .. } if *due < at.today => Err(AgreementError::Past),
            Self::Move { number, due, amount } => match moved(agreement, *number, *due, *amount) {
                Err(AgreementError::Issued | AgreementError::Ended) => {
                    Ok(Step::Move { number: *number, due: *due, amount: *amount })
                }
                moved => moved.map(done),
            },
            Self::Pause => agreement.pause().map(done),
            Self::Resume(catch_up) => agreement.resume(at.today, *catch_up).map(done),
            Self::Cancel => agreement.cancel().map(done),
            Self::Take(number) => match agreement.state() {
                State::Canceled => Err(AgreementError::Ended),
                State::Paused => Err(AgreementError::Paused),
                State::Active | State::Complete => Ok(Step::TakeMissed(*number)),
            },
            Self::Leave(number) => Ok(Step::LeaveMissed(*number)),
            Self::TakeBackLinks => Ok(Step::TakeBackLinks),
        }
    }
}

/// What a deed does to what is due, beside what it does to the agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Nothing,
    /// What waits and was not tried is not taken: otherwise the old terms would be taken beside the new ones.
    LeaveOutUntried,
    /// One that waits is not taken, nor tried again; made up for, one more is taken at the end. Where it does not wait the deed is
    /// refused: [`AgreementError::Issued`].
    LeaveOut {
        number: u32,
        make_up: bool,
    },
    /// Another day or amount of one that was not tried: see [`moved_untried`]. After a try the card side knows it as it was, and
    /// the deed is refused: [`AgreementError::Issued`].
    Move {
        number: u32,
        due: Option<Date>,
        amount: Option<Money>,
    },
    /// What was missed waits again, for a day. It keeps its id at the card side, so that no other try of it can take money too. Where
    /// it was not missed the deed is refused, here and in the next one: [`AgreementError::NotMissed`].
    TakeMissed(u32),
    LeaveMissed(u32),
    TakeBackLinks,
}

fn moved(
    agreement: &mut Agreement,
    number: u32,
    due: Option<Date>,
    amount: Option<Money>,
) -> Result<(), AgreementError> {
    due.map_or(Ok(()), |due| agreement.set_day(number, due))?;
    amount.map_or(Ok(()), |amount| agreement.set_amount(number, amount))
}

/// Day and amount of a payment that is due and was not tried, after a [`Step::Move`] of it.
pub(crate) fn moved_untried(
    agreement: &Agreement,
    (day, was): (Date, Money),
    due: Option<Date>,
    amount: Option<Money>,
) -> Result<(Date, Money), AgreementError> {
    let (due, amount) = (due.unwrap_or(day), amount.unwrap_or(was));
    if !amount.payable() || amount.currency != was.currency {
        return Err(AgreementError::Amount);
    }
    if agreement.next().is_some_and(|next| due > next.due) {
        return Err(AgreementError::Order);
    }
    Ok((due, amount))
}
