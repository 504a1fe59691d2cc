//! A softphone without sockets: SIP, RTP, a voice, a keypad and an ear. The demo, the self-test, tests with real sockets
//! and the simulation all use it.

mod ear;
mod mouth;
mod signal;

pub use ear::Ear;
#[cfg(test)]
pub(crate) use mouth::pressed;
pub use mouth::{Press, Transport};
pub(crate) use signal::keyed;

use media::Remote;
pub use media::g711::Law;
use mouth::Mouth;
use sip::offer_answer::{Answer, Codec as SipCodec, Direction, LocalMedia, Offer, Origin};
use sip::{Body, DialogId, Endpoint, Invite, NameAddr, Uri};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Time between two packets.
const PACKET: Duration = Duration::from_millis(20);
/// The payload type of telephone-event, as most phones have it.
const EVENT_PAYLOAD_TYPE: u8 = 101;

/// How a phone is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its SIP address.
    pub sip: SocketAddr,
    /// Its RTP address.
    pub rtp: SocketAddr,
    /// Its number.
    pub user: String,
    /// How long it rings before it answers; `None`: it never does.
    pub answers_after: Option<Duration>,
    /// Its law of G.711.
    pub law: Law,
    /// Does it speak while it is not keying?
    pub speaks: bool,
    /// What it takes for its address, behind a NAT that it does not know of: this is what it writes.
    pub believes: Option<IpAddr>,
}

impl Config {
    /// As it says.
    fn written(&self, address: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.believes.unwrap_or(address.ip()), address.port())
    }
}

/// What a phone wants done.
pub enum Output {
    /// Send this from its SIP address.
    Sip {
        /// To whom.
        to: SocketAddr,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Send this from its RTP address.
    Rtp {
        /// To whom.
        to: SocketAddr,
        /// The packet.
        bytes: Vec<u8>,
    },
    /// Tell its user.
    Event(Event),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The other side rings.
    Ringing,
    /// Both are connected.
    Established,
    /// The call could not be made.
    Failed(u16),
    /// The call is over.
    Ended,
}

/// The phone.
pub struct Phone {
    config: Config,
    endpoint: Endpoint,
    dialog: Option<DialogId>,
    answer_at: Option<Instant>,
    incoming: Option<Offer>,
    local: LocalMedia,
    origin: Origin,
    remote: Option<Remote>,
    sounds: bool,
    next_packet: Option<Instant>,
    mouth: Mouth,
    ear: Ear,
    /// What it sends, as a phone on the other end would hear it.
    own: Option<Ear>,
    outputs: VecDeque<Output>,
}

impl Phone {
    /// A phone on the hook.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let endpoint = Endpoint::new(
            sip::Config {
                local: vec![sip::Local::udp(config.written(config.sip))],
                user_agent: "Tonewall-lab".to_owned(),
                transactions_max: 64,
                dialogs_max: 8,
            },
            seed,
        );
        let mut local = LocalMedia::new(config.written(config.rtp));
        let wanted = match config.law {
            Law::Mu => SipCodec::Pcmu,
            Law::A => SipCodec::Pcma,
        };
        local.codecs.retain(|(codec, _)| *codec == wanted);
        let ssrc = u32::from_be_bytes([seed[0], seed[1], seed[2], seed[3]]);
        Self {
            endpoint,
            dialog: None,
            answer_at: None,
            incoming: None,
            local,
            origin: Origin { session_id: u64::from(ssrc), version: 1 },
            remote: None,
            sounds: true,
            next_packet: None,
            mouth: Mouth::new(ssrc, config.speaks),
            ear: Ear::default(),
            own: None,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// The same without any packets of sound: only its signaling is used.
    pub fn without_sound(mut self) -> Self {
        self.sounds = false;
        self
    }

    /// Offers telephone-event in calls from now on, or offers sound alone.
    pub fn offer_events(&mut self, offers: bool) {
        self.local.telephone_event = offers.then_some(EVENT_PAYLOAD_TYPE);
    }

    /// Keeps what it sends from its next call on, for [`Self::own_ear`].
    pub fn hear_itself(&mut self) {
        self.own = Some(Ear::default());
    }

    /// Calls a number at an address.
    pub fn call(&mut self, now: Instant, number: &str, at: SocketAddr) -> Result<(), sip::Error> {
        self.call_saying(now, number, at, Vec::new())
    }

    /// The same, with headers of its own.
    pub fn call_saying(
        &mut self,
        now: Instant,
        number: &str,
        at: SocketAddr,
        headers: Vec<(String, Vec<u8>)>,
    ) -> Result<(), sip::Error> {
        let target = Uri::sip(Some(number), at).map_err(|_| sip::Error::Scheme)?;
        let from =
            Uri::sip(Some(&self.config.user), self.config.written(self.config.sip)).map_err(|_| sip::Error::Scheme)?;
        let invite = Invite {
            to: NameAddr::new(target.clone()),
            target,
            destination: Some(sip::Peer::udp(at)),
            tcp_when_large: false,
            from: NameAddr::new(from),
            headers,
            body: Some(self.local.offer(self.origin)),
            credentials: None,
        };
        self.dialog = Some(self.endpoint.invite(now, invite)?);
        self.listen_anew();
        self.drain(now);
        Ok(())
    }

    /// Presses keys, one after the other.
    pub fn press(&mut self, keys: &str, press: Press) {
        self.mouth.press(keys, press);
    }

    /// Are keys still to be pressed?
    pub fn is_keying(&self) -> bool {
        self.mouth.is_keying()
    }

    /// Presses one key by SIP INFO, at once.
    pub fn press_by_info(&mut self, now: Instant, key: u8, duration_ms: u32) {
        let (content_type, body) = mouth::info_body(key, duration_ms);
        self.send_info(now, &content_type, body);
    }

    /// Is it in a call, or calling, or called?
    pub fn is_busy(&self) -> bool {
        self.dialog.is_some()
    }

    /// Speaks, or falls silent.
    pub fn speak(&mut self, speaks: bool) {
        self.mouth.speak(speaks);
    }

    /// Says these samples (8 kHz) again and again, in the place of its voice.
    pub fn say(&mut self, samples: Vec<i16>) {
        self.mouth.say(samples);
    }

    /// Hangs up.
    pub fn hang_up(&mut self, now: Instant) {
        if let Some(dialog) = self.dialog.take() {
            self.endpoint.bye(now, dialog);
            self.over();
        }
        self.drain(now);
    }

    /// Holds or resumes the call.
    pub fn hold(&mut self, now: Instant, hold: bool) {
        self.local.direction = if hold { Direction::SendOnly } else { Direction::SendRecv };
        self.origin.version += 1;
        if let Some(dialog) = self.dialog {
            // Refused only while another change is under way; the user presses again.
            let _ = self.endpoint.reinvite(now, dialog, Some(self.local.offer(self.origin)));
        }
        self.drain(now);
    }

    /// Its SIP address.
    pub fn sip(&self) -> SocketAddr {
        self.config.sip
    }

    /// What it heard since the call began.
    pub fn ear(&self) -> &Ear {
        &self.ear
    }

    /// What it has sent since the call began, heard with the same ears; none if it was not told to hear itself.
    pub fn own_ear(&self) -> Option<&Ear> {
        self.own.as_ref()
    }

    /// A SIP datagram came.
    pub fn handle_sip(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        self.endpoint.handle_message(now, sip::Peer::udp(from), bytes);
        self.drain(now);
    }

    /// A packet came to its RTP address.
    pub fn handle_rtp(&mut self, from: SocketAddr, bytes: &[u8]) {
        if let Some(remote) = self.remote.filter(|remote| remote.address == from) {
            self.ear.hear(&remote, bytes);
        }
    }

    /// Time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.drain(now);
        if self.answer_at.is_some_and(|at| at <= now) {
            self.answer(now);
        }
        while let Some(at) = self.next_packet.filter(|at| *at <= now) {
            self.next_packet = Some(at + PACKET);
            self.send_packet(now);
        }
    }

    /// When [`Self::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.endpoint.poll_timeout(), self.answer_at, self.next_packet].into_iter().flatten().min()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn drain(&mut self, now: Instant) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                sip::Output::Send { to, bytes } => self.outputs.push_back(Output::Sip { to: to.address, bytes }),
                sip::Output::Event(event) => self.handle_event(now, event),
            }
        }
    }

    fn handle_event(&mut self, now: Instant, event: sip::Event) {
        match event {
            sip::Event::Incoming { dialog, invite, .. } => self.ring(now, dialog, invite.body.as_ref()),
            sip::Event::Progress { .. } => self.outputs.push_back(Output::Event(Event::Ringing)),
            sip::Event::Answered { dialog, body } => {
                self.endpoint.ack(now, dialog, None);
                self.take_answer(now, body.as_ref());
                self.outputs.push_back(Output::Event(Event::Established));
            }
            // While another change is under way the session is refreshed by that.
            sip::Event::RefreshDue { dialog } => {
                let _ = self.endpoint.reinvite(now, dialog, Some(self.local.offer(self.origin)));
            }
            sip::Event::ReinviteAnswered { body, .. } => self.take_answer(now, body.as_ref()),
            sip::Event::Reinvite { dialog, body } => self.accept_change(now, dialog, body.as_ref()),
            sip::Event::Request { request, body, .. } => {
                self.ear.info(&body);
                self.endpoint.respond(now, request, 200);
            }
            sip::Event::Failed { status, .. } => {
                self.dialog = None;
                self.outputs.push_back(Output::Event(Event::Failed(status)));
            }
            sip::Event::Ended { .. } | sip::Event::Cancelled { .. } => {
                self.dialog = None;
                self.over();
                self.outputs.push_back(Output::Event(Event::Ended));
            }
            _ => {}
        }
    }

    fn over(&mut self) {
        self.next_packet = None;
        self.answer_at = None;
        self.remote = None;
        self.mouth.clear();
    }

    fn ring(&mut self, now: Instant, dialog: DialogId, body: Option<&Body>) {
        if self.dialog.is_some() {
            return self.endpoint.reject(now, dialog, 486, None, Vec::new());
        }
        let Some(offer) = body.and_then(|body| Offer::parse(body).ok()) else {
            return self.endpoint.reject(now, dialog, 488, None, Vec::new());
        };
        self.dialog = Some(dialog);
        self.listen_anew();
        self.incoming = Some(offer);
        self.endpoint.progress(now, dialog, 180, None);
        self.answer_at = self.config.answers_after.map(|after| now + after);
        self.outputs.push_back(Output::Event(Event::Ringing));
    }

    fn listen_anew(&mut self) {
        self.ear = Ear::default();
        self.own = self.own.take().map(|_| Ear::default());
    }

    fn answer(&mut self, now: Instant) {
        self.answer_at = None;
        let (Some(dialog), Some(offer)) = (self.dialog, self.incoming.take()) else { return };
        match self.agree(&offer) {
            Some(answer) => {
                self.endpoint.accept(now, dialog, Some(answer));
                self.begin_sound(now);
                self.outputs.push_back(Output::Event(Event::Established));
            }
            None => self.endpoint.reject(now, dialog, 488, None, Vec::new()),
        }
        self.drain(now);
    }

    fn accept_change(&mut self, now: Instant, dialog: DialogId, body: Option<&Body>) {
        match body.and_then(|body| Offer::parse(body).ok()).and_then(|offer| self.agree(&offer)) {
            Some(answer) => self.endpoint.accept(now, dialog, Some(answer)),
            None => self.endpoint.reject(now, dialog, 488, None, Vec::new()),
        }
    }

    fn agree(&mut self, offer: &Offer) -> Option<Body> {
        let codecs: Vec<SipCodec> = self.local.codecs.iter().map(|(codec, _)| *codec).collect();
        let agreed = offer.agree(&codecs).ok()?;
        self.set_remote(&agreed);
        self.origin.version += 1;
        Some(offer.answer(self.origin, &agreed, self.local.address, self.local.direction))
    }

    fn take_answer(&mut self, now: Instant, body: Option<&Body>) {
        let agreed = body.and_then(|body| Answer::parse(body).ok()).and_then(|answer| answer.agreed(&self.local).ok());
        if let Some(agreed) = agreed {
            self.set_remote(&agreed);
            self.begin_sound(now);
        }
    }

    fn begin_sound(&mut self, now: Instant) {
        if self.sounds {
            self.next_packet.get_or_insert(now);
        }
    }

    fn set_remote(&mut self, agreed: &sip::offer_answer::Agreed) {
        self.remote = agreed.remote.map(|address| Remote {
            address,
            rtcp: agreed.rtcp.unwrap_or(address),
            codec: media::Codec::G711(self.config.law),
            payload_type: agreed.payload_type,
            telephone_event: agreed.telephone_event,
            event_clock: media::EventClock::default(),
            sends: agreed.direction.receives(),
            receives: agreed.direction.sends(),
            learns_from: None,
        });
    }

    fn send_packet(&mut self, now: Instant) {
        let Some(remote) = self.remote else { return };
        if let Some((content_type, body)) = self.mouth.info_due() {
            self.send_info(now, &content_type, body);
        }
        for packet in self.mouth.packets(&remote).into_iter().filter(|_| remote.receives) {
            if let Some(own) = &mut self.own {
                own.hear(&remote, &packet);
            }
            self.outputs.push_back(Output::Rtp { to: remote.address, bytes: packet });
        }
    }

    fn send_info(&mut self, now: Instant, content_type: &str, body: Vec<u8>) {
        if let Some(dialog) = self.dialog {
            let body = Body::from(body);
            if let Some(own) = &mut self.own {
                own.info(&body);
            }
            // A phone whose call is just ending has nobody to press keys for.
            let _ = self.endpoint.info(now, dialog, content_type, body);
        }
        self.drain(now);
    }
}
