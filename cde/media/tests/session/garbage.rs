//! Arbitrary input.

use crate::harness::{AGENT, CALLER, Call, ms};
use media::{Command, Policy, Side};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(packets in prop::collection::vec(
        (any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..600), 0..600u64), 0..60)
    ) {
        let mut call = Call::new();
        for (n, (caller, shaped, mut bytes, wait)) in packets.into_iter().enumerate() {
            // Half of them get far enough to be read: version 2, a known payload type, one SSRC.
            if shaped && bytes.len() >= 12 {
                bytes[0] = 0x80 | (bytes[0] & 0x3f);
                bytes[1] = (bytes[1] & 0x80) | if bytes[1] & 1 == 0 { 101 } else { 0 };
                bytes[8..12].copy_from_slice(&[0, 0, 0, 1]);
            }
            match n % 7 {
                2 => call.command(Command::Secure { policy: Policy::Strict }),
                5 => call.command(Command::Release),
                _ => {}
            }
            let (side, source) = if caller { (Side::Caller, CALLER) } else { (Side::Agent, AGENT) };
            call.session.handle_packet(call.now, side, source.parse().unwrap(), &bytes);
            call.wait(ms(wait));
        }
    }
}
