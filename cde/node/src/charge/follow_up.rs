//! What follows an approval: captures, voids, refunds. The journal decides whether one may be sent.

use super::{Built, Charger, Parcel, UnderWay};
use crate::journal::{Account, JournalError, NewAttempt};
use gateway::{Caps, Kind, Request};
use wire::{Action, AttemptId, Command, Money, Origin, PaymentId, Refusal};

/// A capture, void or refund that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct FollowUp {
    /// The command's id is the attempt's: said again, it is the same attempt, also after a restart.
    pub(crate) attempt: AttemptId,
    pub(crate) payment: PaymentId,
    pub(crate) kind: Kind,
    /// Without it all that is left.
    pub(crate) amount: Option<Money>,
    pub(crate) last: bool,
    pub(crate) origin: Origin,
}

impl FollowUp {
    /// What a command wants, if it is one of these.
    pub(crate) fn wanted(command: &Command) -> Option<Self> {
        let (payment, kind, amount, last) = match command.action {
            Action::Capture { payment, amount, last } => (payment, Kind::Capture, amount, last),
            Action::Void { payment } => (payment, Kind::Void, None, false),
            Action::Refund { payment, amount } => (payment, Kind::Refund, amount, false),
            _ => return None,
        };
        let (attempt, origin) = (AttemptId(command.id.0), command.origin.clone());
        Some(Self { attempt, payment, kind, amount, last, origin })
    }

    /// How much it is of. Where nothing is left it is the least there is, so that the balance says why not.
    fn amount_of(&self, account: &Account) -> Money {
        let left = match self.kind {
            Kind::Capture => account.balance.capturable(),
            Kind::Refund => account.balance.refundable(),
            _ => return account.approved,
        };
        self.amount.unwrap_or(Money { minor: left.minor.max(1), ..left })
    }

    /// Does no other capture come? Not after all that is left, unless one is on its way, and not where the gateway takes one
    /// only.
    fn is_last(&self, account: &Account, amount: Money, caps: &Caps) -> bool {
        let all = amount == account.balance.capturable() && !account.balance.is_capturing();
        self.kind == Kind::Capture && (self.last || all || caps.captures_max <= 1)
    }
}

impl Charger {
    /// Answers when the attempt is on disk, or was already; it then goes its way.
    pub(crate) async fn follow_up(&self, wanted: &FollowUp) -> Result<(), Refusal> {
        if let Some((attempt, parcel)) = self.begin_follow_up(wanted).await? {
            let charger = self.clone();
            tokio::spawn(async move { charger.carry(attempt, parcel).await });
        }
        Ok(())
    }

    /// Puts it on disk. None when it was there before: whoever put it there follows it.
    pub(super) async fn begin_follow_up(&self, wanted: &FollowUp) -> Result<Option<(UnderWay, Parcel)>, Refusal> {
        let found = self.journal.account(wanted.payment).await.map_err(|error| refusal(&error))?;
        let account = found.ok_or(Refusal::UnknownPayment)?;
        let (row, built) = self.prepare(wanted, &account)?;
        let attempt = UnderWay::of(&row, built.operation);
        match self.journal.begin(row).await {
            Ok(()) => Ok(Some((attempt, built.parcel))),
            Err(JournalError::BegunBefore) => Ok(None),
            Err(error) => Err(refusal(&error)),
        }
    }

    fn prepare(&self, wanted: &FollowUp, account: &Account) -> Result<(NewAttempt, Built), Refusal> {
        let terminal = self.terminals.get(&account.gateway).ok_or(Refusal::Unsupported)?;
        let adapter = terminal.adapter().ok_or(Refusal::Unsupported)?;
        let caps = adapter.caps();
        let amount = wanted.amount_of(account);
        let last = wanted.is_last(account, amount, caps);
        let (attempt, merchant, of) = (wanted.attempt, &account.merchant, account.original());
        let request = match wanted.kind {
            Kind::Capture => Request::Capture { attempt, amount, merchant, of, last },
            Kind::Refund => Request::Refund { attempt, amount, merchant, of },
            Kind::Void => Request::Void { attempt, merchant, of },
            _ => return Err(Refusal::Unsupported),
        };
        if wanted.kind == Kind::Refund && amount < account.balance.captured() && !caps.partial_refund {
            return Err(Refusal::Unsupported);
        }
        let built = self.built(&account.gateway, terminal, &request, [])?;
        let row = NewAttempt {
            credential: built.parcel.credential(),
            attempt,
            kind: wanted.kind,
            payment: wanted.payment,
            call: account.call,
            extension: account.extension.clone(),
            origin: wanted.origin.clone(),
            merchant: account.merchant.clone(),
            deadline_ms: built.deadline_ms,
            gateway: account.gateway.clone(),
            amount,
            later: false,
            follows: Some(account.attempt),
            last,
            card: None,
            digest: built.digest.clone(),
            locator: Some(account.gateway_ref.clone()).filter(|name| !name.is_empty()),
            keep: None,
            token: None,
            reference: None,
        };
        Ok((row, built))
    }
}

pub(super) fn refusal(error: &JournalError) -> Refusal {
    match error {
        JournalError::Refused(reason) => *reason,
        _ => Refusal::JournalFault,
    }
}
