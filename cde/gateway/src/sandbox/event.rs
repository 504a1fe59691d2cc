//! What the sandbox's webhooks say: how one of our operations ended.

use super::{Done, answer};
use crate::request::Kind;
use crate::text;
use crate::webhook::{GatewayEvent, Says};
use serde::Deserialize;
use wire::Money;

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    about: String,
    object: Done,
}

pub(super) fn read(body: &[u8]) -> Option<GatewayEvent> {
    let Event { id, about, object } = serde_json::from_slice(body).ok()?;
    let says = match kind(&about) {
        Some(kind) => {
            let amount = object.amount.zip(object.currency).map(|(minor, currency)| Money { minor, currency });
            Says::Ended { kind, answer: answer(kind, amount, &object) }
        }
        None => Says::Other,
    };
    Some(GatewayEvent { id: text::name(&id)?, attempt: Some(object.reference), locator: text::name(&object.id), says })
}

fn kind(about: &str) -> Option<Kind> {
    Some(match about {
        "charge.ended" => Kind::Authorize,
        "capture.ended" => Kind::Capture,
        "void.ended" => Kind::Void,
        "refund.ended" => Kind::Refund,
        "token.ended" => Kind::Store,
        "deletion.ended" => Kind::DeleteStored,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::Adapter;
    use crate::answer::Answer;
    use crate::sandbox::Sandbox;
    use crate::webhook::WebhookError;
    use wire::{AttemptId, Currency};

    const EVENT: &str = r#"{"id":"evt_000004","type":"charge.ended","object":{"id":"ch_000003",
        "reference":"00000000-0000-4000-8000-000000000007","status":"approved","amount":4200,"currency":"GBP"}}"#;

    #[test]
    fn an_event_says_which_attempt_ended_and_how() {
        let event = read(EVENT.as_bytes()).unwrap();
        assert_eq!((event.id.as_str(), event.attempt), ("evt_000004", Some(AttemptId::from_random(7))));
        let Says::Ended { kind: Kind::Authorize, answer: Answer::Approved(approval) } = event.says else { panic!() };
        assert_eq!(approval.amount, Some(Money { minor: 4200, currency: Currency::GBP }));
        let declined = EVENT.replace("\"approved\"", "\"declined\",\"network_code\":\"51\"");
        let says = read(declined.as_bytes()).unwrap().says;
        assert!(matches!(says, Says::Ended { answer: Answer::Declined { .. }, .. }), "{says:?}");
        assert_eq!(read(EVENT.replace("charge.ended", "weather.changed").as_bytes()).unwrap().says, Says::Other);
        assert!(read(b"{}").is_none());
    }

    #[test]
    fn without_a_secret_and_a_signature_nothing_is_believed() {
        let sandbox = Sandbox::new(String::new());
        let headers = [("sandbox-signature", "t=1,v1=00")];
        assert_eq!(sandbox.verify_webhook(&headers, EVENT.as_bytes(), 0), Err(WebhookError::NoSecret));
        let sandbox = sandbox.with_webhooks(Some("whsec_test".to_owned()));
        assert_eq!(sandbox.verify_webhook(&headers, EVENT.as_bytes(), 0), Err(WebhookError::Signature));
    }
}
