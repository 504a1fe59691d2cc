//! What the agent's side does and sees.

use super::*;

impl World {
    pub(crate) fn agent_answers_with(&mut self, body: Body) {
        let dialog = self.agent.dialog.unwrap();
        self.agent.endpoint.accept(self.now, dialog, Some(body));
        self.settle();
    }

    pub(crate) fn agent_rejects(&mut self, status: u16) {
        let dialog = self.agent.dialog.take().unwrap();
        self.agent.endpoint.reject(self.now, dialog, status, None, Vec::new());
        self.settle();
    }

    pub(crate) fn agent_rings(&self) -> bool {
        self.agent.dialog.is_some()
    }

    pub(crate) fn agent_hangs_up(&mut self) {
        let dialog = self.agent.dialog.take().unwrap();
        self.agent.endpoint.bye(self.now, dialog);
        self.settle();
    }

    pub(crate) fn agent_holds(&mut self, hold: bool) {
        self.agent.local.direction = if hold { Direction::SendOnly } else { Direction::SendRecv };
        self.agent_offers();
    }

    /// Another codec from here on.
    pub(crate) fn agent_offers_a_law(&mut self) {
        self.agent.local.codecs.retain(|(codec, _)| *codec == Codec::Pcma);
        self.agent_offers();
    }

    pub(crate) fn agent_offers(&mut self) {
        let offer = self.agent.offer();
        self.agent.endpoint.reinvite(self.now, self.agent.dialog.unwrap(), Some(offer)).unwrap();
        self.settle();
    }

    /// Asks for an offer and takes what comes, both ways.
    pub(crate) fn agent_resumes_without_offer(&mut self) {
        self.agent.local.direction = Direction::SendRecv;
        self.agent.last_offer = None;
        self.agent.endpoint.reinvite(self.now, self.agent.dialog.unwrap(), None).unwrap();
        self.settle();
    }

    /// A request inside the agent's dialog, in its own words.
    pub(crate) fn agent_says(&mut self, method: &str, lines: &str, body: Option<&Body>) {
        self.agent_sends(method, lines, body);
        self.settle();
    }

    /// The same before anybody has said anything to what it leads to.
    pub(crate) fn agent_sends(&mut self, method: &str, lines: &str, body: Option<&Body>) {
        let mut acks = self.to_agent.iter().filter(|text| text.starts_with("ACK"));
        let invite = match self.agent_leg {
            Some(number) => acks.nth(number).unwrap().clone(),
            None => acks.next_back().unwrap().clone(),
        };
        let value = |name: &str| invite.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let (from, to, call_id) = (value("To: "), value("From: "), value("Call-ID: "));
        self.agent_cseq += 1;
        let cseq = self.agent_cseq;
        let body = body.map_or_else(String::new, |body| String::from_utf8_lossy(body.as_bytes()).into_owned());
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} sip:{US} SIP/2.0\r\nVia: SIP/2.0/UDP {AGENT};branch=z9hG4bK{cseq}\r\nFrom: {from}\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:{AGENT}>\r\nMax-Forwards: 70\r\n\
             {lines}{content}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.carry(AGENT, US, text.as_bytes());
    }

    /// The agent's side takes the call that rings there.
    pub(crate) fn agent_picks_up(&mut self) {
        self.agent.pick_up(self.now);
        self.settle();
    }

    /// The agent's side calls a number through us.
    pub(crate) fn agent_calls(&mut self, number: &str) {
        let target = Uri::sip(Some(number), US).unwrap();
        let body = Some(self.agent.offer());
        self.agent.last_offer = body.clone();
        let invite = Invite {
            to: NameAddr::new(target.clone()),
            target,
            destination: Some(sip::Peer::udp(US)),
            tcp_when_large: false,
            from: NameAddr::new(Uri::sip(Some("1001"), AGENT).unwrap()),
            headers: Vec::new(),
            body,
            credentials: None,
        };
        self.agent.dialog = Some(self.agent.endpoint.invite(self.now, invite).unwrap());
        self.agent.called = self.agent.dialog;
        self.settle();
    }

    /// The agent hangs up the call that they have made.
    pub(crate) fn agent_calls_hang_up(&mut self) {
        let dialog = self.agent.called.take().unwrap();
        self.agent.endpoint.bye(self.now, dialog);
        self.settle();
    }

    /// In the call that they have made last, the agent's side asks for a transfer; the start of the answer.
    pub(crate) fn agent_refers_there(&mut self, target: &str) -> String {
        let is = |text: &&String| text.starts_with("SIP/2.0 200") && text.contains("CSeq: 1 INVITE");
        let ok = self.to_agent.iter().rfind(is).unwrap();
        let value = |name: &str| ok.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        let (from, to, call_id) = (value("From: "), value("To: "), value("Call-ID: "));
        self.agent_cseq += 1;
        let cseq = self.agent_cseq;
        let text = format!(
            "REFER sip:{US} SIP/2.0\r\nVia: SIP/2.0/UDP {AGENT};branch=z9hG4bKr{cseq}\r\n{from}\r\n{to}\r\n{call_id}\r\n\
             CSeq: {cseq} REFER\r\nContact: <sip:{AGENT}>\r\nMax-Forwards: 70\r\nRefer-To: {target}\r\n\
             Content-Length: 0\r\n\r\n"
        );
        self.carry(AGENT, US, text.as_bytes());
        self.settle();
        let ours = format!("CSeq: {cseq} REFER");
        self.to_agent.iter().rfind(|text| text.contains(&ours)).unwrap().get(..11).unwrap().to_owned()
    }

    /// The agent's side says that the call that rings there belongs elsewhere.
    pub(crate) fn agent_redirects(&mut self, contacts: &str) {
        let invite = self.to_agent.iter().rfind(|text| text.starts_with("INVITE")).unwrap().clone();
        self.redirect(&invite, AGENT, contacts);
    }

    /// What names a leg of the agent's side to whoever wants to take its place (RFC 3891): the last message to it that fits.
    pub(crate) fn agent_leg_name(&self, fits: impl Fn(&str) -> bool) -> String {
        let text = self.to_agent.iter().rfind(|text| fits(text)).unwrap();
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let tag = |name: &str| value(name).rsplit_once("tag=").unwrap().1;
        let (ours, theirs) =
            if text.starts_with("SIP/2.0") { (tag("To: "), tag("From: ")) } else { (tag("From: "), tag("To: ")) };
        format!("{};to-tag={ours};from-tag={theirs}", value("Call-ID: "))
    }

    /// The statuses that the agent's side was told of its transfer.
    pub(crate) fn agent_news(&self) -> Vec<&str> {
        let notifies = self.to_agent.iter().filter(|text| text.starts_with("NOTIFY"));
        notifies.filter_map(|text| text.split("\r\n\r\nSIP/2.0 ").nth(1)?.get(..3)).collect()
    }

    /// The start lines that the agent's side has got.
    pub(crate) fn agent_got(&self) -> Vec<&str> {
        self.to_agent.iter().filter_map(|text| text.lines().next()).collect()
    }

    /// The last response to such a request.
    pub(crate) fn agent_heard(&self, method: &str) -> &str {
        let ours = format!("CSeq: {} {method}", self.agent_cseq);
        self.to_agent.iter().rfind(|text| text.contains(&ours)).expect("an answer")
    }

    /// What the agent's phone offers when it holds or resumes.
    pub(crate) fn agents_offer(&mut self, direction: Direction) -> Body {
        self.agent.local.direction = direction;
        let origin = self.agent.origin();
        self.agent.local.offer(origin)
    }

    pub(crate) fn agent_saw(&self, is: impl Fn(&Event) -> bool) -> bool {
        self.agent.events.iter().any(is)
    }

    pub(crate) fn agent_infos(&self) -> usize {
        self.agent.infos
    }

    pub(crate) fn agent_offer(&self) -> Body {
        self.agent.last_offer.clone().unwrap()
    }
}
