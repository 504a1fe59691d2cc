//! The headers every request needs; the ACK and CANCEL of an INVITE are made from the INVITE's own.

use crate::{
    message::{Method, NameAddr, Uri, writer::Writer},
    transport::Local,
};

/// The part of a request that its ACK and CANCEL repeat.
#[derive(Clone)]
pub(crate) struct Outline {
    pub(crate) uri: Uri,
    pub(crate) local: Local,
    pub(crate) branch: String,
    pub(crate) routes: Vec<NameAddr>,
    pub(crate) max_forwards: u8,
    pub(crate) from: NameAddr,
    pub(crate) to: NameAddr,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
}

impl Outline {
    /// Starts a request with this outline.
    pub(crate) fn write(&self, method: &Method) -> Writer {
        let mut writer = Writer::request(method, &self.uri);
        let Local { transport, address } = self.local;
        // rport is asked for wherever it means something: the answer then finds its way through a NAT (RFC 3581).
        let rport = if transport.is_reliable() { "" } else { ";rport" };
        let via = format!("SIP/2.0/{} {address}{rport};branch={}", transport.name(), self.branch);
        writer.header("Via", via.as_bytes());
        for route in &self.routes {
            writer.header("Route", &route.to_bytes());
        }
        writer.header("Max-Forwards", self.max_forwards.to_string().as_bytes());
        writer.header("From", &self.from.to_bytes());
        writer.header("To", &self.to.to_bytes());
        writer.header("Call-ID", self.call_id.as_bytes());
        writer.header("CSeq", format!("{} {}", self.cseq, method.as_str()).as_bytes());
        writer
    }
}
