//! Keeping the card of an approved attempt: by the gateway, by the vault, by both.
//!
//! The token is drawn before the attempt is written down, and stands in its row. A copy of number and date waits beside the
//! request for the gateway's first answer: an approval vaults it, anything else wipes it. After a death in between the vault is
//! asked whether it has that token; whatever it has, the office is told that the card is kept, or that it is not.

use super::{Charger, Merchant, UnderWay};
use crate::clock;
use crate::config::KeepCards;
use crate::custody::{Cards, System};
use crate::journal::{Keep, Kept};
use card::{Card, Expiry, Pan};
use gateway::Approval;
use vault::{Reason, Tenant};
use wire::{Keeper, Keeping, KeptCard, NotKept, Refusal, Token};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Number and date of a card that the vault is to have after an approval.
pub(crate) type CardCopy = (Pan, Expiry);

/// A merchant's rules of keeping.
pub(super) struct KeepRules {
    pub(super) at: KeepCards,
    pub(super) tenant: Tenant,
    pub(super) days: Option<u32>,
}

impl KeepRules {
    /// Is a gateway that can do it to keep the card?
    pub(super) fn asks_gateway(&self) -> bool {
        self.at != KeepCards::Vault
    }

    /// May the vault have to?
    fn may_ask_vault(&self) -> bool {
        self.at != KeepCards::Gateway
    }

    /// Has the vault to, with what the gateway has answered?
    fn asks_vault(&self, has_token: bool) -> bool {
        match self.at {
            KeepCards::Either => !has_token,
            KeepCards::Gateway => false,
            KeepCards::Vault | KeepCards::Both => true,
        }
    }

    fn until_ms(&self, now_ms: i64) -> Option<i64> {
        self.days.map(|days| now_ms.saturating_add(i64::from(days).saturating_mul(DAY_MS)))
    }
}

impl Charger {
    /// The vault, where this merchant's cards may have to go there.
    pub(super) fn vault_of(&self, merchant: &Merchant) -> Option<&Cards> {
        self.vault.as_deref().filter(|_| merchant.keep.may_ask_vault())
    }

    /// Draws the token of a card that is to be kept, and copies for the vault what it may need.
    pub(super) fn to_keep(&self, merchant: &Merchant, card: &Card) -> Result<(Keep, Option<CardCopy>), Refusal> {
        let token = vault::draw(&System).map_err(|_| Refusal::Busy)?;
        let copy = self.vault_of(merchant).map(|_| card.to_be_kept()).transpose().map_err(|_| Refusal::Busy)?;
        Ok((Keep { token, card: card.view() }, copy))
    }

    /// Keeps the card of an attempt that is approved, as far as it was to be. Without the copy it is what a vault has already.
    pub(super) async fn keep(
        &self,
        attempt: &UnderWay,
        approval: &Approval,
        copy: Option<CardCopy>,
    ) -> Result<Kept, NotKept> {
        let keep = attempt.keep.as_ref().ok_or(NotKept::NotApproved)?;
        let merchant = self.merchants.get(attempt.merchant.as_str()).ok_or(NotKept::VaultFault)?;
        let own = approval.token.clone().filter(|_| merchant.keep.asks_gateway());
        let gateway = own.map(|token| (attempt.gateway.clone(), token));
        let vaulted = match self.vault_of(merchant).filter(|_| merchant.keep.asks_vault(gateway.is_some())) {
            Some(cards) => vaulted(cards, &merchant.keep, &keep.token, copy).await,
            None => Err(NotKept::NoToken),
        };
        let (keeper, same_as) = match (&gateway, vaulted) {
            (Some(_), Ok(same_as)) => (Keeper::Both, same_as),
            (Some(_), Err(_)) => (Keeper::Gateway, None),
            (None, Ok(same_as)) => (Keeper::Vault, same_as),
            (None, Err(why)) => return Err(why),
        };
        let (token, card, merchant) = (keep.token.clone(), keep.card, attempt.merchant.clone());
        Ok(Kept { card: KeptCard { token, merchant, card, keeper, same_as }, gateway })
    }

    /// Shreds the card of an attempt that is about to end without it: a process before this one, or a vault whose answer was
    /// lost, may have vaulted it. Before the end is written, so that a death in between leaves the attempt open and this is
    /// done again. Of an attempt that has ended already the first word stands, and so does its card.
    pub(super) async fn leave_no_card(&self, attempt: &UnderWay) {
        let Some(keep) = &attempt.keep else { return };
        let merchant = self.merchants.get(attempt.merchant.as_str());
        let Some((cards, tenant)) = self.vault.as_deref().zip(merchant.map(|merchant| &merchant.keep.tenant)) else {
            return;
        };
        if let Ok(Some(noted)) = self.journal.find(attempt.operation.attempt).await
            && !noted.is_open
        {
            return;
        }
        match cards.holds(tenant, &keep.token).await {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => tracing::debug!(%error, "whether a card is there is not known: it is shredded all the same"),
        }
        let token = std::slice::from_ref(&keep.token);
        if let Err(error) = cards.shred(clock::unix_ms(), tenant, token, Reason::Shredded).await {
            tracing::error!(%error, token = %keep.token, "a card that is not to be kept could not be shredded: shred it by hand");
        }
    }

    /// A card that was vaulted for an attempt which had ended already: the first word stands, and said that it is not kept.
    pub(super) async fn unkeep(&self, attempt: &UnderWay, kept: &Kept) {
        let merchant = self.merchants.get(attempt.merchant.as_str());
        let Some((cards, tenant)) = self.vault.as_deref().zip(merchant.map(|merchant| &merchant.keep.tenant)) else {
            return;
        };
        let token = std::slice::from_ref(&kept.card.token);
        if let Err(error) = cards.shred(clock::unix_ms(), tenant, token, Reason::Shredded).await {
            tracing::error!(%error, token = %kept.card.token, "a card that nobody was told of could not be shredded: shred it by hand");
        }
    }
}

/// What the agent is told.
pub(super) fn told(kept: &Result<Kept, NotKept>) -> Keeping {
    if kept.is_ok() { Keeping::Kept } else { Keeping::NotKept }
}

/// Puts the card into the vault, or looks whether it is there. Returns an older token of the same card.
async fn vaulted(
    cards: &Cards,
    rules: &KeepRules,
    token: &Token,
    copy: Option<CardCopy>,
) -> Result<Option<Token>, NotKept> {
    let fault = |error: vault::VaultError| {
        tracing::error!(%error, "the vault did not take a card: what was paid is paid, the card is not kept");
        NotKept::VaultFault
    };
    let Some((pan, expiry)) = copy else {
        let is_there = cards.holds(&rules.tenant, token).await.map_err(fault)?;
        return if is_there { Ok(None) } else { Err(NotKept::CardGone) };
    };
    let now_ms = clock::unix_ms();
    // That it is the same card as another is of use, and no reason not to keep it.
    let same_as = cards.oldest(&rules.tenant, &pan).await.unwrap_or_default();
    cards.store_as(now_ms, (&rules.tenant, token), (&pan, &expiry), rules.until_ms(now_ms)).await.map_err(fault)?;
    Ok(same_as)
}
