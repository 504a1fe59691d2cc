//! How the figures of a call are shown.

use super::schema;
use serde::Serialize;
use utoipa::ToSchema;
use wire::{CallFigures, KeyTransport};

/// How the legs of a call fare, and how their sound is carried.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallFiguresView {
    caller: LegFiguresView,
    agent: LegFiguresView,
}

/// One leg. Counts are of packets, since the call began.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LegFiguresView {
    /// As SDP names it.
    #[schema(example = "PCMA")]
    codec: Option<String>,
    /// The crypto-suite; none: the sound is not protected.
    #[schema(example = "AEAD_AES_256_GCM")]
    srtp: Option<String>,
    /// The payload type of telephone-event that was agreed on.
    telephone_event: Option<u8>,
    /// By which ways the caller's keys have come; of the agent's side that is not looked at.
    #[schema(value_type = Vec<schema::KeyTransport>)]
    keys_by: Vec<KeyTransport>,
    received: u32,
    lost: u32,
    /// Not from the peer's address, of another stream, or not authentic.
    refused: u32,
    /// Of what was received.
    jitter_us: Option<u32>,
    sent: u32,
    /// What the peer reports of what it was sent, if it does.
    reported: Option<PeerFiguresView>,
}

/// What a peer reports by RTCP.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PeerFiguresView {
    lost: i32,
    jitter_us: u32,
    round_trip_ms: Option<u32>,
}

impl CallFiguresView {
    pub(crate) fn new(figures: &CallFigures) -> Self {
        Self { caller: LegFiguresView::new(&figures.caller), agent: LegFiguresView::new(&figures.agent) }
    }
}

impl LegFiguresView {
    fn new(leg: &wire::LegFigures) -> Self {
        let reported = leg.reported.map(|peer| PeerFiguresView {
            lost: peer.lost,
            jitter_us: peer.jitter_us,
            round_trip_ms: peer.round_trip_ms,
        });
        Self {
            codec: leg.codec.clone(),
            srtp: leg.srtp.clone(),
            telephone_event: leg.telephone_event,
            keys_by: leg.keys_by.clone(),
            received: leg.received,
            lost: leg.lost,
            refused: leg.refused,
            jitter_us: leg.jitter_us,
            sent: leg.sent,
            reported,
        }
    }
}
