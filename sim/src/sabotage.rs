//! Ways to break each promise on purpose, so that the oracle can be seen to notice.

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The caller's keys are sent on to the agent's phone although the line is masked.
    RelayKeys,
    /// The caller's name, which the office is shown, is the card number.
    PrintPan,
    /// The count of digits that the office is shown depends on the security code.
    ShowCode,
    /// Nobody's BYE reaches the switchboard, and no session has a timer that would find that out.
    LoseByes,
    /// The line opens as soon as a release is asked for.
    OpenAtOnce,
    /// An unknown charge is tried again under another name.
    ChargeAgain,
    /// A connection that breaks is taken for a charge that did not happen.
    BelieveBroken,
    /// The request leaves before the attempt is on disk.
    SendFirst,
    /// The office acknowledges a record that it has not stored.
    LoseRecord,
    /// Answers to commands get lost.
    SwallowAnswers,
    /// Nobody has pressed a key, and yet a card is sent again.
    HideKeys,
    /// Neither the journal nor a new life of the cde knows of a bounced order, and that life begins when a caller has hung up.
    ForgetOrders,
    /// What the bank declines, or does not answer, is told as approved.
    TellApproved,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::RelayKeys,
        Self::PrintPan,
        Self::ShowCode,
        Self::LoseByes,
        Self::OpenAtOnce,
        Self::ChargeAgain,
        Self::BelieveBroken,
        Self::SendFirst,
        Self::LoseRecord,
        Self::SwallowAnswers,
        Self::HideKeys,
        Self::ForgetOrders,
        Self::TellApproved,
    ];
}
