//! Answers without state: refusals of what opens no transaction (RFC 3261 §8.2.7).

use crate::{
    message::{ALLOW, Malformed, Method, Request, writer},
    transaction::Template,
    transport::Peer,
};

use super::{Endpoint, content::SDP};

/// A header of a refusal.
pub(super) type Extra<'a> = (&'a str, &'a [u8]);

impl Endpoint {
    /// Answers what the parser refused, if it can be answered.
    pub(super) fn refuse_malformed(&mut self, from: Peer, malformed: &Malformed) {
        self.out.stats.malformed += 1;
        let Some(reply) = &malformed.reply else { return };
        let template = Template::of_parts(&reply.headers, &reply.via, from);
        self.send_stateless(&template, reply.status, &malformed.error.to_string(), &[]);
    }

    /// Refuses a request without keeping anything: every repetition is judged anew and gets the same answer.
    pub(super) fn refuse(&mut self, from: Peer, request: &Request, status: u16, extra: &[Extra<'_>]) {
        if request.method == Method::Ack {
            return;
        }
        self.send_stateless(&Template::new(request, from), status, writer::reason(status), extra);
    }

    /// 503, and when to try again: spread, so that the refused do not come back together.
    pub(super) fn refuse_overload(&mut self, from: Peer, request: &Request) {
        self.out.stats.overload_refusals += 1;
        let seconds = self.identifiers.delay(2000, 10_000).as_secs().to_string();
        self.refuse(from, request, 503, &[("Retry-After", seconds.as_bytes())]);
    }

    pub(super) fn refuse_method(&mut self, from: Peer, request: &Request) {
        self.refuse(from, request, 405, &[("Allow", ALLOW.as_bytes())]);
    }

    /// OPTIONS outside a dialog: what we can do.
    pub(super) fn tell_options(&mut self, from: Peer, request: &Request) {
        self.refuse(from, request, 200, &[("Allow", ALLOW.as_bytes()), ("Accept", SDP.as_bytes())]);
    }

    fn send_stateless(&mut self, template: &Template, status: u16, reason: &str, extra: &[Extra<'_>]) {
        let tag = self.identifiers.stateless_tag(template.identity());
        let mut response = template.write(status, reason, Some(&tag), false);
        extra.iter().for_each(|(name, value)| response.header(name, value));
        if !self.config.user_agent.is_empty() {
            response.header("Server", self.config.user_agent.as_bytes());
        }
        self.out.send(template.peer, response.finish(None));
    }
}
