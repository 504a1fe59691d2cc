//! Charging and forgetting kept cards. The office names a token of ours; who has the card, the journal knows.
//!
//! A card of the vault is opened here, goes into the requests as one that was keyed, without a code and flagged as the networks
//! want it, and is wiped with them. Where it may go is the merchant's list of gateways, as for a keyed card.

use super::follow_up::refusal;
use super::forgetting::Named;
use super::parcel::{Leg, Parcel, SPARES_MAX};
use super::{Built, Charger, Merchant, UnderWay};
use crate::clock;
use crate::journal::{JournalError, NewAttempt, StoredCard};
use card::Card;
use gateway::{Agreement, Kind, Request, Terms};
use vault::{Reason, VaultError};
use wire::{
    AttemptId, CallId, CaptureTime, Command, Extension, MerchantId, Money, Origin, PaymentId, Refusal, StoredCharge,
    Token,
};

/// Who sees an attempt, and who wanted it.
struct Rooms {
    attempt: AttemptId,
    payment: PaymentId,
    call: CallId,
    extension: Extension,
    origin: Origin,
    /// The card that is charged.
    token: Option<Token>,
}

impl Charger {
    /// Answers when the attempt is on disk, or was already; it then goes its way.
    pub(super) async fn charge_stored(&self, command: &Command, charge: &StoredCharge) -> Result<(), Refusal> {
        let attempt = AttemptId(command.id.0);
        if self.journal.find(attempt).await.map_err(|error| refusal(&error))?.is_some() {
            return Ok(());
        }
        // Before the card is looked for: that it was forgotten since says nothing of a payment that was taken from it.
        let account = self.journal.account(charge.payment).await.map_err(|error| refusal(&error))?;
        if account.is_some_and(|account| !account.balance.is_voided()) {
            return Err(Refusal::AlreadyApproved);
        }
        if !charge.amount.payable() {
            return Err(Refusal::BadAmount);
        }
        let merchant = self.merchants.get(charge.merchant.as_str()).ok_or(Refusal::UnknownMerchant)?;
        let stored = self.stored(&charge.merchant, merchant, &charge.token).await?;
        let built = self.build_stored(attempt, charge, (merchant, stored.as_ref())).await?;
        let rooms = Rooms {
            attempt,
            payment: charge.payment,
            call: CallId(attempt.0),
            extension: charge.extension.clone(),
            origin: command.origin.clone(),
            token: Some(charge.token.clone()),
        };
        self.send(rooms, &charge.merchant, charge.amount, charge.capture == CaptureTime::Later, built).await
    }

    /// The card of a token, if it is this merchant's. None of one that came from another vault: that is its tenant's.
    async fn stored(&self, id: &MerchantId, merchant: &Merchant, token: &Token) -> Result<Option<StoredCard>, Refusal> {
        match self.journal.stored_card(token).await.map_err(|error| refusal(&error))? {
            Some(stored) if stored.merchant == *id && !stored.is_gone && !stored.is_forgetting => Ok(Some(stored)),
            Some(_) => Err(Refusal::UnknownToken),
            None => {
                let cards = self.vault.as_deref().ok_or(Refusal::UnknownToken)?;
                let is_there = cards.holds(&merchant.keep.tenant, token).await.map_err(|error| not_opened(&error))?;
                if is_there { Ok(None) } else { Err(Refusal::UnknownToken) }
            }
        }
    }

    /// Was the gateway's own token of a kept card charged by another credential than the one that stored it? It may be another
    /// account's, in which there is no such token.
    pub(super) async fn is_of_other_account(&self, attempt: &UnderWay) -> bool {
        if attempt.operation.kind != Kind::ChargeStored {
            return false;
        }
        let Ok(Some(noted)) = self.journal.find(attempt.operation.attempt).await else { return false };
        let Some(token) = noted.attempt.token else { return false };
        let Ok(Some(card)) = self.journal.stored_card(&token).await else { return false };
        let is_at_gateway = card.gateway.is_some_and(|(gateway, _)| gateway == noted.attempt.gateway);
        let stored_and_used = card.credential.zip(noted.attempt.credential);
        is_at_gateway && stored_and_used.is_some_and(|(stored_by, used)| stored_by != used)
    }

    async fn build_stored(
        &self,
        attempt: AttemptId,
        charge: &StoredCharge,
        (merchant, stored): (&Merchant, Option<&StoredCard>),
    ) -> Result<Built, Refusal> {
        let credential = &charge.credential;
        let noted = stored.and_then(|stored| stored.network_transaction_id.as_deref());
        let said = credential.network_transaction_id.as_ref().map(wire::NetworkId::as_str);
        let agreement = Agreement {
            initiator: credential.initiator,
            reason: credential.reason,
            first: credential.first,
            network_transaction_id: said.or(noted).filter(|_| !credential.first),
        };
        let terms = Terms { capture: charge.capture, agreement: Some(agreement), ..Terms::default() };
        if let Some((gateway, token)) = stored.and_then(|stored| stored.gateway.as_ref()) {
            let (amount, merchant) = (charge.amount, &charge.merchant);
            let request = Request::ChargeStored { attempt, amount, token, merchant, terms };
            let built = self.terminals.get(gateway).ok_or(Refusal::Unsupported);
            let built = built.and_then(|terminal| self.built(gateway, terminal, &request, []));
            if built.is_ok() || !stored.is_some_and(|stored| stored.is_vaulted) {
                return built;
            }
        }
        let cards = self.vault.as_deref().ok_or(Refusal::VaultFault)?;
        let opened = cards.open(clock::unix_ms(), &merchant.keep.tenant, &charge.token).await;
        if let (Err(VaultError::Gone), Some(stored)) = (&opened, stored) {
            // Its time was over, or somebody shredded it by hand: the office is told.
            self.forget_shredded(stored, &charge.token, None).await?;
        }
        let (pan, expiry) = opened.map_err(|error| not_opened(&error))?;
        self.build_opened(attempt, charge, (merchant, terms), &Card { pan, expiry, cvv: None })
    }

    /// As a keyed card is built, for each of the merchant's gateways that takes it.
    fn build_opened(
        &self,
        attempt: AttemptId,
        charge: &StoredCharge,
        (configured, terms): (&Merchant, Terms<'_>),
        card: &Card,
    ) -> Result<Built, Refusal> {
        let (amount, merchant) = (charge.amount, &charge.merchant);
        let takes = |choice: &&crate::config::Choice| choice.rule.takes(amount, card.pan.brand());
        let mut built = configured.choices.iter().filter(takes).filter_map(|choice| {
            let request = Request::Authorize { attempt, amount, card, merchant, terms };
            self.built(&choice.name, self.terminals.get(&choice.name)?, &request, []).ok()
        });
        let mut first = built.next().ok_or(Refusal::Unsupported)?;
        let spares: Vec<Leg> = built.take(SPARES_MAX).filter_map(|built| built.parcel.first).collect();
        first.parcel = Parcel::new(first.parcel.first, spares);
        first.operation.kind = Kind::ChargeStored;
        Ok(first)
    }

    /// Puts an attempt without a call on disk, and sends it.
    async fn send(
        &self,
        rooms: Rooms,
        merchant: &MerchantId,
        amount: Money,
        later: bool,
        built: Built,
    ) -> Result<(), Refusal> {
        let Rooms { attempt, payment, call, extension, origin, token } = rooms;
        let row = NewAttempt {
            credential: built.parcel.credential(),
            attempt,
            kind: built.operation.kind,
            payment,
            call,
            extension,
            origin,
            merchant: merchant.clone(),
            deadline_ms: built.deadline_ms,
            gateway: built.gateway,
            amount,
            later,
            follows: None,
            last: false,
            card: None,
            digest: built.digest,
            locator: None,
            keep: None,
            token,
            reference: None,
        };
        let under_way = UnderWay::of(&row, built.operation);
        match self.journal.begin(row).await {
            Ok(()) => {}
            Err(JournalError::SecondAttempt) => return self.begun_before_by(attempt, payment).await,
            Err(error) => return Err(refusal(&error)),
        }
        let charger = self.clone();
        tokio::spawn(async move { charger.carry(under_way, built.parcel).await });
        Ok(())
    }

    /// The row was there: of this very attempt, or of another one of the payment, which has taken the money or may have. An office
    /// that was restored from an old copy does not know of it.
    async fn begun_before_by(&self, attempt: AttemptId, payment: PaymentId) -> Result<(), Refusal> {
        if self.journal.find(attempt).await.map_err(|error| refusal(&error))?.is_some() {
            return Ok(());
        }
        let account = self.journal.account(payment).await.map_err(|error| refusal(&error))?;
        let is_taken = account.is_some_and(|account| !account.balance.is_voided());
        Err(if is_taken { Refusal::AlreadyApproved } else { Refusal::OutcomePending })
    }

    /// Forgets a kept card: shredded in the vault before the answer, and charged no more; its gateway is asked after it, and until
    /// that has answered the card is being forgotten. Said again it does what is left to do.
    pub(super) async fn forget(&self, command: &Command, id: &MerchantId, token: &Token) -> Result<(), Refusal> {
        let merchant = self.merchants.get(id.as_str()).ok_or(Refusal::UnknownMerchant)?;
        let attempt = AttemptId(command.id.0);
        let stored = match self.journal.stored_card(token).await.map_err(|error| refusal(&error))? {
            Some(stored) if stored.merchant != *id => return Err(Refusal::UnknownToken),
            Some(stored) if stored.is_gone || stored.is_forgetting => return Ok(()),
            stored => stored,
        };
        if stored.as_ref().is_none_or(|stored| stored.is_vaulted) {
            let cards = self.vault.as_deref().ok_or(Refusal::UnknownToken)?;
            let shred =
                cards.shred(clock::unix_ms(), &merchant.keep.tenant, std::slice::from_ref(token), Reason::Shredded);
            let shred = shred.await.map_err(|error| not_opened(&error))?;
            if stored.is_none() {
                return if shred.keys > 0 { Ok(()) } else { Err(Refusal::UnknownToken) };
            }
        }
        let stored = stored.ok_or(Refusal::UnknownToken)?;
        self.forget_shredded(&stored, token, Some((attempt, command.origin.clone()))).await
    }

    /// Of a card that the vault has no more, if it had it.
    async fn forget_shredded(&self, stored: &StoredCard, token: &Token, first: Option<Named>) -> Result<(), Refusal> {
        let id = &stored.merchant;
        if stored.gateway.is_none() {
            return self.journal.forget(token, id).await.map_err(|error| refusal(&error)).map(drop);
        }
        // Who has begun before follows it.
        if self.journal.begin_forgetting(token, id).await.map_err(|error| refusal(&error))? {
            self.begin_deletion(token.clone(), first);
        }
        Ok(())
    }
}

fn not_opened(error: &VaultError) -> Refusal {
    match error {
        VaultError::NoToken | VaultError::Gone | VaultError::NoTenant => Refusal::UnknownToken,
        error => {
            tracing::error!(%error, "the vault did not open a card");
            Refusal::VaultFault
        }
    }
}
