//! Idempotency keys that a restore from a backup has forgotten: a request that was served since the backup may come again, with a key
//! that nobody knows any more. What it would do twice is refused, and the answer says how it is meant after all.

use super::problem::Problem;
use crate::{app::App, clock::now_ms};
use axum::http::StatusCode;
use std::time::Duration;
use tokio::time::timeout;
use wire::{Action, AttemptKind, Money, PaymentId};

/// How long a request waits for what the card side has to tell an office that has just started; mostly that is told in less.
const TELLING_WAIT: Duration = Duration::from_secs(2);

/// A capture or a refund with a key that is not known here.
pub(super) async fn follow_up(app: &App, action: &Action) -> Result<(), Problem> {
    let (payment, kind, minor) = match action {
        Action::Capture { payment, amount: Some(amount), .. } => (*payment, AttemptKind::Capture, Some(amount.minor)),
        // No capture follows one of all that was left. A refund does follow one, where more was captured after it.
        Action::Refund { payment, amount } => (*payment, AttemptKind::Refund, amount.map(|amount| amount.minor)),
        _ => return Ok(()),
    };
    all_is_told(app).await?;
    if app.store.may_be_repeated(now_ms(), payment, kind, minor).await? {
        let detail = match minor {
            Some(_) => {
                "This office was restored from a backup, and the payment has the same one, of the same amount, from the time \
                 whose idempotency keys are forgotten: look at it. For another one send the request without a key."
            }
            None => {
                "This office was restored from a backup, and the payment has a refund from the time whose idempotency keys are \
                 forgotten: look at it. For another one say an amount that differs, or send the request without a key."
            }
        };
        return Err(Problem::new(StatusCode::CONFLICT, "restored_repeat", detail));
    }
    Ok(())
}

/// A charge of a card on file, with a key that is not known here. Which card it was that a forgotten one has charged nobody has told:
/// whoever asks says which payments it is not.
pub(super) async fn charge(app: &App, amount: Money, besides: &[PaymentId]) -> Result<(), Problem> {
    all_is_told(app).await?;
    let merchant = &app.config.merchant;
    let Some(like) = app.store.charge_repeated(now_ms(), merchant, amount, besides).await? else { return Ok(()) };
    let detail = format!(
        "This office was restored from a backup, and payment {like} is a charge of the same amount from the time whose idempotency keys \
         are forgotten: look whether it is this one. If it is not, send the request once more with it among `besides`."
    );
    Err(Problem { detail: detail.into(), ..Problem::new(StatusCode::CONFLICT, "restored_repeat", "") })
}

/// An office that has just started may be a restored one, and learns that, with what it has forgotten, before the card side says that
/// all is told. A connection that is lost later has nothing to do with it.
async fn all_is_told(app: &App) -> Result<(), Problem> {
    let mut told = app.all_told.subscribe();
    let told = timeout(TELLING_WAIT, told.wait_for(|all| *all)).await;
    if told.is_ok_and(|told| told.is_ok()) {
        return Ok(());
    }
    if !app.door.is_up() {
        return Err(Problem::DOOR_DOWN);
    }
    let detail = "This office has just started, and the card side still tells what happened before. Until that is stored nothing is \
                  taken or given back by a new idempotency key. Nothing was done; ask again.";
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "catching_up", detail).retry_after(1))
}
