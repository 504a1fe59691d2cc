//! Callers who are to be transferred to us: an agent has asked for a code at the desk, and the PBX is about to send the caller
//! there. A code is good once, for a short time, from the trunk of that agent alone.

use crate::config::{Conferences, Config};
use crate::locks::{Locks, Who};
use crate::wall::Wall;
use rand_chacha::ChaCha12Rng;
use rand_core::Rng;
use sip::{IncomingInvite, Peer};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wire::{
    CallId, CallSnapshot, CallState, Extension, LineState, Masking, Origin, PaymentOrder, Refusal, TransferCode,
    TransferRefusal, WayIn,
};

/// How long a code is good: an agent transfers the caller they are talking to.
const GOOD: Duration = Duration::from_secs(120);
/// Codes at once.
const AWAITED_MAX: usize = 1024;
/// Characters of the user part, of 5 bits each.
pub(crate) const CHARACTERS: usize = 16;
pub(crate) const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Digits of a code that is dialed by keys. There are few codes at a time, and few tries.
pub(crate) const DIGITS: usize = 8;

/// A transfer that is awaited.
pub(crate) struct Awaited {
    /// The call that it will be.
    pub(crate) call: CallId,
    /// Who is called back.
    pub(crate) extension: Extension,
    /// The agent's trunk.
    pub(crate) trunk: usize,
    /// Who has asked for it.
    pub(crate) origin: Origin,
    /// What is to be paid.
    pub(crate) order: Option<PaymentOrder>,
    /// Not a caller is awaited, but to be added to a conference.
    is_conference: bool,
    /// None: the agent has keyed their PIN, and the caller comes to the number itself.
    code: Option<TransferCode>,
    since_unix_ms: i64,
    pub(crate) until: Instant,
}

/// What an agent asks for.
pub(crate) struct Asked<'a> {
    pub(crate) call: CallId,
    pub(crate) extension: &'a Extension,
    pub(crate) origin: &'a Origin,
    pub(crate) order: Option<&'a PaymentOrder>,
    pub(crate) is_conference: bool,
}

/// What an INVITE is to the transfers.
pub(crate) enum Claim {
    /// Nothing: it goes its way by a route.
    None,
    /// The caller who was awaited.
    Taken(Box<Awaited>),
    /// The agent who has asked for the code, ahead of their caller.
    Consult(Box<Awaited>),
    /// A conference that an agent adds us to.
    Conference(Box<Awaited>),
    /// An agent of this trunk, who is about to key a PIN.
    Agent { trunk: usize, extension: Extension },
    /// Not one that is taken.
    Refused(TransferRefusal),
}

/// All of them.
#[derive(Default)]
pub(crate) struct Transfers {
    awaited: BTreeMap<CallId, Awaited>,
    pub(crate) locks: Locks,
}

impl Transfers {
    /// Makes a code. The one that the agent had before is not good any more, and is given back.
    pub(crate) fn await_one(
        &mut self,
        now: Instant,
        wall: Wall,
        config: &Config,
        rng: &mut ChaCha12Rng,
        asked: &Asked<'_>,
    ) -> Result<(TransferCode, i64, Option<Awaited>), Refusal> {
        let trunk = config.trunk_of_agent(asked.extension).ok_or(Refusal::NotOnDemand)?;
        if asked.is_conference && config.conferences_of(trunk).is_none() {
            return Err(Refusal::NoConferences);
        }
        let number = config.number_of(trunk);
        let before = self.take_of(asked.extension);
        if self.awaited.len() >= AWAITED_MAX || self.awaited.contains_key(&asked.call) {
            return Err(Refusal::Busy);
        }
        let code = self.fresh_code(rng, number);
        let awaited = Awaited {
            call: asked.call,
            extension: asked.extension.clone(),
            trunk,
            origin: asked.origin.clone(),
            order: asked.order.cloned(),
            is_conference: asked.is_conference,
            code: Some(code.clone()),
            since_unix_ms: wall.unix_ms(now),
            until: now + GOOD,
        };
        self.awaited.insert(asked.call, awaited);
        Ok((code, wall.unix_ms(now + GOOD), before))
    }

    /// The transfer that an agent waits for is not good any more.
    fn take_of(&mut self, extension: &Extension) -> Option<Awaited> {
        let before = self.awaited.values().find(|known| known.extension == *extension)?.call;
        self.awaited.remove(&before)
    }

    /// An agent has proved who they are: the next caller who comes to the number is theirs, unless there are too many already.
    /// The transfer that they waited for before is given back.
    pub(crate) fn arm(
        &mut self,
        now: Instant,
        wall: Wall,
        call: CallId,
        (trunk, extension): (usize, &Extension),
    ) -> (Option<Awaited>, bool) {
        let before = self.take_of(extension);
        if self.awaited.len() >= AWAITED_MAX {
            return (before, false);
        }
        let (extension, origin) = (extension.clone(), Origin::AgentPhone);
        let (since_unix_ms, until) = (wall.unix_ms(now), now + GOOD);
        let (order, code, is_conference) = (None, None, false);
        let awaited = Awaited { call, extension, trunk, origin, order, is_conference, code, since_unix_ms, until };
        self.awaited.insert(call, awaited);
        (before, true)
    }

    fn fresh_code(&self, rng: &mut ChaCha12Rng, number: Option<&str>) -> TransferCode {
        let user = format!("{}{}", TransferCode::PREFIX, random(rng, CHARACTERS, ALPHABET));
        let is_taken = |code: &String| {
            let numbers = self.awaited.values().filter_map(|known| known.code.as_ref()?.number.as_ref());
            numbers.into_iter().any(|known| known == code)
        };
        let number = number.map(|number| {
            let mut dialed = || format!("{number}{}", random(rng, DIGITS, b"0123456789"));
            let first = dialed();
            // Two in a row that are taken are not worth a loop.
            if is_taken(&first) { dialed() } else { first }
        });
        TransferCode { user, number }
    }

    /// Whether an INVITE is a caller who was awaited. What it says of who is to be called back is not even read.
    pub(crate) fn claim(&mut self, now: Instant, config: &Config, from: Peer, invite: &IncomingInvite) -> Claim {
        let called = invite.uri.user().unwrap_or_default();
        let is_code = called.starts_with(TransferCode::PREFIX);
        let trunks: Vec<usize> =
            config.neighbors(from).filter(|(_, trunk)| trunk.on_demand.is_some()).map(|(at, _)| at).collect();
        let dialed = trunks.iter().copied().find(|at| config.is_dialed_code(*at, called));
        if let Some(trunk) = trunks.iter().copied().find(|at| config.number_of(*at) == Some(called)) {
            return self.claim_number(now, config, trunk, from, invite);
        }
        // Strangers are refused as strangers, and are not worth a line in the audit trail.
        let is_stranger = config.neighbors(from).next().is_none();
        if is_stranger || !is_code && dialed.is_none() {
            return Claim::None;
        }
        // The PBX, and the one there who dials.
        let asserted = invite.asserted().user().unwrap_or_default().to_owned();
        let source = Who::Source(from.address.ip(), asserted.clone());
        let of_trunk = dialed.map(Who::Trunk);
        if [Some(&source), of_trunk.as_ref()].into_iter().flatten().any(|who| self.locks.is_locked(now, who)) {
            return Claim::Refused(TransferRefusal::Locked);
        }
        let found = self.find(now, &trunks, called);
        let Some(awaited) = found.and_then(|call| self.awaited.remove(&call)) else {
            self.locks.failed(now, source);
            of_trunk.into_iter().for_each(|who| self.locks.failed(now, who));
            return Claim::Refused(TransferRefusal::WrongCode);
        };
        self.locks.succeeded(&source);
        if awaited.is_conference {
            // Who calls for a conference is its agent or the PBX itself. Who keys in it is seen by nobody here.
            return Claim::Conference(Box::new(awaited));
        }
        if config.is_attended(awaited.trunk) && asserted == awaited.extension.as_str() {
            return Claim::Consult(Box::new(awaited));
        }
        let is_internal = config.is_internal(awaited.trunk, &asserted);
        if is_internal {
            // An agent who plays the caller. The code is good for the real one.
            self.awaited.insert(awaited.call, awaited);
            return Claim::Refused(TransferRefusal::InternalCaller);
        }
        Claim::Taken(Box::new(awaited))
    }

    fn find(&self, now: Instant, trunks: &[usize], called: &str) -> Option<CallId> {
        let is = |code: &TransferCode| code.user == called || code.number.as_deref() == Some(called);
        let good = self.awaited.values().filter(|known| now < known.until && trunks.contains(&known.trunk));
        good.into_iter().find(|known| known.code.as_ref().is_some_and(is)).map(|known| known.call)
    }

    /// The number alone: an agent who is to key a PIN, or the caller of one who has.
    fn claim_number(
        &mut self,
        now: Instant,
        config: &Config,
        trunk: usize,
        from: Peer,
        invite: &IncomingInvite,
    ) -> Claim {
        let asserted = invite.asserted().user().unwrap_or_default().to_owned();
        let agent = config.agent_of(trunk, &asserted);
        if let Some(extension) = agent {
            let whos = whos_of(&extension, from);
            let is_locked = whos.iter().any(|who| self.locks.is_locked(now, who));
            return if is_locked { Claim::Refused(TransferRefusal::Locked) } else { Claim::Agent { trunk, extension } };
        }
        let by = invite.transferred_by();
        let by = by.as_ref().and_then(|by| config.agent_of(trunk, by.user()?));
        let is_armed = |known: &&Awaited| known.trunk == trunk && known.code.is_none() && now < known.until;
        let armed = self.awaited.values().filter(is_armed);
        let armed: Vec<CallId> =
            armed.filter(|known| by.as_ref().is_none_or(|by| *by == known.extension)).map(|known| known.call).collect();
        match armed.as_slice() {
            [] => Claim::Refused(TransferRefusal::WrongCode),
            [one] => self.awaited.remove(one).map_or(Claim::None, |awaited| Claim::Taken(Box::new(awaited))),
            _ => Claim::Refused(TransferRefusal::Ambiguous),
        }
    }

    /// One whose time is over.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<Awaited> {
        let call = self.awaited.values().find(|known| known.until <= now)?.call;
        self.awaited.remove(&call)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.awaited.values().map(|known| known.until).min()
    }

    /// The office's picture of each.
    pub(crate) fn snapshots(&self, config: &Config) -> Vec<CallSnapshot> {
        self.awaited.values().map(|awaited| awaited.snapshot(config)).collect()
    }

    /// The office's picture of one.
    pub(crate) fn snapshot(&self, config: &Config, call: CallId) -> Option<CallSnapshot> {
        self.awaited.get(&call).map(|awaited| awaited.snapshot(config))
    }
}

/// Whose failures the wrong PINs of an agent are, from there.
pub(crate) fn whos_of(extension: &Extension, from: Peer) -> [Who; 2] {
    [Who::Agent(extension.clone()), Who::Source(from.address.ip(), extension.as_str().to_owned())]
}

impl Awaited {
    pub(crate) fn way(&self) -> WayIn {
        match self.code {
            _ if self.is_conference => WayIn::Conference,
            Some(_) => WayIn::Code,
            None => WayIn::Pin,
        }
    }

    fn snapshot(&self, config: &Config) -> CallSnapshot {
        let on_demand = config.trunks.get(self.trunk).and_then(|trunk| trunk.on_demand.as_ref());
        CallSnapshot {
            call: self.call,
            extension: self.extension.clone(),
            caller: String::new(),
            called: String::new(),
            way: self.way(),
            keys_cross_pbx: self.is_conference || on_demand.is_some_and(|on_demand| on_demand.keys_cross_pbx),
            started_unix_ms: self.since_unix_ms,
            state: CallState::Awaited,
            line: LineState::Open,
            line_since_unix_ms: self.since_unix_ms,
            masking: match config.masking {
                _ if self.is_conference => Masking::None,
                media::Policy::Natural => Masking::Natural,
                media::Policy::Strict => Masking::Strict,
            },
            payment: None,
            hook: None,
        }
    }
}

impl Config {
    /// What codes that are dialed by keys begin with, of transfers on all trunks and of orders on all routes.
    pub(crate) fn numbers(&self) -> Vec<String> {
        let on_demand = self.trunks.iter().filter_map(|trunk| trunk.on_demand.as_ref());
        on_demand.filter_map(|on_demand| on_demand.number.clone()).chain(self.bounce_numbers()).collect()
    }

    fn number_of(&self, trunk: usize) -> Option<&str> {
        self.trunks.get(trunk)?.on_demand.as_ref()?.number.as_deref()
    }

    /// The trunk's agent of this number.
    fn agent_of(&self, trunk: usize, number: &str) -> Option<Extension> {
        let on_demand = self.trunks.get(trunk)?.on_demand.as_ref()?;
        number.parse().ok().filter(|_| on_demand.has_agent(number))
    }

    fn is_attended(&self, trunk: usize) -> bool {
        let on_demand = self.trunks.get(trunk).and_then(|trunk| trunk.on_demand.as_ref());
        on_demand.is_some_and(|on_demand| on_demand.attended)
    }

    /// What may be taken in conferences of this trunk's agents; none where there are to be none.
    pub(crate) fn conferences_of(&self, trunk: usize) -> Option<Conferences> {
        self.trunks.get(trunk)?.on_demand.as_ref()?.conference
    }

    /// Whether this is what a code of the trunk that is dialed by keys looks like.
    fn is_dialed_code(&self, trunk: usize, called: &str) -> bool {
        let code = self.number_of(trunk).and_then(|number| called.strip_prefix(number));
        code.is_some_and(|code| code.len() == DIGITS && code.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// Whether a caller of this number would be one of the trunk's agents, where that is not allowed.
    pub(crate) fn is_internal(&self, trunk: usize, number: &str) -> bool {
        let on_demand = self.trunks.get(trunk).and_then(|trunk| trunk.on_demand.as_ref());
        on_demand.is_some_and(|on_demand| !on_demand.internal_callers && on_demand.has_agent(number))
    }
}

/// So many characters of an alphabet, all equally likely: 256 is no multiple of ten, so some bytes are drawn again.
pub(crate) fn random(rng: &mut ChaCha12Rng, length: usize, alphabet: &[u8]) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let [byte, ..] = rng.next_u32().to_le_bytes();
        let rounds = 256_usize.checked_div(alphabet.len()).unwrap_or(0);
        let at = usize::from(byte);
        if at < rounds * alphabet.len()
            && let Some(chosen) = at.checked_rem(alphabet.len()).and_then(|at| alphabet.get(at))
        {
            text.push(char::from(*chosen));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::SeedableRng;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_long_and_of_their_alphabet() {
        let mut rng = ChaCha12Rng::from_seed([1; 32]);
        let drawn: Vec<String> = (0..2000).map(|_| random(&mut rng, CHARACTERS, ALPHABET)).collect();
        assert!(drawn.iter().all(|code| code.len() == CHARACTERS));
        assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), 2000);
        let used: BTreeSet<char> = drawn.iter().flat_map(|code| code.chars()).collect();
        assert_eq!(used.len(), ALPHABET.len(), "80 bits");
        let digits: String = (0..2000).map(|_| random(&mut rng, DIGITS, b"0123456789")).collect();
        for digit in '0'..='9' {
            let share = digits.matches(digit).count();
            assert!((1450..1750).contains(&share), "{digit}: {share} of 16000");
        }
    }
}
