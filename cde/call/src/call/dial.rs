//! Calling the agent's side: at first, somebody else instead, and again.

use super::Context;
use crate::config::Way;
use sip::offer_answer::Srtp;
use sip::{Body, DialogId, Invite, NameAddr, Peer, Uri};
use std::collections::VecDeque;
use wire::Extension;

/// Whom to call, and as whom.
#[derive(Clone)]
pub(crate) struct Dial {
    /// Which trunk it is.
    pub(super) trunk: usize,
    /// Where it is called, or was called last.
    pub(super) destination: Peer,
    /// Where it is still to be called, one after the other.
    places: VecDeque<Place>,
    /// Where it was called last, while nothing was heard from there.
    called: Option<Peer>,
    /// Whether its sound must be protected.
    pub(super) srtp: Srtp,
    tcp_when_large: bool,
    pub(super) extension: Extension,
    from: NameAddr,
    headers: Vec<(String, Vec<u8>)>,
}

/// Where somebody is called, and as whom if that is not the extension at this address.
#[derive(Clone)]
struct Place {
    peer: Peer,
    contact: Option<Uri>,
}

/// Where a trunk is called, one place after the other; a phone is called where it has signed in.
fn places_of(context: &mut Context<'_>, trunk: usize, extension: &Extension) -> Result<VecDeque<Place>, u16> {
    if !context.config.is_web(trunk) {
        let order = context.trunks.order(context.now, trunk, context.rng);
        return Ok(order.into_iter().map(|peer| Place { peer, contact: None }).collect());
    }
    if !context.config.has_phone(trunk, extension.as_str()) {
        return Err(404);
    }
    let places = context.endpoint.places_of(context.now, extension.as_str());
    if places.is_empty() {
        return Err(480);
    }
    Ok(places.into_iter().map(|(peer, contact)| Place { peer, contact: Some(contact) }).collect())
}

impl Dial {
    /// On a way, for this caller and with these headers.
    pub(super) fn new(
        context: &mut Context<'_>,
        way: Way,
        caller: &NameAddr,
        headers: Vec<(String, Vec<u8>)>,
    ) -> Result<Self, u16> {
        let Way { trunk, tcp_when_large, extension, srtp: (_, srtp), .. } = way;
        let places = places_of(context, trunk, &extension)?;
        let destination = places.front().ok_or(404_u16)?.peer;
        let from = our_from(context, trunk, destination, caller);
        Ok(Self { trunk, destination, places, called: None, srtp, tcp_when_large, extension, from, headers })
    }

    /// The same call on another way.
    pub(super) fn by(&self, context: &mut Context<'_>, way: Way) -> Result<Self, u16> {
        Self::new(context, way, &self.from, self.headers.clone())
    }

    /// The same way, to another of its extensions.
    pub(super) fn under(&self, extension: Extension) -> Self {
        Self { extension, ..self.clone() }
    }

    /// The same caller, to an agent whom another call has called.
    pub(super) fn toward(&self, context: &Context<'_>, agent: Self) -> Self {
        let from = our_from(context, agent.trunk, agent.destination, &self.from);
        Self { from, headers: self.headers.clone(), called: None, ..agent }
    }

    /// The same once more, from its first place on.
    pub(super) fn anew(&self, context: &mut Context<'_>) -> Self {
        let places = places_of(context, self.trunk, &self.extension).unwrap_or_default();
        Self { places, called: None, ..self.clone() }
    }

    /// With these headers too, and without those that are not for whoever is called.
    pub(super) fn telling(&mut self, more: Vec<(String, Vec<u8>)>, is_kept: impl Fn(&(String, Vec<u8>)) -> bool) {
        self.headers.retain(is_kept);
        self.headers.extend(more);
    }

    /// Somebody is there: no other place is called.
    pub(super) fn heard(&mut self, context: &mut Context<'_>) {
        if let Some(peer) = self.called.take() {
            context.called(peer, true);
        }
    }

    /// Whether it failed because nobody was there, and there is another place.
    pub(super) fn was_silent(&mut self, context: &mut Context<'_>, status: u16) -> bool {
        let Some(peer) = Some(&mut self.called).filter(|_| matches!(status, 408 | 503)).and_then(Option::take) else {
            return false;
        };
        context.called(peer, false);
        !self.places.is_empty()
    }

    /// Sends the INVITE to the next place; `replaces` names a dialog of the other side that it is to take the place of. The
    /// error is a status.
    pub(super) fn call(
        &mut self,
        context: &mut Context<'_>,
        body: Body,
        replaces: Option<&str>,
    ) -> Result<DialogId, u16> {
        let Place { peer, contact } = self.places.pop_front().ok_or(503_u16)?;
        self.destination = peer;
        self.called = Some(peer);
        let target = match contact {
            Some(contact) => contact,
            None => {
                let trunk = context.config.trunks.get(self.trunk).ok_or(404_u16)?;
                trunk.uri(Some(self.extension.as_str()), peer).ok_or(404_u16)?
            }
        };
        let mut headers = self.headers.clone();
        headers.extend(replaces.map(|value| ("Replaces".to_owned(), value.as_bytes().to_vec())));
        let invite = Invite {
            to: NameAddr::new(target.clone()),
            target,
            destination: Some(self.destination),
            tcp_when_large: self.tcp_when_large,
            from: self.from.clone(),
            headers,
            body: Some(body),
            credentials: context.config.credentials(self.trunk),
        };
        let dialog = context.endpoint.invite(context.now, invite).map_err(|_| 503_u16)?;
        if context.config.is_behind_nat(peer) {
            context.endpoint.keep_to_source(dialog);
        }
        Ok(dialog)
    }
}

/// The caller's number under our address: the agent's side answers to us, not to the caller. Where a trunk has a domain, the number is
/// one of that.
fn our_from(context: &Context<'_>, trunk: usize, destination: Peer, from: &NameAddr) -> NameAddr {
    let ours = context.endpoint.local(destination).address;
    let domain = context.config.trunks.get(trunk).and_then(|trunk| trunk.domain.as_deref());
    let at_domain = domain.and_then(|domain| Uri::sip_at(from.uri.user(), domain).ok());
    let uri = at_domain.ok_or(()).or_else(|()| Uri::sip(from.uri.user(), ours)).or_else(|_| Uri::sip(None, ours));
    let ours = NameAddr::new(uri.unwrap_or_else(|_| from.uri.clone()));
    NameAddr { display: from.display.clone(), ..ours }
}
