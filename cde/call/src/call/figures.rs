//! How the legs fare: asked of the media session while both sides are connected, and told once more at the end.

use super::{Call, Context, Phase};
use crate::leg::Leg;
use crate::switchboard::{MediaOrder, Output};
use media::{Flow, LegStats, Side, Stats};
use std::time::{Duration, Instant};
use wire::{
    AuditAction, AuditEvent, CallFigures, CallId, Event, Extension, KeyTransport, LegFigures, Origin, PeerFigures,
};

/// Samples of 8 kHz are so long, in microseconds.
pub(super) const SAMPLE_US: u32 = 125;
/// How often the session is asked.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// What is known of a call that is over, until its media session has said its last.
pub(crate) struct Parting {
    call: CallId,
    extension: Extension,
    /// Without counts.
    legs: CallFigures,
}

impl Parting {
    /// For the audit trail and the office, with what the session has counted.
    pub(crate) fn complete(self, stats: &Stats) -> [Output; 2] {
        let figures = counted(self.legs, stats);
        let shown = Event::Figures { call: self.call, figures: figures.clone() };
        let action = AuditAction::Figures { figures };
        let (origin, call, extension) = (Origin::System, self.call, self.extension);
        [Output::Wire(shown), Output::Audit(AuditEvent { origin, call, extension, action })]
    }
}

impl Call {
    /// Asks the session if it is time.
    pub(super) fn figures_timeout(&mut self, context: &mut Context<'_>) {
        if self.figures_at.is_some_and(|at| at <= context.now) {
            self.figures_at = Some(context.now + ASK_EVERY);
            context.outputs.push_back(Output::Media { call: self.id, order: MediaOrder::Count });
        }
    }

    /// Both sides are connected: there will be something to count.
    pub(super) fn keep_figures(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Talking) {
            self.figures_at.get_or_insert(now + ASK_EVERY);
        }
    }

    /// What the session has counted up to now.
    pub(super) fn counted(&self, context: &mut Context<'_>, stats: &Stats) {
        let figures = counted(self.legs(), stats);
        context.outputs.push_back(Output::Wire(Event::Figures { call: self.id, figures }));
    }

    /// None where nothing was ever agreed on.
    pub(crate) fn parting(&self) -> Option<Parting> {
        let is_worth_it = self.caller.agreed.is_some() || self.agent.agreed.is_some();
        is_worth_it.then(|| Parting { call: self.id, extension: self.extension.clone(), legs: self.legs() })
    }

    fn legs(&self) -> CallFigures {
        CallFigures { caller: agreed(self.side(Side::Caller)), agent: agreed(self.side(Side::Agent)) }
    }
}

/// How a leg's sound is carried.
fn agreed(leg: &Leg) -> LegFigures {
    let Some(agreed) = leg.agreed else { return LegFigures::default() };
    LegFigures {
        codec: Some(agreed.codec.encoding().to_owned()),
        srtp: agreed.protection.map(|protection| protection.suite.name().to_owned()),
        telephone_event: agreed.telephone_event,
        ..LegFigures::default()
    }
}

fn counted(legs: CallFigures, stats: &Stats) -> CallFigures {
    let ways = stats.key_ways;
    let keys_by =
        [(ways.events, KeyTransport::Events), (ways.infos, KeyTransport::Info), (ways.tones, KeyTransport::Tones)];
    let keys_by = keys_by.into_iter().filter(|(has_come, _)| *has_come).map(|(_, way)| way).collect();
    CallFigures {
        caller: LegFigures { keys_by, ..leg(legs.caller, &stats.caller, stats.caller_flow) },
        agent: leg(legs.agent, &stats.agent, stats.agent_flow),
    }
}

fn leg(agreed: LegFigures, stats: &LegStats, flow: Flow) -> LegFigures {
    let refused = [stats.refused_source, stats.refused_ssrc, stats.refused_srtp];
    LegFigures {
        received: stats.accepted,
        lost: stats.lost,
        refused: refused.into_iter().fold(0, u32::saturating_add),
        jitter_us: flow.jitter.map(|jitter| jitter.saturating_mul(SAMPLE_US)),
        sent: flow.sent,
        reported: stats.reported.map(|reported| PeerFigures {
            lost: reported.lost,
            jitter_us: reported.jitter.saturating_mul(SAMPLE_US),
            round_trip_ms: reported.round_trip.and_then(|time| u32::try_from(time.as_millis()).ok()),
        }),
        ..agreed
    }
}
