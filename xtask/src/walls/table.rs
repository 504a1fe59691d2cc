//! The table of allowed edges. An edge of any kind counts: normal, build and dev.
//!
//! A new crate gets a row here, a row in `ARCHITECTURE.md` and a paragraph of reason in its commit.

/// What a crate may use of ours.
#[derive(Clone, Copy)]
pub(super) enum May {
    /// These and nothing else.
    Use(&'static [&'static str]),
    /// `wire`, and crates of the office that have no row here (they may use `wire` only).
    UseOffice,
    /// All of it; nothing may use such a crate.
    UseEverything,
}

/// All that stands between the SIP line and the gateway.
const CDE: &[&str] =
    &["memory", "card", "sip", "media", "payment", "call", "gateway", "vault", "udp", "webrtc", "node", "wire"];
/// The same, as `node` sees it: it cannot use itself.
const CDE_BELOW_NODE: &[&str] =
    &["memory", "card", "sip", "media", "payment", "call", "gateway", "vault", "udp", "webrtc", "wire"];

/// Crate by crate.
pub(super) const TABLE: &[(&str, May)] = &[
    ("wire", May::Use(&[])),
    ("sip", May::Use(&[])),
    ("udp", May::Use(&[])),
    ("memory", May::Use(&[])),
    ("webrtc", May::Use(&[])),
    ("card", May::Use(&["memory", "wire"])),
    ("media", May::Use(&["card"])),
    ("payment", May::Use(&["card", "wire"])),
    ("call", May::Use(&["sip", "media", "payment", "card", "wire"])),
    ("gateway", May::Use(&["card", "wire"])),
    ("vault", May::Use(&["memory", "card", "wire"])),
    ("node", May::Use(CDE_BELOW_NODE)),
    ("console", May::UseOffice),
    ("lab", May::Use(CDE)),
    ("tonewall", May::Use(&["node", "console", "lab", "wire"])),
    ("sim", May::UseEverything),
    ("trials", May::UseEverything),
    ("inputs", May::UseEverything),
    ("xtask", May::Use(&["wire"])),
];

/// Cores: they see no socket, no clock service, no task, so none of [`SHELL_LIBRARIES`], directly or indirectly.
pub(super) const CORES: &[&str] = &["wire", "card", "sip", "media", "payment", "call", "gateway", "vault"];

/// What only shells may link.
pub(super) const SHELL_LIBRARIES: &[&str] =
    &["tokio", "mio", "socket2", "async-io", "reqwest", "hyper", "axum", "sqlx", "tracing", "log"];

/// The only crates in which `unsafe` may stand.
pub(super) const UNSAFE_CRATES: &[&str] = &["cde/memory", "cde/udp"];

/// The row of a crate.
pub(super) fn row(name: &str) -> Option<May> {
    TABLE.iter().find(|(listed, _)| *listed == name).map(|(_, may)| *may)
}
