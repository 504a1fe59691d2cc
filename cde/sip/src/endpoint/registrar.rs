//! A small registrar (RFC 3261 §10.3) for phones that cannot be reached but over the connection that they have opened: those
//! of web pages (RFC 7118 §5). What is known of a phone ends with its connection.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    digest::{Credentials, Judgment, Shown},
    message::{Name, NameAddr, Request, Uri, number, writer, writer::Writer},
    transaction::Template,
    transport::{ConnectionId, Peer, Transport},
};

use super::{DialogId, Endpoint, Error, Event};

/// The most accounts.
const ACCOUNTS_MAX: usize = 4096;
/// The most connections whose phone has signed in.
const SIGNED_IN_MAX: usize = 2048;
/// The most places that one account can be called at: tabs and machines of one person. A further one takes the oldest's place.
const PLACES_MAX: usize = 4;
/// How long a registration holds unless the phone asks for less, and at least.
const EXPIRES_SECONDS: u32 = 600;
const EXPIRES_SECONDS_MIN: u32 = 60;
/// A phone that has only called is asked again who it is after this time.
const CALLER_KNOWN: Duration = Duration::from_secs(3600);

/// A connection whose phone has shown who it is.
struct SignedIn {
    user: String,
    /// Where it can be called, if it wants that.
    contact: Option<Uri>,
    transport: Peer,
    until: Instant,
    /// The higher, the later.
    turn: u64,
}

/// All accounts, and whose phone is where.
#[derive(Default)]
pub(super) struct Registrar {
    accounts: BTreeMap<String, Arc<Credentials>>,
    /// Asked for in the place of an account that there is none of: whoever guesses names learns nothing.
    nobody: Option<Arc<Credentials>>,
    signed_in: BTreeMap<ConnectionId, SignedIn>,
    turn: u64,
}

/// What a REGISTER asks for.
enum Wish {
    /// To be told who is registered.
    Know,
    Stay(Uri, u32),
    Leave,
    LeaveEverywhere,
}

impl Registrar {
    fn credentials(&self, user: &str) -> Option<Arc<Credentials>> {
        self.accounts.get(user).or(self.nobody.as_ref()).map(Arc::clone)
    }

    /// Notes whose phone is at the other end; true if that is news, none if there is no room.
    fn sign_in(&mut self, now: Instant, peer: Peer, user: &str, contact: Option<Uri>, until: Instant) -> Option<bool> {
        let connection = peer.connection?;
        self.signed_in.retain(|_, one| one.until > now);
        let before = self.signed_in.remove(&connection);
        if self.signed_in.len() >= SIGNED_IN_MAX {
            return None;
        }
        self.turn += 1;
        let is_news = before.is_none_or(|before| before.user != user);
        let signed_in = SignedIn { user: user.to_owned(), contact, transport: peer, until, turn: self.turn };
        self.signed_in.insert(connection, signed_in);
        let mut turns: Vec<u64> = self.callable(now, user).map(|(_, one)| one.turn).collect();
        turns.sort_unstable();
        let oldest = turns.len().checked_sub(PLACES_MAX).and_then(|over| turns.get(over)).copied().unwrap_or_default();
        self.signed_in.retain(|_, one| one.user != user || one.contact.is_none() || one.turn >= oldest);
        Some(is_news)
    }

    fn callable(&self, now: Instant, user: &str) -> impl Iterator<Item = (&Uri, &SignedIn)> {
        let of_user = self.signed_in.values().filter(move |one| one.user == user && one.until > now);
        of_user.filter_map(|one| Some((one.contact.as_ref()?, one)))
    }

    pub(super) fn closed(&mut self, peer: Peer) {
        if let Some(connection) = peer.connection {
            self.signed_in.remove(&connection);
        }
    }
}

impl Endpoint {
    /// Lets a phone sign in under this name, over a WebSocket. Whoever has an account is known by its connection once it has
    /// shown the password there: see [`Self::user_at`].
    ///
    /// # Errors
    /// If there are too many.
    pub fn admit(&mut self, user: String, credentials: Arc<Credentials>) -> Result<(), Error> {
        if self.registrar.accounts.len() >= ACCOUNTS_MAX {
            return Err(Error::Overloaded);
        }
        let like = Arc::clone(&credentials);
        self.registrar.accounts.insert(user, credentials);
        if self.registrar.nobody.is_none() {
            self.registrar.nobody = Some(Arc::new(like.of_nobody(self.identifiers.call_id())));
        }
        Ok(())
    }

    /// Whose phone is at the other end of a peer's connection, if it has shown that.
    #[must_use]
    pub fn user_at(&self, peer: Peer) -> Option<&str> {
        self.registrar.signed_in.get(&peer.connection?).map(|one| one.user.as_str())
    }

    /// Where a phone can be called, and as whom; the one that signed in last comes first.
    #[must_use]
    pub fn places_of(&self, now: Instant, user: &str) -> Vec<(Peer, Uri)> {
        let mut all: Vec<(&Uri, &SignedIn)> = self.registrar.callable(now, user).collect();
        all.sort_by_key(|(_, one)| std::cmp::Reverse(one.turn));
        all.into_iter().map(|(contact, one)| (one.transport, contact.clone())).collect()
    }

    /// Whether the caller of a pending INVITE is the phone of this account; if it is not known yet by its connection, it is
    /// asked to prove it, as [`Self::authenticate`] does, and nothing more is reported of the dialog.
    pub fn authenticate_account(&mut self, now: Instant, dialog: DialogId, from: Peer, user: &str) -> bool {
        if let Some(signed_in) = from.connection.and_then(|connection| self.registrar.signed_in.get(&connection))
            && signed_in.until > now
        {
            let is_theirs = signed_in.user == user;
            if !is_theirs {
                self.refuse_pending(now, dialog, (403, None), &[]);
            }
            return is_theirs;
        }
        let credentials = self.registrar.credentials(user);
        let Some(credentials) = credentials.filter(|_| is_web(from)) else {
            self.refuse_pending(now, dialog, (403, None), &[]);
            return false;
        };
        self.authenticate(now, dialog, from, &credentials) && self.signed_in(now, from, user, None, now + CALLER_KNOWN)
    }

    /// Elsewhere than over a WebSocket we are none.
    pub(super) fn is_registrar_of(&self, from: Peer) -> bool {
        is_web(from) && !self.registrar.accounts.is_empty()
    }

    /// REGISTER. It needs no transaction: what comes over a connection comes
    /// once and in order.
    pub(super) fn handle_register(&mut self, now: Instant, from: Peer, request: &Request) {
        let user = request.core.to.uri.user().unwrap_or_default().to_owned();
        let Some(credentials) = self.registrar.credentials(&user) else { return };
        let judgment = self.guard.judge(now, from.address.ip(), &credentials, &Shown::of(request));
        match judgment {
            Judgment::Known => {}
            Judgment::Barred => return self.refuse(from, request, 403, &[]),
            Judgment::Unknown | Judgment::Stale => {
                let chance = self.identifiers.chance();
                let lines = self.guard.challenge(now, &credentials, chance, judgment == Judgment::Stale);
                return self.answer_register(from, request, 401, &lines);
            }
        }
        let Some(wish) = wish(request) else { return self.refuse(from, request, 400, &[]) };
        match wish {
            Wish::Stay(_, seconds) if seconds < EXPIRES_SECONDS_MIN => {
                let least = EXPIRES_SECONDS_MIN.to_string();
                return self.refuse(from, request, 423, &[("Min-Expires", least.as_bytes())]);
            }
            Wish::Stay(contact, seconds) => {
                let until = now + Duration::from_secs(seconds.min(EXPIRES_SECONDS).into());
                if !self.signed_in(now, from, &user, Some(contact), until) {
                    return self.refuse_overload(from, request);
                }
            }
            Wish::Leave => self.registrar.closed(from),
            Wish::LeaveEverywhere => self.registrar.signed_in.retain(|_, one| one.user != user),
            Wish::Know => {}
        }
        let lines = self.bindings(now, &user);
        self.answer_register(from, request, 200, &lines);
    }

    /// False if there is no room.
    fn signed_in(&mut self, now: Instant, from: Peer, user: &str, contact: Option<Uri>, until: Instant) -> bool {
        match self.registrar.sign_in(now, from, user, contact, until) {
            Some(true) => {
                self.out.event(Event::SignedIn { peer: from, user: user.to_owned() });
                true
            }
            Some(false) => true,
            None => false,
        }
    }

    /// Every place of an account, and for how long.
    fn bindings(&self, now: Instant, user: &str) -> Vec<u8> {
        let mut writer = Writer::fragment();
        for (contact, one) in self.registrar.callable(now, user) {
            let seconds = one.until.saturating_duration_since(now).as_secs();
            writer.header("Contact", format!("<{}>;expires={seconds}", contact.as_str()).as_bytes());
        }
        writer.into_bytes()
    }

    fn answer_register(&mut self, from: Peer, request: &Request, status: u16, lines: &[u8]) {
        let template = Template::new(request, from);
        let tag = self.identifiers.stateless_tag(template.identity());
        let mut response = template.write(status, writer::reason(status), Some(&tag), false);
        response.lines(lines);
        if !self.config.user_agent.is_empty() {
            response.header("Server", self.config.user_agent.as_bytes());
        }
        self.out.send(template.peer, response.finish(None));
    }
}

fn is_web(peer: Peer) -> bool {
    matches!(peer.transport, Transport::Ws | Transport::Wss) && peer.connection.is_some()
}

/// None if it cannot be read. Of several contacts the last that stays is taken: there is one connection to call it by.
fn wish(request: &Request) -> Option<Wish> {
    let asked = match request.headers.first(Name::Expires) {
        Some(value) => number(value)?,
        None => EXPIRES_SECONDS,
    };
    let contacts = request.headers.list(Name::Contact);
    if contacts.iter().any(|contact| contact.trim_ascii() == b"*") {
        return (contacts.len() == 1 && asked == 0).then_some(Wish::LeaveEverywhere);
    }
    let mut wish = if contacts.is_empty() { Wish::Know } else { Wish::Leave };
    for contact in contacts {
        let contact = NameAddr::parse(contact)?;
        let seconds = contact.params.text("expires").map_or(Some(asked), |text| number(text.as_bytes()))?;
        if seconds > 0 && (contact.uri.is_sip() || contact.uri.is_sips()) {
            wish = Wish::Stay(contact.uri, seconds);
        }
    }
    Some(wish)
}
