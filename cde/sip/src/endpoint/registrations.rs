//! Telling a registrar where we are (RFC 3261 §10.2), for trunks that call only whom they know.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    digest::{Credentials, Login, Tries},
    identifiers::Identifiers,
    message::{Headers, Method, Name, NameAddr, Params, Response, Uri, number, writer::Writer},
    transaction::{ClientId, Outline, Purpose, Start, Timers},
    transport::{Local, Peer},
};

use super::{Endpoint, Error, Event};

/// The most registrations.
const REGISTRATIONS_MAX: usize = 64;
/// How long a registration is asked to hold.
const EXPIRES_SECONDS: u32 = 300;
/// What a registrar grants or demands is followed up to a day.
const EXPIRES_SECONDS_MAX: u32 = 86_400;
/// The first wait after a failure; each further one doubles it.
const RETRY_MS: u64 = 30_000;
const RETRY_MS_MAX: u64 = 1_800_000;

/// One registration, from `register` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationId(u64);

/// What to register.
pub struct Registration {
    /// The registrar's domain, as a URI without a user.
    pub registrar: Uri,
    /// Where it is.
    pub destination: Peer,
    /// The address that calls for us are made to.
    pub address: NameAddr,
    /// Who we are.
    pub credentials: Arc<Credentials>,
}

struct Binding {
    registration: Registration,
    from: NameAddr,
    call_id: String,
    cseq: u32,
    seconds: u32,
    login: Login,
    failures: u32,
}

/// All registrations of an endpoint.
pub(super) struct Registrations {
    by_id: BTreeMap<RegistrationId, Binding>,
    timers: Timers<RegistrationId>,
    last_id: u64,
}

impl Registrations {
    pub(super) fn new() -> Self {
        Self { by_id: BTreeMap::new(), timers: Timers::new(), last_id: 0 }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(super) fn login(&mut self, id: RegistrationId) -> Option<&mut Login> {
        self.by_id.get_mut(&id).map(|binding| &mut binding.login)
    }

    /// The number of the next request of a registration.
    pub(super) fn next_cseq(&mut self, id: RegistrationId) -> Option<u32> {
        let binding = self.by_id.get_mut(&id)?;
        binding.cseq += 1;
        Some(binding.cseq)
    }
}

impl Binding {
    fn start(&mut self, id: RegistrationId, locals: &[Local], identifiers: &mut Identifiers) -> Start {
        self.cseq += 1;
        let (to, method) = (self.registration.destination, Method::Register);
        let uri = self.registration.registrar.clone();
        let varying = self.login.lines(&method, uri.as_str(), &identifiers.tag());
        let local = Local::toward(locals, to);
        let mut rest = Writer::fragment();
        rest.header("Contact", self.contact(local).as_bytes());
        rest.header("Expires", self.seconds.to_string().as_bytes());
        let outline = Outline {
            uri,
            local,
            branch: identifiers.branch(),
            routes: Vec::new(),
            max_forwards: super::requests::MAX_FORWARDS,
            from: self.from.clone(),
            to: self.registration.address.clone(),
            call_id: self.call_id.clone(),
            cseq: self.cseq,
        };
        let (rest, purpose, tries) = (rest.finish(None), Purpose::Register(id), Tries::default());
        Start { method, outline, to, varying, rest, purpose, login: None, tries }
    }

    fn contact(&self, local: Local) -> String {
        let user = self.registration.address.uri.user().map_or_else(String::new, |user| format!("{user}@"));
        format!("<sip:{user}{}{}>", local.address, local.transport.parameter())
    }

    /// For how long the registrar keeps our Contact (RFC 3261 §10.2.4).
    fn granted(&self, headers: &Headers, local: Local) -> u32 {
        let ours: Option<Uri> = self.contact(local).trim_matches(['<', '>']).parse().ok();
        let is_ours = |contact: &NameAddr| {
            ours.as_ref().is_some_and(|ours| ours.user() == contact.uri.user() && ours.ip() == contact.uri.ip())
        };
        let contacts = headers.list(Name::Contact).into_iter().filter_map(NameAddr::parse);
        let own = contacts.filter(is_ours).find_map(|contact| seconds(&contact.params));
        let all = headers.first(Name::Expires).and_then(number);
        own.or(all).unwrap_or(self.seconds).min(EXPIRES_SECONDS_MAX)
    }
}

fn seconds(params: &Params) -> Option<u32> {
    params.text("expires").map(str::as_bytes).and_then(number)
}

impl Endpoint {
    /// Registers, and does so again in time: `Registered` or `RegistrationFailed` follow each try.
    ///
    /// # Errors
    /// If there are too many.
    pub fn register(&mut self, now: Instant, registration: Registration) -> Result<RegistrationId, Error> {
        if self.registrations.by_id.len() >= REGISTRATIONS_MAX {
            return Err(Error::Overloaded);
        }
        self.registrations.last_id += 1;
        let id = RegistrationId(self.registrations.last_id);
        let from = registration.address.tagged(&self.identifiers.tag());
        let login = Login::new(Arc::clone(&registration.credentials));
        let (call_id, seconds) = (self.identifiers.call_id(), EXPIRES_SECONDS);
        let binding = Binding { registration, from, call_id, cseq: 0, seconds, login, failures: 0 };
        self.registrations.by_id.insert(id, binding);
        self.send_register(now, id);
        Ok(id)
    }

    /// Takes every registration back: no further calls come by them.
    pub fn unregister(&mut self, now: Instant) {
        let ids: Vec<RegistrationId> = self.registrations.by_id.keys().copied().collect();
        ids.into_iter().for_each(|id| self.take_back(now, id));
    }

    /// Takes one back. Nothing more is reported of it.
    pub fn take_back(&mut self, now: Instant, id: RegistrationId) {
        if let Some(binding) = self.registrations.by_id.get_mut(&id) {
            binding.seconds = 0;
        }
        self.send_register(now, id);
    }

    pub(super) fn tick_registrations(&mut self, now: Instant) {
        while let Some(id) = self.registrations.timers.pop(now) {
            self.send_register(now, id);
        }
    }

    fn send_register(&mut self, now: Instant, id: RegistrationId) {
        let Some(binding) = self.registrations.by_id.get_mut(&id) else { return };
        let start = binding.start(id, &self.config.local, &mut self.identifiers);
        self.registrations.timers.cancel(id);
        self.clients.start(now, &mut self.out, start);
    }

    pub(super) fn register_answered(
        &mut self,
        now: Instant,
        id: RegistrationId,
        client: ClientId,
        response: &Response,
    ) {
        let Some(local) = self.clients.outline(client).map(|(outline, _)| outline.local) else { return };
        let Some(binding) = self.registrations.by_id.get_mut(&id) else { return };
        if binding.seconds == 0 {
            self.registrations.by_id.remove(&id);
            return;
        }
        match response.status {
            200..300 => {
                binding.failures = 0;
                let granted = binding.granted(&response.headers, local);
                // At half time: there is as much again to try in, should the registrar be away.
                let after = Duration::from_secs((granted / 2).max(10).into());
                self.registrations.timers.set(id, now + after);
                self.out.event(Event::Registered { registration: id });
            }
            423 if binding.raise(&response.headers) => self.send_register(now, id),
            status => self.register_failed(now, id, status),
        }
    }

    /// Later, and each time twice as much later; spread, so that not everybody comes back together.
    pub(super) fn register_failed(&mut self, now: Instant, id: RegistrationId, status: u16) {
        let Some(binding) = self.registrations.by_id.get_mut(&id) else { return };
        if binding.seconds == 0 {
            self.registrations.by_id.remove(&id);
            return;
        }
        let delay = RETRY_MS.saturating_mul(1 << binding.failures.min(16)).min(RETRY_MS_MAX);
        binding.failures += 1;
        let after = self.identifiers.delay(delay * 3 / 4, delay);
        self.registrations.timers.set(id, now + after);
        self.out.event(Event::RegistrationFailed { registration: id, status });
    }
}

impl Binding {
    /// Takes what a 423 demands; false if it is no more than what was asked.
    fn raise(&mut self, headers: &Headers) -> bool {
        let demanded = headers.first(Name::MinExpires).and_then(number).unwrap_or(0);
        let is_more = demanded > self.seconds && demanded <= EXPIRES_SECONDS_MAX;
        if is_more {
            self.seconds = demanded;
        }
        is_more
    }
}
