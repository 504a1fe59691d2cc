//! For machines that watch: is it alive, is it ready, how is it doing. Nothing here tells of a call or a person.

use crate::app::{App, Counters, STREAMS_MAX};
use crate::clock::now_ms;
use crate::recorders;
use crate::recurring::watch;
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use utoipa::ToSchema;
use wire::{PlaceState, RegistrationState};

/// Is the process alive?
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = String)))]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Can it serve?
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    ready: bool,
    /// `up` or `down`: the connection to the card side.
    door: &'static str,
    /// Plain words on what is wrong with this installation.
    warnings: Vec<String>,
}

/// Can it serve: does the database answer, and is there a connection to the card side?
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let (door_up, database) = (app.hub(|hub| hub.door_is_up()), app.store.healthy().await);
    let mut warnings = app.door.warnings();
    if !database {
        warnings.push("the database does not answer".to_owned());
    }
    warnings.extend(recurring_warnings(&app).await);
    warnings.extend(recorders::warnings(&app).await);
    let ready = door_up && database;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, door: if door_up { "up" } else { "down" }, warnings })).into_response()
}

/// Figures for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health", security(()), responses(
    (status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut text = String::new();
    let (door_up, calls) = app.hub(|hub| (hub.door_is_up(), hub.call_ids().len()));
    let streams = STREAMS_MAX - app.streams.available_permits();
    gauge(&mut text, "tonewall_office_door_up", "Whether the card side is connected.", u64::from(door_up));
    gauge(&mut text, "tonewall_office_calls", "Live calls.", u64::try_from(calls).unwrap_or(u64::MAX));
    gauge(&mut text, "tonewall_office_streams", "Desks that watch.", u64::try_from(streams).unwrap_or(u64::MAX));
    for (name, help, counter) in counters(&app.counters) {
        write(&mut text, name, help, "counter", &[(String::new(), counter.load(Ordering::Relaxed).to_string())]);
    }
    let worst = app.counters.worst_permille.load(Ordering::Relaxed);
    let help = "The largest part of a masked frame that the two tones of a key held, in thousandths.";
    gauge(&mut text, "tonewall_office_witness_worst_permille", help, worst);
    trunks(&mut text, &app);
    recurring(&mut text, &app).await;
    hooks(&mut text, &app).await;
    let by_state = app.store.payment_counts().await.unwrap_or_default();
    let by_state: Vec<_> =
        by_state.into_iter().map(|(state, count)| (format!("{{state=\"{state}\"}}"), count.to_string())).collect();
    write(&mut text, "tonewall_office_payments_open", "Stored payments that have no end yet.", "gauge", &by_state);
    let alarms = app.store.alarm_counts().await.unwrap_or_default();
    let alarms: Vec<_> =
        alarms.into_iter().map(|(alarm, count)| (format!("{{alarm=\"{alarm}\"}}"), count.to_string())).collect();
    write(
        &mut text,
        "tonewall_office_money_alarms_open",
        "Alarms about money that nobody has looked at.",
        "gauge",
        &alarms,
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// What is wrong with recurring payments.
async fn recurring_warnings(app: &App) -> Vec<String> {
    let (now, settings) = (now_ms(), &app.config.recurring);
    let figures = app.store.recurring_figures(now, settings.lease_ms()).await.unwrap_or_default();
    let mut warnings = Vec::new();
    if !settings.enabled && figures.active > 0 {
        warnings.push("recurring payments are switched off in office.toml, and there are agreements".to_owned());
    }
    if figures.overdue > 0 {
        let count = figures.overdue;
        warnings.push(format!("{count} recurring payments were due more than an hour ago"));
    }
    if figures.missed > 0 {
        let count = figures.missed;
        warnings.push(format!("{count} recurring payments were not taken in their time: the page Repeats has them"));
    }
    warnings.extend(app.clock(|watch| watch.held()).map(watch::words));
    let idle_ms = now.saturating_sub(app.counters.recurring_turn_ms.load(Ordering::Relaxed));
    let most_ms = i64::try_from(settings.poll_ms.saturating_mul(4)).unwrap_or(i64::MAX).max(60_000);
    if settings.enabled && app.counters.recurring_turn_ms.load(Ordering::Relaxed) > 0 && idle_ms > most_ms {
        warnings.push(format!("nobody has looked for recurring payments for {} s", idle_ms / 1000));
    }
    warnings
}

/// How recurring payments stand.
async fn recurring(text: &mut String, app: &App) {
    let now = now_ms();
    let lease_ms = app.config.recurring.lease_ms();
    let Ok(figures) = app.store.recurring_figures(now, lease_ms).await else { return };
    let turn = app.counters.recurring_turn_ms.load(Ordering::Relaxed);
    let held = i64::from(app.clock(|watch| watch.held().is_some()));
    for (name, help, value) in [
        ("tonewall_recurring_agreements", "Agreements that payments are still to come of.", figures.active),
        ("tonewall_recurring_due", "Recurring payments to be taken, or asked after, now.", figures.due),
        ("tonewall_recurring_overdue", "Recurring payments that were due more than an hour ago.", figures.overdue),
        ("tonewall_recurring_missed", "Those given up as late that nobody has decided about.", figures.missed),
        ("tonewall_recurring_held", "Whether none is taken because the clock is in doubt.", held),
        ("tonewall_recurring_unknown", "Recurring payments whose outcome is not known.", figures.unknown),
        ("tonewall_recurring_leases", "Recurring payments that are being asked for.", figures.leases),
        ("tonewall_recurring_lease_age_seconds", "How long the oldest of them has been.", figures.lease_age_ms / 1000),
        ("tonewall_recurring_turn_timestamp_seconds", "When due payments were last looked for.", turn / 1000),
        ("tonewall_messages_waiting", "Texts for customers that nobody has taken.", figures.messages),
    ] {
        gauge(text, name, help, u64::try_from(value).unwrap_or(0));
    }
}

/// How recorders elsewhere stand.
async fn hooks(text: &mut String, app: &App) {
    let Ok(figures) = app.store.recorder_figures().await else { return };
    let late: i64 = figures.alarmed.iter().map(|(_, calls, _)| calls).sum();
    for (name, help, value) in [
        (
            "tonewall_recorder_hooks_pausing",
            "Recorders elsewhere that are to pause, or have, by call.",
            figures.pausing,
        ),
        ("tonewall_recorder_hooks_resuming", "Those that have not said that they resume.", figures.resuming),
        ("tonewall_recorder_hooks_late", "Those of them that people should look at: they may not be recording.", late),
    ] {
        gauge(text, name, help, u64::try_from(value).unwrap_or(0));
    }
}

/// How the trunks are. A place is told by its number among the trunk's own: nobody without a session learns its address.
fn trunks(text: &mut String, app: &App) {
    let (mut legs, mut up, mut failures, mut registered) = (vec![], vec![], vec![], vec![]);
    app.hub(|hub| {
        for trunk in hub.trunks() {
            let name = label(&trunk.name);
            legs.push((format!("{{trunk=\"{name}\"}}"), trunk.legs.to_string()));
            for (number, place) in (1..).zip(&trunk.places) {
                let of = format!("{{trunk=\"{name}\",place=\"{number}\"}}");
                let is_up = u8::from(place.state != PlaceState::Down);
                up.push((of.clone(), is_up.to_string()));
                failures.push((of.clone(), place.failures.to_string()));
                let state = place.registration.map(|registration| registration.state);
                let is = state.map(|state| u8::from(state == RegistrationState::Registered).to_string());
                registered.extend(is.map(|is| (of, is)));
            }
        }
    });
    let help = "Legs of calls to and from a trunk.";
    write(text, "tonewall_trunk_legs", help, "gauge", &legs);
    let help = "Whether a place of a trunk is taken for up; 0 after failures in a row.";
    write(text, "tonewall_trunk_place_up", help, "gauge", &up);
    let help = "Calls, probes and registrations that a place of a trunk has not answered.";
    write(text, "tonewall_trunk_place_failures_total", help, "counter", &failures);
    let help = "Whether a place of a trunk that is to know where this server is does.";
    write(text, "tonewall_trunk_registered", help, "gauge", &registered);
}

/// A label's value, as the text format wants it.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn counters(counters: &Counters) -> [(&'static str, &'static str, &AtomicU64); 10] {
    [
        (
            "tonewall_office_frames_witnessed_total",
            "Frames of masked agent legs that the witness has heard.",
            &counters.frames_witnessed,
        ),
        (
            "tonewall_office_frames_suspicious_total",
            "Frames of them that sounded like a key, and were not sent.",
            &counters.frames_suspicious,
        ),
        ("tonewall_office_records_total", "Records of the card side stored.", &counters.records),
        ("tonewall_office_door_connections_total", "Connections to the card side.", &counters.connections),
        ("tonewall_office_commands_done_total", "Commands done.", &counters.commands_done),
        ("tonewall_office_commands_refused_total", "Commands refused.", &counters.commands_refused),
        ("tonewall_office_commands_failed_total", "Commands without an answer.", &counters.commands_failed),
        ("tonewall_office_sign_ins_total", "Sign-ins.", &counters.sign_ins),
        ("tonewall_office_sign_in_failures_total", "Sign-ins refused.", &counters.sign_in_failures),
        ("tonewall_office_panics_total", "Requests that met a fault of this program.", &counters.panics),
    ]
}

fn gauge(text: &mut String, name: &str, help: &str, value: u64) {
    write(text, name, help, "gauge", &[(String::new(), value.to_string())]);
}

fn write(text: &mut String, name: &str, help: &str, kind: &str, samples: &[(String, String)]) {
    // Writing to a `String` cannot fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for (labels, value) in samples {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}
