//! What the office may ask of the cde. Every command carries an id; the same id again is the same command.

use crate::{
    Address, AttemptId, BouncedOrder, CallId, CommandId, CredentialSlot, Extension, Field, GatewayView, HookTrouble,
    MerchantId, Money, OrderCode, Origin, PaymentId, Reason, ReportCursor, ReportPage, Sealed, StoredCharge, Token,
    TransferCode,
};
use serde::{Deserialize, Serialize};

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Chosen by the office; repeating it repeats the answer, not the deed.
    pub id: CommandId,
    /// The call that it is about; any for [`Action::Ladders`], which is about all, and for [`Action::TestCall`], which is about
    /// none, as for [`Action::ChargeStored`], [`Action::DeleteStored`] and [`Action::OrderBounced`]; of [`Action::AwaitTransfer`] the name of the call to come, made by the office.
    pub call: CallId,
    /// Who asked, for the audit trail.
    pub origin: Origin,
    /// What to do.
    #[serde(flatten)]
    pub action: Action,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Secure the line. Done when the media plane has confirmed it.
    Secure,
    /// Begin to release the line; it opens by the unmasking rule. Done when releasing has begun.
    Release,
    /// Start taking a payment. Before the line is secured it waits for that.
    StartPayment(PaymentOrder),
    /// Ask a field (again): what it held is cleared and it becomes the live one.
    RequestField {
        /// Which payment.
        payment: PaymentId,
        /// Which field.
        field: Field,
    },
    /// Clear a field without changing which one is live.
    ResetField {
        /// Which payment.
        payment: PaymentId,
        /// Which field.
        field: Field,
    },
    /// Send the captured card to the gateway. Done when the attempt is in the journal.
    Authorize {
        /// Which payment.
        payment: PaymentId,
    },
    /// Stop taking the payment and wipe what was keyed.
    Cancel {
        /// Which payment.
        payment: PaymentId,
    },
    /// Show the SIP messages of the call, which may be over: [`Event::Ladder`](crate::Event::Ladder) comes before the command has ended.
    Ladder,
    /// List the calls whose messages are kept: [`Event::Ladders`](crate::Event::Ladders) comes before the command has ended.
    Ladders,
    /// Call the test number of a trunk, which stands in the cde's file. Done when it has begun; [`Event::Test`](crate::Event::Test) tells how it goes.
    TestCall {
        /// The trunk's name.
        trunk: String,
    },
    /// Take money that was reserved. The call may be long gone, as for all that follow; the command's id is the attempt's.
    /// Done when the attempt is in the journal.
    Capture {
        /// Which payment.
        payment: PaymentId,
        /// How much; without it all that is left.
        amount: Option<Money>,
        /// Does no other capture follow? What is left is given back.
        last: bool,
    },
    /// Give the whole payment back before it is settled. Done when the attempt is in the journal.
    Void {
        /// Which payment.
        payment: PaymentId,
    },
    /// Give back money that was taken. Done when the attempt is in the journal.
    Refund {
        /// Which payment.
        payment: PaymentId,
        /// How much; without it all that is left.
        amount: Option<Money>,
    },
    /// What two people have found out of an attempt whose gateway cannot be asked. The origin is the second of them.
    Settle {
        /// Which payment.
        payment: PaymentId,
        /// Which attempt.
        attempt: AttemptId,
        /// What they have found.
        found: Found,
        /// The office's id of the first.
        proposed_by: i64,
    },
    /// Take money from a card that is kept. There is no call: its id is of no interest. The command's id is the attempt's.
    /// Done when the attempt is in the journal; how it ends is told by [`RecordBody::AttemptEnded`](crate::RecordBody::AttemptEnded).
    ChargeStored(StoredCharge),
    /// Forget a card that is kept: in the vault it is shredded, the gateway is asked to. Done when it cannot be charged any more;
    /// that it is forgotten, which a gateway has to say, is told by [`RecordBody::CardForgotten`](crate::RecordBody::CardForgotten).
    DeleteStored {
        /// Whose card.
        merchant: MerchantId,
        /// Which.
        token: Token,
    },
    /// What two people say of a kept card that is being forgotten and that its gateway has not said to have deleted: they have had it
    /// deleted there by hand, in the gateway's own dashboard. The origin is the second of them. Done when it is written down, and told
    /// by [`RecordBody::CardForgotten`](crate::RecordBody::CardForgotten), which names both.
    DeletedByHand {
        /// Whose card.
        merchant: MerchantId,
        /// Which.
        token: Token,
        /// The office's id of the first.
        proposed_by: i64,
    },
    /// Say what gateways there are, and where their credentials come from. Answered with [`CommandResult::Gateways`].
    Gateways,
    /// Give a gateway a credential. It is opened by the cde alone, and used from then on.
    SetCredential {
        /// As `cde.toml` calls it.
        gateway: String,
        /// Which of its secrets.
        slot: CredentialSlot,
        /// The secret, sealed.
        sealed: Sealed,
    },
    /// Have the recorders elsewhere asked anew to pause, after one of them has not.
    PauseRecorders,
    /// All recorders elsewhere have said that they have paused; from the office itself.
    RecordersPaused {
        /// Which time of asking it answers.
        round: u32,
    },
    /// A recorder elsewhere has not paused; from the office itself.
    RecordersNotPaused {
        /// Which time of asking it answers.
        round: u32,
        /// Why.
        why: HookTrouble,
    },
    /// Ask the merchant's gateways what moved in a time, where they can be asked: a page of it, answered with
    /// [`CommandResult::Report`].
    Report {
        /// Whose.
        merchant: MerchantId,
        /// From, Unix milliseconds.
        from_unix_ms: i64,
        /// Up to but not, Unix milliseconds; at most a month.
        until_unix_ms: i64,
        /// Which page; without it the first one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<ReportCursor>,
    },
    /// A caller is about to be transferred to us by this agent, who is called back where the cde's own file allows it. Answered
    /// with [`CommandResult::Awaiting`]; an agent has one such transfer at a time, and a newer one takes its place.
    AwaitTransfer {
        /// Whose.
        extension: Extension,
        /// What is to be paid, if that is known by now; it is started when the two speak again.
        payment: Option<PaymentOrder>,
        /// The code is not for the caller but for ourselves: the agent adds us to a conference, in which nothing is masked. Refused
        /// where the cde's file does not allow it.
        #[serde(default)]
        conference: bool,
    },
    /// A caller is about to be sent to pay this alone. Answered with [`CommandResult::Ordered`], if a route of the cde's file takes it.
    OrderBounced(BouncedOrder),
}

/// What people have found out of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// The gateway has done it.
    Done,
    /// It has not, and will not.
    NotDone,
}

/// A payment to take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentOrder {
    /// Its id, made by the office.
    pub payment: PaymentId,
    /// How much.
    pub amount: Money,
    /// For whom.
    pub merchant: MerchantId,
    /// The fields to ask, in this order.
    pub fields: Vec<Field>,
    /// What to keep of the card after an approval.
    pub store: Store,
    /// What it is kept for, as the networks want it flagged; without it, for charges without a rhythm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Reason>,
    /// When the money is taken.
    #[serde(default)]
    pub capture: CaptureTime,
    /// House number and postcode, for the bank to compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avs: Option<Address>,
    /// May the bank approve less?
    #[serde(default)]
    pub partial: bool,
}

impl Action {
    /// The payment whose money it is about without the card: what the journal decides, not a call.
    pub fn follows_up(&self) -> Option<PaymentId> {
        match self {
            Self::Capture { payment, .. }
            | Self::Void { payment }
            | Self::Refund { payment, .. }
            | Self::Settle { payment, .. } => Some(*payment),
            _ => None,
        }
    }

    /// Is it about money or a kept card, so that the journal decides, and no call?
    pub fn is_of_the_books(&self) -> bool {
        self.follows_up().is_some()
            || matches!(
                self,
                Self::ChargeStored(_)
                    | Self::DeleteStored { .. }
                    | Self::DeletedByHand { .. }
                    | Self::Gateways
                    | Self::SetCredential { .. }
                    | Self::Report { .. }
            )
    }
}

/// When approved money is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureTime {
    /// With the approval.
    #[default]
    Now,
    /// By a later capture; until then it is reserved.
    Later,
}

/// What to keep of the card after an approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// Nothing.
    #[default]
    None,
    /// The card, under a token. Whether the gateway has it or the vault is the merchant's setting in the cde's file.
    Token,
    /// The card, and no money is taken: the amount is zero.
    Only,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum CommandResult {
    /// It is done.
    Done,
    /// The caller may be transferred, once and until then.
    Awaiting {
        /// To whom.
        code: TransferCode,
        /// Until when, Unix milliseconds.
        until_unix_ms: i64,
    },
    /// A call may name the order, once and until then.
    Ordered {
        /// By this.
        code: OrderCode,
        /// Until when, Unix milliseconds.
        until_unix_ms: i64,
        /// The keys of its caller pass through a PBX before they come to us, on one of the routes at least that take it.
        keys_cross_pbx: bool,
        /// The order whose place it has taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<PaymentId>,
    },
    /// The gateways.
    Gateways {
        /// The public key that credentials are sealed to, in hexadecimal; none without a vault, which keeps the secret one.
        seal_to: Option<String>,
        /// They.
        gateways: Vec<GatewayView>,
    },
    /// A page of what a gateway tells.
    Report(ReportPage),
    /// It was not done, and will not be.
    Refused {
        /// Why.
        reason: Refusal,
    },
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No such call here: it has ended, or the cde was started anew.
    UnknownCall,
    /// No such payment on this call.
    UnknownPayment,
    /// The call already has a payment that is not finished.
    PaymentInProgress,
    /// The line is not in a state for this (for example: the agent has not answered).
    WrongState,
    /// Not all fields are valid yet.
    FieldsMissing,
    /// An attempt is in flight or its outcome is not known: a second charge is not made.
    OutcomePending,
    /// The payment was already approved.
    AlreadyApproved,
    /// The field does not belong to this payment.
    UnknownField,
    /// The amount is not above zero, or absurdly large.
    BadAmount,
    /// The merchant is not one that the cde's file knows.
    UnknownMerchant,
    /// The card was wiped (its time was up); it must be keyed again.
    CardGone,
    /// The media plane did not confirm in time; the line stays as masked as it was.
    MediaFault,
    /// The cde could not write its journal; nothing was sent.
    JournalFault,
    /// The authorization was given back whole.
    Voided,
    /// Its money was taken already, or what was left of it was given back.
    NothingToCapture,
    /// No more can be captured than was approved.
    AboveApproved,
    /// No more can be refunded than was captured.
    AboveCaptured,
    /// It can only be refunded: a part of it was captured later, or refunded.
    NotVoidable,
    /// The merchant's gateway cannot do that.
    Unsupported,
    /// It takes two people, and this is one.
    TwoPeople,
    /// The gateway is being asked, or has it and will tell by webhook.
    GatewayIsAsked,
    /// This merchant has no such token, or its card is gone.
    UnknownToken,
    /// The card is not being forgotten: it must be, before people can say that they have deleted it at its gateway.
    NotForgetting,
    /// The vault does not open the card, or there is none.
    VaultFault,
    /// No gateway has this name.
    UnknownGateway,
    /// It was not sealed to this cde's key, for this gateway and slot.
    NotSealed,
    /// The gateway's adapter does not take it for a credential, or it is of the other kind (test, live).
    BadCredential,
    /// The gateway did not say what moved, or not so that it could be read.
    NoReport,
    /// No trunk has this name.
    UnknownTrunk,
    /// The trunk's table in the cde's file names no number to test it with.
    NoTestNumber,
    /// Too many at once; try again.
    Busy,
    /// No trunk of the cde's file takes this agent's transfers.
    NotOnDemand,
    /// The cde's file does not allow that payments are taken in conferences of this agent's trunk.
    NoConferences,
    /// It is a conference: nothing in it can be masked or opened.
    InConference,
    /// No route of the cde's file has callers pay this alone: its merchant, currency, amount or way back.
    NotBounced,
    /// The same order, by merchant, reference and amount, is being paid, or has been, or may have been.
    SameOrder,
    /// Somebody else's order of the same merchant and reference waits for its caller.
    OrderedByAnother,
    /// As many orders of this user wait for their callers as may.
    TooManyOrders,
}
