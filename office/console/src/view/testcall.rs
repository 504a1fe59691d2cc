//! How a test call is shown: each step in plain words.

use super::schema;
use crate::clock::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;
use wire::{CallId, PeerFigures, TestEvent, TestResult, TestSnapshot, TestStep, trunk::call_advice};

/// A test call as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestView {
    /// UUID: `/api/v1/calls/{call}/ladder` has its SIP messages.
    #[schema(value_type = String)]
    test: CallId,
    trunk: String,
    /// RFC 3339.
    started_at: String,
    /// None while it goes on.
    #[schema(value_type = Option<schema::TestResult>)]
    result: Option<TestResult>,
    steps: Vec<StepView>,
}

/// One step.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StepView {
    /// Since the beginning.
    after_ms: u32,
    /// What has happened, and where it went wrong the way out.
    text: String,
}

impl TestView {
    pub(crate) fn new(test: &TestSnapshot) -> Self {
        Self {
            test: test.test,
            trunk: test.trunk.clone(),
            started_at: rfc3339(test.started_unix_ms),
            result: test.result,
            steps: test.steps.iter().map(StepView::new).collect(),
        }
    }
}

impl StepView {
    fn new(step: &TestStep) -> Self {
        Self { after_ms: step.after_ms, text: words(&step.what) }
    }
}

fn words(what: &TestEvent) -> String {
    match what {
        TestEvent::Asked { address, status: 408 } => {
            format!("{address} did not answer OPTIONS. It is called all the same: not everybody answers that.")
        }
        TestEvent::Asked { address, status } => format!("{address} is there: it answered OPTIONS with {status}."),
        TestEvent::NoPorts => "No media ports could be had: look at [media] first_port and last_port.".to_owned(),
        TestEvent::Called { address, number } => format!("{number} is called at {address}."),
        TestEvent::Progress { status: 180 } => "It rings.".to_owned(),
        TestEvent::Progress { status } => format!("The other side is at work ({status})."),
        TestEvent::Refused { status } => format!("The call was not taken ({status}): {}.", call_advice(*status)),
        TestEvent::NotAnswered => "Nobody answered in 30 seconds: choose a number that always answers.".to_owned(),
        TestEvent::Answered { codec, srtp, telephone_event } => answered(codec, srtp.as_deref(), *telephone_event),
        TestEvent::Unusable => {
            "It was answered with a description of sound that cannot be used: its SDP is in the messages of this call."
                .to_owned()
        }
        TestEvent::Sound { received, lost, refused, jitter_us, sent, reported } => {
            let heard = heard((*received, *lost, *refused), *jitter_us);
            format!("{heard} {}", sent_words(*sent, *reported))
        }
        TestEvent::HungUp { by_them: true } => "The other side hung up.".to_owned(),
        TestEvent::HungUp { by_them: false } => "The test hung up.".to_owned(),
    }
}

fn answered(codec: &str, srtp: Option<&str>, telephone_event: Option<u8>) -> String {
    let srtp =
        srtp.map_or_else(|| "sound is not protected".to_owned(), |suite| format!("sound is protected by {suite}"));
    let keys = telephone_event.map_or_else(
        || "keys cannot come as events, only as INFO or as tones".to_owned(),
        |payload_type| format!("keys may come as events (payload type {payload_type})"),
    );
    format!("It was answered: codec {codec}, {srtp}, {keys}.")
}

fn heard((received, lost, refused): (u32, u32, u32), jitter_us: Option<u32>) -> String {
    match (received, refused) {
        (0, 0) => {
            "No sound came: a firewall may stop RTP to [media] first_port to last_port, or [media] address is not \
                   where the other side can reach this server."
                .to_owned()
        }
        (0, refused) => format!(
            "No sound could be taken, but {refused} packets came that were refused: from another address than the other \
             side's SDP names, or not authentic."
        ),
        _ => {
            let jitter =
                jitter_us.map_or_else(String::new, |jitter| format!(", jitter {} ms", f64::from(jitter) / 1000.0));
            format!("Sound came: {received} packets, {lost} lost{jitter}.")
        }
    }
}

fn sent_words(sent: u32, reported: Option<PeerFigures>) -> String {
    let Some(peer) = reported else {
        return format!("{sent} packets were sent; the other side does not say (by RTCP) what of that it got.");
    };
    let trip = peer.round_trip_ms.map_or_else(String::new, |trip| format!(", round trip {trip} ms"));
    format!("{sent} packets were sent, of which the other side says {} were lost{trip}.", peer.lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(received: u32, refused: u32, reported: Option<PeerFigures>) -> String {
        words(&TestEvent::Sound { received, lost: 1, refused, jitter_us: Some(1_500), sent: 250, reported })
    }

    #[test]
    fn each_step_is_said_with_the_way_out() {
        assert!(sound(0, 0, None).contains("first_port"));
        assert!(sound(0, 9, None).contains("9 packets came that were refused"));
        let reported = Some(PeerFigures { lost: 2, jitter_us: 0, round_trip_ms: Some(40) });
        assert_eq!(
            sound(248, 0, reported),
            "Sound came: 248 packets, 1 lost, jitter 1.5 ms. 250 packets were sent, of which the other side says 2 were lost, \
             round trip 40 ms."
        );
        assert!(words(&TestEvent::Refused { status: 403 }).contains("(403): it forbids"));
        let plain = words(&TestEvent::Answered { codec: "PCMA".to_owned(), srtp: None, telephone_event: None });
        assert!(plain.contains("not protected") && plain.contains("INFO or as tones"), "{plain}");
    }
}
