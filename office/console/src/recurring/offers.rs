//! What is agreed on with a payment that is being taken. When its card is kept it becomes an agreement, in the transaction that
//! stores the card side's record of that; where none is kept, there never is one.

use super::jobs::{AgreementId, NewAgreement};
use crate::store::StoreError;
use jiff::civil::Time;
use recurring::{Agreement, Terms};
use serde::{Deserialize, Serialize};
use wire::{Extension, KeptCard, PaymentId};

/// What was agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offer {
    /// The name that the agreement will have.
    pub(crate) agreement: AgreementId,
    /// The payments after the one that it begins with.
    pub(crate) terms: Terms,
    /// Name of the time zone.
    pub(crate) zone: String,
    /// When payments are taken there.
    pub(crate) time: Time,
    pub(crate) contact: Option<String>,
    pub(crate) remind_days: u8,
    /// The user who agreed on it with the customer.
    pub(crate) made_by: String,
}

impl Offer {
    /// What stands from now on: the card of its payment is kept. Account and extension are the payment's.
    pub(crate) fn agreed(
        self,
        payment: PaymentId,
        kept: &KeptCard,
        account: Option<String>,
        extension: Extension,
    ) -> Result<NewAgreement, StoreError> {
        Ok(NewAgreement {
            id: self.agreement,
            merchant: kept.merchant.clone(),
            token: kept.token.clone(),
            card: kept.card,
            account,
            zone: self.zone,
            time: self.time,
            reason: self.terms.reason(),
            network_id: None,
            payment: Some(payment),
            extension,
            contact: self.contact,
            remind_days: self.remind_days,
            made_by: Some(self.made_by),
            agreement: Agreement::new(self.terms).map_err(|_| StoreError::Damaged("terms"))?,
        })
    }
}
