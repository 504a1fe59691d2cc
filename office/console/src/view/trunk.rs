//! How the trunks are shown.

use super::schema;
use crate::clock::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;
use wire::{PlaceSnapshot, PlaceState, RegistrationSnapshot, TrunkSnapshot, trunk::registration_advice};

/// A trunk as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrunkView {
    /// Its name in `cde.toml`.
    name: String,
    /// `udp`, `tcp` or `tls`.
    transport: String,
    /// `up` if all its places are, `down` if none is, `partly` between, `unknown` while nothing was heard.
    state: &'static str,
    /// Legs of calls that go to it or come from it.
    legs: u32,
    /// Its agents may take payments in conferences, in which they can hear the keys.
    conferences: bool,
    places: Vec<PlaceView>,
}

/// One place of a trunk.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlaceView {
    /// Where calls to it go.
    #[schema(value_type = String)]
    address: std::net::SocketAddr,
    /// The lowest is called first.
    priority: u16,
    weight: u16,
    #[schema(value_type = schema::PlaceState)]
    state: PlaceState,
    /// RFC 3339.
    since: String,
    /// It is asked by OPTIONS (`keepalive_s`); if not, only calls and registrations tell.
    is_probed: bool,
    /// How often nobody answered since the card side was started.
    failures: u64,
    /// Only where `register = true`.
    registration: Option<RegistrationView>,
}

/// Whether a registrar knows where this server is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegistrationView {
    #[schema(value_type = schema::RegistrationState)]
    state: wire::RegistrationState,
    /// Its last SIP status; 408 for no answer, 503 for no way there.
    status: Option<u16>,
    /// What that means, and the way out.
    advice: Option<&'static str>,
    /// RFC 3339.
    since: String,
}

impl TrunkView {
    pub(crate) fn new(trunk: &TrunkSnapshot) -> Self {
        Self {
            name: trunk.name.clone(),
            transport: trunk.transport.clone(),
            state: state_of(&trunk.places),
            legs: trunk.legs,
            conferences: trunk.conferences,
            places: trunk.places.iter().map(PlaceView::new).collect(),
        }
    }
}

impl PlaceView {
    fn new(place: &PlaceSnapshot) -> Self {
        Self {
            address: place.address,
            priority: place.priority,
            weight: place.weight,
            state: place.state,
            since: rfc3339(place.since_unix_ms),
            is_probed: place.is_probed,
            failures: place.failures,
            registration: place.registration.as_ref().map(RegistrationView::new),
        }
    }
}

impl RegistrationView {
    fn new(registration: &RegistrationSnapshot) -> Self {
        Self {
            state: registration.state,
            status: registration.status,
            advice: registration.status.map(registration_advice),
            since: rfc3339(registration.since_unix_ms),
        }
    }
}

fn state_of(places: &[PlaceSnapshot]) -> &'static str {
    let any = |state| places.iter().any(|place| place.state == state);
    match (any(PlaceState::Up), any(PlaceState::Down), any(PlaceState::Unknown)) {
        (true, true, _) => "partly",
        (true, false, _) => "up",
        (false, true, true) => "partly",
        (false, true, false) => "down",
        (false, false, _) => "unknown",
    }
}
