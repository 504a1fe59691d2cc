//! What comes on the port of a web page's sound before there is any.

use crate::{pieces, start};
use std::sync::OnceLock;
use std::time::Duration;
use webrtc::{Association, Certificate, Fingerprint, Hash, Output, Role, Terms};

const PIECES_MAX: usize = 50;

/// Made once: that is slow.
static CERTIFICATE: OnceLock<Option<Certificate>> = OnceLock::new();

/// Checks and handshakes of somebody who does not know the password: nothing is answered.
pub(crate) fn stun(input: &[u8]) {
    let Some(certificate) = CERTIFICATE.get_or_init(|| Certificate::generate().ok()) else { return };
    let mut now = start();
    let terms = Terms {
        ufrag: "ours".to_owned(),
        password: "no input knows this password".to_owned(),
        peer_ufrag: "theirs".to_owned(),
        fingerprint: Fingerprint { hash: Hash::Sha256, bytes: vec![7; 32] },
        role: if input.len().is_multiple_of(2) { Role::Client } else { Role::Server },
    };
    let mut association = Association::new(now, certificate.clone(), terms);
    for (kind, bytes) in pieces(input).take(PIECES_MAX) {
        association.handle_packet(now, ([192, 0, 2, 1], 1000 + u16::from(kind & 3)).into(), bytes);
        now += Duration::from_millis(u64::from(kind));
        association.handle_timeout(now);
        while let Some(output) = association.poll_output() {
            assert!(matches!(output, Output::Failed(_)), "somebody without the password was answered");
        }
        assert!(association.keys().is_none(), "keys without a handshake");
    }
}
