//! The control of the leak checks: with the mask off they must see a leak.

use crate::harness::{Call, EVENTS, ms};
use media::dtmf::{Shape, tone};
use media::{Command, Policy, tone::decode};

#[test]
fn with_the_mask_off_the_digits_reach_the_agent() {
    assert!(media::masking_disabled());
    let mut call = Call::new();
    call.command(Command::Secure { policy: Policy::Strict });
    for key in b"4012" {
        call.caller_says(&tone(*key, Shape::default()).unwrap());
        call.caller_is_silent(ms(80));
    }
    call.caller_keys("77");
    assert_eq!(decode(&call.agent_heard()), "4012");
    assert!(call.agent.got.iter().any(|got| got.header.payload_type == EVENTS && got.payload[0] == 7));
    assert_eq!((call.keys().as_str(), call.times("Secured").len()), ("401277", 1));
    assert!(!call.times("Proof").is_empty());
}
