//! What the gateways tell of a day: asked by the office, page by page, with the credentials and hosts that only the cde has.

use super::Charger;
use crate::terminal::Terminal;
use gateway::Period;
use wire::{MerchantId, Refusal, ReportCursor, ReportPage};

/// The longest time that is asked for at once: a month, in milliseconds.
const PERIOD_MS_MAX: i64 = 31 * 24 * 60 * 60 * 1000;

impl Charger {
    /// A page of what a merchant's gateways tell, those of them that can be asked one after another.
    pub(super) async fn report(
        &self,
        merchant: &MerchantId,
        (from_unix_ms, until_unix_ms): (i64, i64),
        cursor: Option<&ReportCursor>,
    ) -> Result<ReportPage, Refusal> {
        let configured = self.merchants.get(merchant.as_str()).ok_or(Refusal::UnknownMerchant)?;
        let length = until_unix_ms.checked_sub(from_unix_ms);
        if !length.is_some_and(|length| (1..=PERIOD_MS_MAX).contains(&length)) {
            return Err(Refusal::WrongState);
        }
        let period = Period { from_unix_ms, until_unix_ms };
        let names = configured.choices.iter().map(|choice| &choice.name);
        let reports = |name: &&String| self.terminals.get(*name).is_some_and(Terminal::reports);
        let mut names: Vec<&String> = names.filter(reports).collect();
        // A gateway may stand in the list twice, for two kinds of payments.
        names.sort_unstable();
        names.dedup();
        let wanted = |name: &&&String| cursor.is_none_or(|cursor| ***name == cursor.gateway);
        let mut rest = names.iter().skip_while(|name| !wanted(name));
        let name = *rest.next().ok_or(Refusal::Unsupported)?;
        let terminal = self.terminals.get(name).ok_or(Refusal::UnknownGateway)?;
        let after = cursor.and_then(|cursor| cursor.after.as_deref());
        let (format, page) = terminal.report(period, after).await.ok_or_else(|| {
            tracing::warn!(gateway = %name, "this gateway gave no report that can be read: may its key read the balance?");
            Refusal::NoReport
        })?;
        let more = page.next.map(|after| ReportCursor { gateway: name.clone(), after: Some(after) });
        let next = more.or_else(|| rest.next().map(|name| ReportCursor { gateway: (*name).clone(), after: None }));
        Ok(ReportPage {
            gateway: name.clone(),
            format: format.to_owned(),
            lines: page.lines,
            skipped: page.skipped,
            next,
        })
    }
}
