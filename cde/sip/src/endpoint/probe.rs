//! OPTIONS outside a dialog: is somebody there (RFC 3261 §11)?

use std::time::Instant;

use crate::{
    message::{Method, NameAddr, Uri, writer::Writer},
    transaction::{Outline, Purpose, Start},
    transport::{Local, Peer},
};

use super::{Endpoint, Error, RequestId, SUPPORTED_WITHOUT_100REL, identify, requests::MAX_FORWARDS};

impl Endpoint {
    pub(super) fn send_probe(&mut self, now: Instant, to: Peer) -> Result<RequestId, Error> {
        if !self.has_room_for_call() {
            return Err(Error::Overloaded);
        }
        let local = Local::toward(&self.config.local, to);
        let uri = |address| Uri::sip(None, address).map_err(|_| Error::Scheme);
        let (uri, from) = (uri(to.address)?, NameAddr::new(uri(local.address)?));
        let outline = Outline {
            local,
            branch: self.identifiers.branch(),
            routes: Vec::new(),
            max_forwards: MAX_FORWARDS,
            from: from.tagged(&self.identifiers.tag()),
            to: NameAddr::new(uri.clone()),
            call_id: self.identifiers.call_id(),
            cseq: 1,
            uri,
        };
        let mut writer = Writer::fragment();
        identify(&self.config, &mut writer, ("User-Agent", SUPPORTED_WITHOUT_100REL, ""), local, false);
        let (request, rest) = (self.next_request(), writer.finish(None));
        let start = Start::new(Method::Options, (outline, to), Vec::new(), rest, Purpose::Probe(request));
        self.clients.start(now, &mut self.out, start);
        Ok(request)
    }
}
