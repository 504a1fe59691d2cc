//! Credentials of gateways as commands of the office: given, and never given back.

use super::Charger;
use wire::{Action, Command, CommandResult, CredentialSlot, Origin, Refusal, Sealed};

impl Charger {
    /// Does what a command wants that is about money, kept cards or gateways, and not about a call.
    pub(crate) async fn answer(&self, command: &Command) -> CommandResult {
        let done = match &command.action {
            Action::Gateways => return self.gateways().await,
            Action::Report { merchant, from_unix_ms, until_unix_ms, next } => {
                return match self.report(merchant, (*from_unix_ms, *until_unix_ms), next.as_ref()).await {
                    Ok(page) => CommandResult::Report(page),
                    Err(reason) => CommandResult::Refused { reason },
                };
            }
            Action::SetCredential { gateway, slot, sealed } => {
                self.set_credential(gateway, *slot, sealed, &command.origin).await
            }
            _ => self.command(command).await,
        };
        match done {
            Ok(()) => CommandResult::Done,
            Err(reason) => CommandResult::Refused { reason },
        }
    }

    async fn gateways(&self) -> CommandResult {
        match self.safe.seal_to().await {
            Ok(seal_to) => {
                let gateways = self.terminals.values().map(|terminal| self.safe.view(&terminal.configured));
                CommandResult::Gateways { seal_to, gateways: gateways.collect() }
            }
            Err(error) => {
                tracing::error!(%error, "the vault does not tell the key that credentials are sealed to");
                CommandResult::Refused { reason: Refusal::VaultFault }
            }
        }
    }

    /// It is opened and tried with its adapter, put on disk as it came, and then used.
    async fn set_credential(
        &self,
        gateway: &str,
        slot: CredentialSlot,
        sealed: &Sealed,
        origin: &Origin,
    ) -> Result<(), Refusal> {
        let terminal = self.terminals.get(gateway).ok_or(Refusal::UnknownGateway)?;
        if !terminal.configured.key_from_office {
            return Err(Refusal::Unsupported);
        }
        // One after another: what is on disk is what is used.
        let _turn = self.giving.lock().await;
        let secret = self.safe.open(gateway, slot, sealed).await?;
        let mut secrets = self.safe.secrets(gateway).await;
        secrets.insert(slot, secret);
        terminal.check(&secrets).map_err(|message| {
            tracing::warn!(%gateway, slot = slot.as_str(), %message, "a credential of the office is not taken");
            Refusal::BadCredential
        })?;
        let given = secrets.get(&slot).map_or("", |secret| secret.as_str());
        let by = if let Origin::User { id } = origin { Some(*id) } else { None };
        self.safe.keep(gateway, slot, (sealed, given), by).map_err(|error| {
            tracing::error!(%gateway, %error, "a credential could not be written");
            Refusal::JournalFault
        })?;
        tracing::info!(%gateway, slot = slot.as_str(), "a credential was given in the office and is used from now on");
        terminal.give(&secrets).map_err(|_| Refusal::BadCredential)
    }
}
