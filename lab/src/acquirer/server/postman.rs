//! Posts the bank's notices: as often as it says, and each until it is taken.

use crate::acquirer::webhook::Notice;
use aws_lc_rs::hmac;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// Posts at once.
const TOGETHER_MAX: usize = 32;
/// Pauses before a notice that was not taken is posted again; after the last it is given up, as banks do after days.
const PAUSES_S: [u64; 7] = [1, 1, 2, 4, 8, 16, 30];
const ANSWER_MAX: Duration = Duration::from_secs(5);

pub(super) fn post(notice: Notice) {
    let (notice, delays) = (Arc::new(notice.clone()), notice.delays_ms);
    for delay_ms in delays {
        let notice = Arc::clone(&notice);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            for pause_s in PAUSES_S {
                if is_taken(&notice).await {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(pause_s)).await;
            }
        });
    }
}

async fn is_taken(notice: &Notice) -> bool {
    static ROOM: Semaphore = Semaphore::const_new(TOGETHER_MAX);
    let (Ok(_place), Some(client)) = (ROOM.acquire().await, client()) else { return false };
    let to = &notice.to;
    let request = client.post(&to.url).header("content-type", "application/json");
    let signed = request.header(to.shape.header(), signature(to.secret.as_bytes(), &notice.body, now_s()));
    signed.body(notice.body.clone()).send().await.is_ok_and(|answer| answer.status().is_success())
}

/// As Stripe signs (docs.stripe.com/webhooks/signature): the time, a full stop and the body.
fn signature(secret: &[u8], body: &[u8], unix_s: u64) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    context.update(format!("{unix_s}.").as_bytes());
    context.update(body);
    let hex: String = context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={unix_s},v1={hex}")
}

fn client() -> Option<&'static reqwest::Client> {
    static CLIENT: OnceLock<Option<reqwest::Client>> = OnceLock::new();
    let made = || reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).build().ok();
    CLIENT.get_or_init(made).as_ref()
}

#[expect(clippy::disallowed_methods, reason = "a shell has a clock")]
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
