//! A caller who pays alone hears beeps of ours, and the agent's side nothing of it.

use crate::harness::{Call, ms, remote};
use media::g711::Law;
use media::{Command, Side};

#[test]
fn a_caller_who_is_alone_is_asked_by_beeps_until_somebody_is_there() {
    let mut call = Call::new();
    call.command(Command::Disconnect { side: Side::Agent });
    call.command(Command::Cue { long: false, short: 2 });
    call.wait(ms(1000));
    let heard: Vec<i16> = call.caller.got.iter().flat_map(|got| got.samples(Law::Mu)).collect();
    assert!((49..=51).contains(&call.caller.got.len()), "{} packets in a second", call.caller.got.len());
    let loud = heard.chunks(160).map(|frame| frame.iter().any(|sample| sample.abs() > 500)).collect::<Vec<_>>();
    let beeps = loud.chunk_by(|one, other| one == other).filter(|run| run[0]).count();
    assert_eq!(beeps, 2);
    let goes_on = |pair: &[crate::harness::Got]| pair[1].header.sequence == pair[0].header.sequence.wrapping_add(1);
    assert!(call.caller.got.windows(2).all(goes_on));
    assert!(call.agent.got.is_empty());
    call.command(Command::Connect { side: Side::Agent, remote: remote(Side::Agent) });
    let before = call.caller.got.len();
    call.command(Command::Cue { long: true, short: 9 });
    call.wait(ms(500));
    assert_eq!(call.caller.got.len(), before, "the agent speaks now");
}
