//! What goes into and comes out of the [`Endpoint`](super::Endpoint).

use std::{fmt, sync::Arc, time::Duration};

use thiserror::Error;

use super::RegistrationId;
use crate::{
    digest::Credentials,
    message::{Body, Method, NameAddr, Uri},
    transport::{Local, Peer},
};

/// How an endpoint presents itself and how much it may hold.
#[derive(Clone, Debug)]
pub struct Config {
    /// The addresses that stand in Via and Contact: where peers reach us, at most one for a transport and family.
    pub local: Vec<Local>,
    /// The value of User-Agent and Server; empty for none.
    pub user_agent: String,
    /// The most transactions at once. Requests that would open a dialog are refused beyond it; those of standing dialogs
    /// are taken up to twice the number, so that an overloaded endpoint can still hang up.
    pub transactions_max: usize,
    /// The most dialogs at once, pending ones included.
    pub dialogs_max: usize,
}

/// One INVITE usage: from the INVITE, either way, until it failed or the dialog ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialogId(pub(crate) u64);

/// One request that has an answer of its own: an INFO, or a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

/// An INVITE to be sent.
#[derive(Clone)]
pub struct Invite {
    /// The Request-URI.
    pub target: Uri,
    /// Where to send it; without it the target's host must be an IP address.
    pub destination: Option<Peer>,
    /// Whether the peer takes over TCP what is too large for a datagram (RFC 3261 §18.1.1).
    pub tcp_when_large: bool,
    /// From; a tag in it is replaced by ours.
    pub from: NameAddr,
    /// To; a tag in it is dropped.
    pub to: NameAddr,
    /// Further headers. Those that the endpoint writes itself are skipped, except that `Max-Forwards` sets the hop limit.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The offer, as `application/sdp`; without it the peer makes the offer in its 2xx.
    pub body: Option<Body>,
    /// Who we are, should the other side ask.
    pub credentials: Option<Arc<Credentials>>,
}

/// An INVITE that came.
#[derive(Clone)]
pub struct IncomingInvite {
    /// The Request-URI.
    pub uri: Uri,
    /// The caller.
    pub from: NameAddr,
    /// Whom it is for.
    pub to: NameAddr,
    /// The hops that are left (RFC 3261 §8.1.1.6); 70 if the request did not say. A B2BUA sends one less on.
    pub max_forwards: u8,
    /// All headers that are not SIP's own bookkeeping, in order, to pass on by an allow-list.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The offer; without it the 2xx must bring one and [`Event::Confirmed`] brings the answer.
    pub body: Option<Body>,
    /// The dialog of ours that it is to take the place of (RFC 3891): end that when this is accepted.
    pub replaces: Option<DialogId>,
}

impl IncomingInvite {
    /// Who calls, as the peer's network asserts it: the first address of P-Asserted-Identity (RFC 3325 §9.1), else From. Only
    /// worth what the peer is.
    #[must_use]
    pub fn asserted(&self) -> Uri {
        let is_asserted = |name: &str| name.eq_ignore_ascii_case("P-Asserted-Identity");
        let value = self.headers.iter().find(|(name, _)| is_asserted(name)).map(|(_, value)| value.as_slice());
        value.and_then(NameAddr::parse_first).map_or_else(|| self.from.uri.clone(), |asserted| asserted.uri)
    }

    /// Who has had this call transferred, as the peer says: Referred-By (RFC 3892), else the first of Diversion (RFC 5806).
    #[must_use]
    pub fn transferred_by(&self) -> Option<Uri> {
        let of = |wanted: &str| {
            let value =
                self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)?;
            NameAddr::parse_first(value).map(|by| by.uri)
        };
        of("Referred-By").or_else(|| of("Diversion"))
    }
}

/// A transfer that the peer asks for (RFC 3515).
#[derive(Clone)]
pub struct Refer {
    /// Whom to call.
    pub target: Uri,
    /// The dialog of ours whose other end is meant: nobody has to be called.
    pub ours: Option<DialogId>,
    /// The Replaces of somebody else's dialog, for the INVITE.
    pub replaces: Option<String>,
    /// Whether the peer wants to be told how it goes; if not, that is told with the 202 (RFC 4488).
    pub(crate) wants_news: bool,
    pub(crate) news: Option<u32>,
}

/// What the endpoint wants done; drain it after every call.
#[derive(Clone)]
pub enum Output {
    /// Send this message.
    Send {
        /// To whom, and over what.
        to: Peer,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Tell the application.
    Event(Event),
}

/// What happened.
#[derive(Clone)]
pub enum Event {
    /// Somebody calls: answer with `progress`, `accept` or `reject`.
    Incoming {
        /// The new dialog.
        dialog: DialogId,
        /// Where the request came from.
        from: Peer,
        /// The request.
        invite: IncomingInvite,
    },
    /// Our INVITE got a 101 to 199.
    Progress {
        /// The dialog.
        dialog: DialogId,
        /// The status.
        status: u16,
        /// Early media's SDP.
        body: Option<Body>,
    },
    /// Our INVITE was answered with a 2xx: call `ack`.
    Answered {
        /// The dialog.
        dialog: DialogId,
        /// The answer, or the offer if our INVITE had none.
        body: Option<Body>,
    },
    /// Our INVITE failed; the dialog is gone.
    Failed {
        /// The dialog.
        dialog: DialogId,
        /// The final status; 408 if nobody answered, 503 if a 503 came or nothing could be sent.
        status: u16,
        /// The peer's reason phrase: free text, not for logs.
        reason: String,
        /// Of a 3xx: where the call should go instead, at most five.
        contacts: Vec<Uri>,
    },
    /// The ACK to our `accept` of an INVITE or re-INVITE came.
    Confirmed {
        /// The dialog.
        dialog: DialogId,
        /// The answer, if our 2xx carried the offer.
        body: Option<Body>,
    },
    /// The caller gave up before we answered, or does not hear us; it is refused and the dialog is gone.
    Cancelled {
        /// The dialog.
        dialog: DialogId,
    },
    /// The peer wants to change the session: answer with `accept` or `reject`.
    Reinvite {
        /// The dialog.
        dialog: DialogId,
        /// The offer, if it makes one.
        body: Option<Body>,
    },
    /// The peer withdrew its re-INVITE before we answered; 487 is sent, the dialog stands.
    ReinviteCancelled {
        /// The dialog.
        dialog: DialogId,
    },
    /// Our re-INVITE was accepted. If it had no offer, call `ack` with the answer; else the ACK is already sent.
    ReinviteAnswered {
        /// The dialog.
        dialog: DialogId,
        /// The answer, or the offer if our re-INVITE had none.
        body: Option<Body>,
    },
    /// Our re-INVITE was refused; the session stays as it was.
    ReinviteFailed {
        /// The dialog.
        dialog: DialogId,
        /// The final status; 491 is glare.
        status: u16,
        /// How long to wait before trying again, where that makes sense (RFC 3261 §14.1).
        retry_after: Option<Duration>,
    },
    /// The peer wants to change the session without an INVITE (RFC 3311), perhaps before it is answered: answer with
    /// `accept_update` or `respond`. Left unanswered for ten seconds it is answered 500 and `ReinviteCancelled` follows.
    Update {
        /// The dialog.
        dialog: DialogId,
        /// The request, to answer it.
        request: RequestId,
        /// The offer.
        body: Body,
    },
    /// The peer wants us to call somebody in its place: answer with `respond` (202) and tell by `notify`.
    Refer {
        /// The dialog.
        dialog: DialogId,
        /// The request, to answer it.
        request: RequestId,
        /// Whom.
        refer: Refer,
    },
    /// A request inside the dialog: answer with `respond`.
    Request {
        /// The request, to answer it.
        request: RequestId,
        /// The dialog.
        dialog: DialogId,
        /// The method: INFO.
        method: Method,
        /// The Content-Type, as received.
        content_type: Option<String>,
        /// The body: perhaps digits.
        body: Body,
    },
    /// An INFO came that another request of the peer has overtaken; it is answered 500 (RFC 3261 §12.2.2). What it said
    /// is lost, and perhaps was a key.
    InfoOvertaken {
        /// The dialog.
        dialog: DialogId,
    },
    /// Our INFO was answered, timed out as 408, or could not be sent, as 503.
    RequestAnswered {
        /// What `info` returned.
        request: RequestId,
        /// The final status.
        status: u16,
    },
    /// A registrar knows where we are.
    Registered {
        /// Which registration.
        registration: RegistrationId,
    },
    /// A registrar refused us, timed out (408) or could not be reached (503). It is asked again later.
    RegistrationFailed {
        /// Which registration.
        registration: RegistrationId,
        /// The final status.
        status: u16,
    },
    /// A phone has shown whose it is, over a connection where that was not known.
    SignedIn {
        /// Where it is.
        peer: Peer,
        /// The name of the account.
        user: String,
    },
    /// A probe was answered, got no answer, as 408, or could not be sent, as 503.
    Probed {
        /// What `probe` returned.
        request: RequestId,
        /// The final status.
        status: u16,
    },
    /// The session has to be refreshed (RFC 4028) and the peer takes no UPDATE: call `reinvite` with the offer as it stands.
    RefreshDue {
        /// The dialog.
        dialog: DialogId,
    },
    /// An answered call is over; the dialog is gone.
    Ended {
        /// The dialog.
        dialog: DialogId,
        /// Why.
        reason: EndReason,
    },
}

/// Why a dialog ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The peer sent BYE.
    Bye,
    /// Our 2xx was never acknowledged; BYE is sent.
    AckTimeout,
    /// A request of ours inside the dialog was never answered; BYE is sent.
    RequestTimeout,
    /// The peer no longer knows the dialog (481 or 408 to a request of ours); BYE is sent.
    Lost,
    /// Nobody refreshed the session (RFC 4028 §10); BYE is sent.
    SessionExpired,
}

/// Why the endpoint refused what the application asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// No address is known to send the request to.
    #[error("the target's host is no IP address and no destination is given")]
    NoDestination,
    /// A table is full.
    #[error("too many dialogs, transactions or queued requests")]
    Overloaded,
    /// The dialog is gone or never was.
    #[error("no such dialog")]
    NoDialog,
    /// The dialog is not established yet, or an INVITE of either side is still open in it.
    #[error("the dialog is not in a state for this request")]
    NotReady,
    /// The scheme of the target is not `sip`.
    #[error("unsupported URI scheme")]
    Scheme,
}

/// Counters since the endpoint was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages that are not valid.
    pub malformed: u64,
    /// Responses without a transaction, malformed ones included.
    pub dropped_responses: u64,
    /// Requests refused with 503 for want of room.
    pub overload_refusals: u64,
    /// Messages sent again by a timer or for a repeated request.
    pub retransmissions: u64,
}

impl Event {
    /// The dialog it is about, if it names one.
    #[must_use]
    pub fn dialog(&self) -> Option<DialogId> {
        match self {
            Self::Incoming { dialog, .. }
            | Self::Progress { dialog, .. }
            | Self::Answered { dialog, .. }
            | Self::Failed { dialog, .. }
            | Self::Confirmed { dialog, .. }
            | Self::Cancelled { dialog }
            | Self::Reinvite { dialog, .. }
            | Self::ReinviteCancelled { dialog }
            | Self::ReinviteAnswered { dialog, .. }
            | Self::ReinviteFailed { dialog, .. }
            | Self::Update { dialog, .. }
            | Self::Refer { dialog, .. }
            | Self::Request { dialog, .. }
            | Self::InfoOvertaken { dialog }
            | Self::RefreshDue { dialog }
            | Self::Ended { dialog, .. } => Some(*dialog),
            Self::RequestAnswered { .. }
            | Self::Probed { .. }
            | Self::Registered { .. }
            | Self::SignedIn { .. }
            | Self::RegistrationFailed { .. } => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Incoming { .. } => "Incoming",
            Self::Progress { .. } => "Progress",
            Self::Answered { .. } => "Answered",
            Self::Failed { .. } => "Failed",
            Self::Confirmed { .. } => "Confirmed",
            Self::Cancelled { .. } => "Cancelled",
            Self::Reinvite { .. } => "Reinvite",
            Self::ReinviteCancelled { .. } => "ReinviteCancelled",
            Self::ReinviteAnswered { .. } => "ReinviteAnswered",
            Self::ReinviteFailed { .. } => "ReinviteFailed",
            Self::Update { .. } => "Update",
            Self::Refer { .. } => "Refer",
            Self::Request { .. } => "Request",
            Self::InfoOvertaken { .. } => "InfoOvertaken",
            Self::RequestAnswered { .. } => "RequestAnswered",
            Self::Probed { .. } => "Probed",
            Self::RefreshDue { .. } => "RefreshDue",
            Self::Registered { .. } => "Registered",
            Self::SignedIn { .. } => "SignedIn",
            Self::RegistrationFailed { .. } => "RegistrationFailed",
            Self::Ended { .. } => "Ended",
        }
    }

    fn status(&self) -> Option<u16> {
        match self {
            Self::Progress { status, .. }
            | Self::Failed { status, .. }
            | Self::ReinviteFailed { status, .. }
            | Self::RegistrationFailed { status, .. }
            | Self::Probed { status, .. }
            | Self::RequestAnswered { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        if let Some(dialog) = self.dialog() {
            write!(f, " #{}", dialog.0)?;
        }
        if let Some(status) = self.status() {
            write!(f, " {status}")?;
        }
        if let Self::Ended { reason, .. } = self {
            write!(f, " {reason:?}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invite({} headers, {:?})", self.headers.len(), self.body)
    }
}

impl fmt::Debug for IncomingInvite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncomingInvite({} headers, {:?})", self.headers.len(), self.body)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { to, bytes } => {
                write!(f, "Send({} bytes to {} {})", bytes.len(), to.transport.name(), to.address)
            }
            Self::Event(event) => event.fmt(f),
        }
    }
}
