//! What a seed decides before the world begins.

use crate::dice::Dice;
use crate::sabotage::Sabotage;
use std::time::Duration;

/// How closely media is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Keys come to a model of the media session: fast.
    Keys,
    /// Every RTP packet is made, lost, doubled, delayed, relayed or masked by the real session.
    Frames,
}

/// A process that can die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The card data environment.
    Cde,
    /// The office.
    Office,
}

/// Every so many worlds one is played a second time with other digits.
pub const TWIN_EVERY: u64 = 8;

/// Everything that is decided in advance.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it all comes from.
    pub seed: u64,
    /// How closely media is played.
    pub level: Level,
    /// The agent hears the caller's voice while the line is secured.
    pub natural: bool,
    /// Other digits at the same times: where a code and slips of the finger are free, they are others.
    pub twin: bool,
    /// Keep all that can be seen from outside, to show where two worlds part.
    pub keeps: bool,
    /// What is broken on purpose.
    pub sabotage: Option<Sabotage>,
    /// How many calls each pair of caller and agent makes, one after the other.
    pub lanes: Vec<u32>,
    /// Which of them are callers whom a contact centre sends to pay alone.
    pub pay_alone: Vec<bool>,
    /// Of a thousand SIP messages.
    pub sip: Loss,
    /// Of a thousand RTP packets.
    pub rtp: Loss,
    /// The bank's faults, as its own order (`POST /v1/faults`).
    pub faults: String,
    /// Between these times the bank cannot be reached.
    pub bank_down: Option<(Duration, Duration)>,
    /// Who dies when.
    pub kills: Vec<(Duration, Side)>,
    /// When the door's connection breaks although both live.
    pub door_breaks: Vec<Duration>,
    /// Of a thousand calls: the media session cannot be opened; stops proving; suspects a leak.
    pub media_faults: [u64; 3],
}

/// What becomes of messages on their way.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// Of a thousand.
    pub lost: u64,
    /// Of a thousand.
    pub doubled: u64,
    /// The fastest and the slowest way, in milliseconds; different ways reorder.
    pub way_ms: (u64, u64),
}

impl Plan {
    /// The plan of a seed.
    pub fn new(seed: u64, level: Level) -> Self {
        let mut dice = Dice::new(seed, 1);
        let calm = dice.per_mille(300);
        let mut lanes: Vec<u32> = (0..=dice.below(3)).map(|_| 1 + u32::try_from(dice.below(3)).unwrap_or(0)).collect();
        let mut alone = Dice::new(seed, 5);
        let pay_alone: Vec<bool> = lanes.iter().map(|_| alone.per_mille(250)).collect();
        // Who asks for the same again must come more than once.
        lanes.iter_mut().zip(&pay_alone).filter(|(_, alone)| **alone).for_each(|(calls, _)| *calls += 1);
        let rough = |dice: &mut Dice, most: u64| if calm { 0 } else { dice.below(most + 1) };
        let sip =
            Loss { lost: rough(&mut dice, 80), doubled: rough(&mut dice, 50), way_ms: (2, 10 + rough(&mut dice, 90)) };
        let rtp =
            Loss { lost: rough(&mut dice, 20), doubled: rough(&mut dice, 20), way_ms: (5, 10 + rough(&mut dice, 50)) };
        let faults = faults(&mut dice, calm);
        let bank_down = (!calm && dice.per_mille(150)).then(|| {
            let from = dice.ms(1_000, 40_000);
            (from, from + dice.ms(1_000, 60_000))
        });
        let kills = if !calm && dice.per_mille(250) { kills(&mut dice) } else { Vec::new() };
        let door_breaks = (0..rough(&mut dice, 2)).map(|_| dice.ms(500, 90_000)).collect();
        let media_faults = if calm { [0; 3] } else { [10, 15, 10] };
        Self {
            seed,
            level,
            natural: seed / TWIN_EVERY % 2 == 1,
            twin: false,
            keeps: false,
            sabotage: None,
            lanes,
            pay_alone,
            sip,
            rtp,
            faults,
            bank_down,
            kills,
            door_breaks,
            media_faults,
        }
    }

    /// Is it played a second time with other digits? Then its callers key in ways that do not go by which key it is.
    pub fn has_twin(&self) -> bool {
        self.seed.is_multiple_of(TWIN_EVERY)
    }

    /// The same with other digits.
    #[must_use]
    pub fn twin(&self) -> Self {
        Self { twin: true, ..self.clone() }
    }

    /// How many calls are made.
    pub fn calls(&self) -> u32 {
        self.lanes.iter().sum()
    }
}

fn faults(dice: &mut Dice, calm: bool) -> String {
    if calm {
        return "{}".to_owned();
    }
    let [before, after, delay, error, refused, cut] = std::array::from_fn(|_| dice.below(120));
    let (seed, delay_ms) = (dice.below(u64::MAX), 500 + dice.below(29_000));
    format!(
        r#"{{"seed":{seed},"delay_ms":{delay_ms},"per_mille":{{"drop_before":{before},"drop_after":{after},"delay":{delay},"error_500_after":{error},"not_executed":{refused},"truncate":{cut}}}}}"#
    )
}

fn kills(dice: &mut Dice) -> Vec<(Duration, Side)> {
    let mut kills: Vec<_> = (0..=dice.below(3))
        .map(|_| (dice.ms(500, 90_000), if dice.per_mille(500) { Side::Cde } else { Side::Office }))
        .collect();
    kills.sort_by_key(|(at, _)| *at);
    kills
}
