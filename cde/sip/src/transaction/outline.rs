//! The headers every request needs; the ACK and CANCEL of an INVITE are made from the INVITE's own.

use std::net::SocketAddr;

use crate::message::{Method, NameAddr, Uri, writer::Writer};

/// The part of a request that its ACK and CANCEL repeat.
#[derive(Clone)]
pub(crate) struct Outline {
    pub(crate) uri: Uri,
    pub(crate) local: SocketAddr,
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
        // rport is always asked for: the answer then finds its way through a NAT (RFC 3581).
        writer.header("Via", format!("SIP/2.0/UDP {};rport;branch={}", self.local, self.branch).as_bytes());
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
