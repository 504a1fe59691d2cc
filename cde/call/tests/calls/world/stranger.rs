//! Who calls in words, or from an address, of their own.

use super::*;

impl World {
    /// An INVITE in somebody's own words; the status that it gets at last.
    pub(crate) fn raw_invite(&mut self, from: SocketAddr, lines: &str) -> String {
        self.raw_invite_to(from, "", lines)
    }

    /// The same to a number.
    pub(crate) fn raw_invite_to(&mut self, from: SocketAddr, number: &str, lines: &str) -> String {
        self.raw_invite_by(from, "1009", number, lines)
    }

    /// The same by who says that they are this one.
    pub(crate) fn raw_invite_by(&mut self, from: SocketAddr, by: &str, number: &str, lines: &str) -> String {
        let target = if number.is_empty() { US.to_string() } else { format!("{number}@{US}") };
        self.agent_cseq += 1;
        let (number, offer) = (self.agent_cseq, self.agents_offer(Direction::SendRecv));
        let offer = String::from_utf8_lossy(offer.as_bytes()).into_owned();
        let text = format!(
            "INVITE sip:{target} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKi{number}\r\nFrom: <sip:{by}@{from}>;tag=x{number}\r\n\
             To: <sip:{US}>\r\nCall-ID: raw{number}\r\nCSeq: 1 INVITE\r\nContact: <sip:{from}>\r\nMax-Forwards: 70\r\n\
             {lines}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{offer}",
            offer.len()
        );
        self.board.handle_message(self.now, sip::Peer::udp(from), text.as_bytes());
        let mut status = String::new();
        let mut datagrams = VecDeque::new();
        while let Some(output) = self.board.poll_output() {
            if let Output::Sip { bytes, .. } = &output {
                let text = String::from_utf8_lossy(bytes).into_owned();
                if text.contains(&format!("Call-ID: raw{number}\r\n")) {
                    status = text.get(8..11).unwrap_or_default().to_owned();
                }
            }
            self.handle_output(output, &mut datagrams);
        }
        for (from, to, bytes) in datagrams {
            self.carry(from, to, &bytes);
        }
        self.settle();
        status
    }

    pub(crate) fn refused_from(&mut self, from: SocketAddr, number: &str) -> u16 {
        let offer = self.caller.offer();
        self.refused_with(from, number, Some(offer))
    }

    /// The status that an INVITE from this address gets.
    pub(crate) fn refused_with(&mut self, from: SocketAddr, number: &str, body: Option<Body>) -> u16 {
        // Another seed each time, or the second call would be a retransmission of the first.
        self.strangers += 1;
        let srtp = self.caller.srtp;
        self.caller = Peer { srtp, ..Peer::new(from, 40_000, self.strangers) };
        self.caller_at = from;
        self.invite(number, body);
        self.settle();
        let failed = self.caller.events.iter().find_map(|event| match event {
            Event::Failed { status, .. } => Some(*status),
            _ => None,
        });
        failed.unwrap()
    }
}
