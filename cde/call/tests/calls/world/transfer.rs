//! A PBX that transfers callers to us.

use super::*;
use call::OnDemand;
use wire::TransferCode;

/// Where the PBX sends transferred callers from: another place of its trunk.
pub(crate) const PBX: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5081);

impl World {
    /// The PBX's agents are 10xx; codes can be dialed after 7999.
    pub(crate) fn on_demand() -> Self {
        Self::on_demand_with(|_| {})
    }

    pub(crate) fn on_demand_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::with(|config| {
            config.trunks[1].targets.push(place(PBX, 9));
            config.trunks[1].on_demand = Some(OnDemand {
                extensions: vec!["10xx".to_owned()],
                number: Some("7999".to_owned()),
                keys_cross_pbx: true,
                internal_callers: false,
                attended: false,
                conference: None,
                hook: None,
            });
            change(config);
        })
    }

    /// The agent asks for a code at the desk.
    pub(crate) fn asks_for_code(&mut self, extension: &str, payment: Option<PaymentOrder>) -> CommandResult {
        self.asks(extension, payment, false)
    }

    /// And the like, to add us to a conference.
    pub(crate) fn asks_for_conference(&mut self, extension: &str, payment: Option<PaymentOrder>) -> CommandResult {
        self.asks(extension, payment, true)
    }

    fn asks(&mut self, extension: &str, payment: Option<PaymentOrder>, conference: bool) -> CommandResult {
        self.command_number += 1;
        let call = CallId::from_random(self.command_number);
        let id = CommandId::from_random(self.command_number);
        let action = Action::AwaitTransfer { extension: extension.parse().unwrap(), payment, conference };
        self.send_command(&Command { id, ..order(call, action) });
        self.result(id).expect("an answer at once")
    }

    pub(crate) fn code(&mut self, extension: &str) -> TransferCode {
        match self.asks_for_code(extension, None) {
            CommandResult::Awaiting { code, .. } => code,
            other => panic!("{other:?}"),
        }
    }

    /// An INVITE for this user comes from there; what the other side says of the caller is in `from` and `headers`.
    pub(crate) fn comes(&mut self, at: SocketAddr, user: &str, from: &str, headers: &[(&str, &str)]) {
        self.comes_with(at, user, from, headers, true);
    }

    pub(crate) fn comes_with(
        &mut self,
        at: SocketAddr,
        user: &str,
        from: &str,
        headers: &[(&str, &str)],
        offers: bool,
    ) {
        // Another seed each time, or the second call would be a retransmission of the first.
        self.strangers += 1;
        self.caller = Peer::new(at, 40_000, self.strangers);
        self.caller_at = at;
        let target = Uri::sip(Some(user), US).unwrap();
        let body = if offers { Some(self.caller.offer()) } else { None };
        self.caller.last_offer.clone_from(&body);
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        let invite = Invite {
            to: NameAddr::new(target.clone()),
            target,
            destination: Some(sip::Peer::udp(US)),
            tcp_when_large: false,
            from: NameAddr::new(Uri::sip(Some(from), at).unwrap()),
            headers,
            body,
            credentials: None,
        };
        self.caller.dialog = Some(self.caller.endpoint.invite(self.now, invite).unwrap());
        self.settle();
    }

    /// The PBX transfers an outside caller to a code.
    pub(crate) fn is_transferred(&mut self, user: &str) {
        self.comes(PBX, user, "447700900142", &[]);
    }

    /// The other side offers its leg this direction.
    pub(crate) fn caller_offers(&mut self, direction: Direction) {
        self.caller.local.direction = direction;
        let offer = self.caller.offer();
        self.caller.last_offer = Some(offer.clone());
        self.caller.endpoint.reinvite(self.now, self.caller.dialog.unwrap(), Some(offer)).unwrap();
        self.settle();
    }

    /// The status with which the newest INVITE was refused.
    pub(crate) fn refusal(&self) -> Option<u16> {
        self.caller.events.iter().find_map(|event| match event {
            Event::Failed { status, .. } => Some(*status),
            _ => None,
        })
    }

    /// The newest attempt is on disk, and this becomes of it.
    pub(crate) fn journaled_with(&mut self, outcome: wire::Outcome) {
        let (call, attempt) = (self.call(), *self.attempts.last().expect("an attempt"));
        self.board.handle_journaled(self.now, call, attempt, Ok(()));
        self.settle();
        self.board.handle_outcome(self.now, call, attempt, outcome);
        self.settle();
    }

    /// All that the office was shown, as it would stand in a log.
    pub(crate) fn shown_words(&self) -> String {
        format!("{:?} {:?}", self.wires, self.results)
    }

    /// Places in the order of what the media session was told.
    pub(crate) fn first_order(&self, order: &str) -> Option<usize> {
        self.orders.iter().position(|own| *own == order)
    }

    /// The agent's phone answers, or not until it is told to.
    pub(crate) fn agent_answers_by_itself(&mut self, does: bool) {
        self.agent.answers_calls = does;
    }
}

impl World {
    /// These agents have these PINs.
    pub(crate) fn pins(&mut self, pins: &[(&str, &str)]) {
        let none = call::pins::Pins::new(&[7; 32], BTreeMap::new());
        let hash = |(extension, pin): &(&str, &str)| {
            let extension = extension.parse().unwrap();
            let hash = none.hash(&extension, pin).unwrap();
            (extension, hash)
        };
        self.board.set_pins(call::pins::Pins::new(&[7; 32], pins.iter().map(hash).collect()));
    }

    /// The media session of a call hears the agent press these, and `#` or nothing more.
    pub(crate) fn agent_keys(&mut self, call: CallId, digits: &str) {
        let digit = |key: u8| media::Event::AgentDigit(Key::from_char(key).unwrap());
        for event in digits.bytes().map(digit).chain([media::Event::AgentDigitsEnd]) {
            self.board.handle_media(self.now, call, MediaReport::Event(event));
        }
        self.settle();
    }

    /// A code, these digits and the end, on the call of the moment.
    pub(crate) fn agent_codes(&mut self, digits: &str) {
        let call = self.call();
        self.board.handle_media(self.now, call, MediaReport::Event(media::Event::AgentCode));
        self.agent_keys(call, digits);
    }

    /// Keys of the agent's phone by INFO.
    pub(crate) fn agent_infos_of(&mut self, keys: &str) {
        let dialog = self.agent.dialog.unwrap();
        for key in keys.bytes() {
            self.agent.endpoint.info(self.now, dialog, "application/dtmf", Body::from(&[key][..])).unwrap();
            self.settle();
        }
    }

    /// How many INFOs the caller's side has got.
    pub(crate) fn caller_info_count(&self) -> usize {
        self.caller.infos
    }

    /// The call that is only there for a PIN, which the office is not shown: the one whose media was opened last.
    pub(crate) fn newest_call(&self) -> CallId {
        self.opened.last().copied().unwrap()
    }
}

impl World {
    /// The office reads the messages of all calls, which are among what it is shown then.
    pub(crate) fn read_ladders(&mut self) {
        let list = Command { id: CommandId::from_random(5_000), ..order(CallId::from_random(1), Action::Ladders) };
        self.send_command(&list);
        let is = |event: &wire::Event| match event {
            wire::Event::Ladders { ladders, .. } => Some(ladders.iter().map(|ladder| ladder.call).collect::<Vec<_>>()),
            _ => None,
        };
        let calls = self.wires.iter().find_map(is).unwrap();
        for (number, call) in (5_001..).zip(calls) {
            self.send_command(&Command { id: CommandId::from_random(number), ..order(call, Action::Ladder) });
        }
    }
}
