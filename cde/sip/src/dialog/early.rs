//! Early dialogs of an INVITE of ours: one for each fork that rings (RFC 3261 §12.1, RFC 3262 §4).

use crate::message::{Headers, Name, NameAddr, Response, Uri, number};

use super::{contact, record_routes};

/// One fork that has said something provisional.
pub(crate) struct Early {
    pub(crate) remote: NameAddr,
    pub(crate) target: Uri,
    pub(crate) routes: Vec<NameAddr>,
    /// The last response that was acknowledged.
    rseq: Option<u32>,
}

impl Early {
    pub(crate) fn new(remote: NameAddr, target: Uri) -> Self {
        Self { remote, target, routes: Vec::new(), rseq: None }
    }

    pub(crate) fn tag(&self) -> &str {
        self.remote.tag().unwrap_or_default()
    }

    /// Where it is, and by which way.
    pub(crate) fn follow(&mut self, response: &Response) {
        if let Some(target) = contact(&response.headers) {
            self.target = target;
        }
        self.routes = record_routes(&response.headers);
        self.routes.reverse();
    }

    /// Takes the number of a response that demands its acknowledgment; false for one that came again, or came too early:
    /// the one before is repeated until we have it.
    pub(crate) fn take_rseq(&mut self, rseq: u32) -> bool {
        let is_next = self.rseq.is_none_or(|last| last.checked_add(1) == Some(rseq));
        if is_next {
            self.rseq = Some(rseq);
        }
        is_next
    }
}

/// The number of a provisional response that demands its acknowledgment.
pub(crate) fn rseq(headers: &Headers) -> Option<u32> {
    let is_demanded = headers.list(Name::Require).iter().any(|tag| tag.eq_ignore_ascii_case(b"100rel"));
    headers.first(Name::RSeq).filter(|_| is_demanded).and_then(number)
}
