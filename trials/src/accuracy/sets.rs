//! The sets.

use super::codec::Codec;
use super::row::{Manner, Row, lose};
use crate::dice::Dice;
use crate::level;
use crate::opusleg::{BROWSER, OpusLeg, SPEECH};
use crate::speech::{Speaker, espeak};

/// What was made, as all decoders hear it.
pub(crate) struct Made {
    pub(crate) pressed: Vec<u8>,
    pub(crate) samples: Vec<i16>,
    /// How, for those who look at what went wrong.
    pub(crate) said: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Every digit must be read.
    Accept,
    /// None may be read.
    Refuse,
}

type Make = Box<dyn Fn(&mut Dice) -> anyhow::Result<Made>>;

/// One set.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    pub(crate) bar: &'static str,
    pub(crate) kind: Kind,
    pub(crate) make: Make,
}

const ALL: &str = "100 %";
const MOST: &str = "96.9 %";
const NONE: &str = "none";
const PEERS: &str = "no worse than a peer";

/// Every set, in the order of the table.
pub(crate) fn all() -> anyhow::Result<Vec<Set>> {
    let mut sets = grid();
    sets.extend(refused());
    sets.extend(faults());
    sets.extend(losses());
    sets.extend(codecs()?);
    sets.extend(spoken());
    sets.extend(legs());
    Ok(sets)
}

fn set(name: &'static str, bar: &'static str, make: impl Fn(&mut Dice) -> anyhow::Result<Made> + 'static) -> Set {
    Set { name, bar, kind: Kind::Accept, make: Box::new(make) }
}

/// In G.711 and as it is, one row after the other.
fn plain(dice: &mut Dice, row: Row) -> anyhow::Result<Made> {
    let codec = [Codec::Linear, Codec::Mulaw, Codec::Alaw][dice.pick(3)].clone();
    coded(&codec, row)
}

fn coded(codec: &Codec, row: Row) -> anyhow::Result<Made> {
    let samples = codec.through(&level::samples(&row.sound))?;
    let said = format!("{codec:?}, {:.1} dBm0", row.level_dbm0);
    Ok(Made { pressed: row.pressed, samples, said })
}

fn grid() -> Vec<Set> {
    let long = |ms: f64| Manner { on_ms: [ms; 2], ..Manner::GRID };
    let dropped = move |ms: f64, gap: [f64; 2]| {
        move |dice: &mut Dice| {
            let mut row = Row::new(dice, long(ms));
            row.drop_out(dice, gap);
            plain(dice, row)
        }
    };
    vec![
        set("grid: 40/40 ms, 0 to −29 dBm0, twist −8 to +4 dB, ±1.5 %", ALL, |dice| {
            let row = Row::new(dice, Manner::GRID);
            plain(dice, row)
        }),
        set("grid with white noise 12 to 24 dB below", ALL, |dice| {
            let mut row = Row::new(dice, Manner::GRID);
            let below = dice.between(12.0, 24.0);
            row.noise(dice, below);
            plain(dice, row)
        }),
        set("grid with a drop-out of 3 ms in each 40 ms", ALL, dropped(40.0, [3.0; 2])),
        set("grid with a drop-out of 3 to 10 ms in each 80 ms", ALL, dropped(80.0, [3.0, 10.0])),
        set("grid with a drop-out of 3 to 10 ms in each 50 ms", NONE, dropped(50.0, [3.0, 10.0])),
    ]
}

fn refused() -> Vec<Set> {
    let off = |dice: &mut Dice| if dice.unit() < 0.5 { 0.965 } else { 1.035 };
    let apart = |ms: [f64; 2]| Manner { on_ms: ms, off_ms: [80.0, 200.0], ..Manner::GRID };
    let refuse = |name, make: Make| Set { name, bar: ALL, kind: Kind::Refuse, make };
    vec![
        refuse(
            "refused: both tones off by 3.5 %",
            Box::new(move |dice| {
                let row = Row::changed(dice, apart([40.0, 100.0]), |dice, press| press.detune = [off(dice), off(dice)]);
                plain(dice, row)
            }),
        ),
        refuse(
            "refused: one tone off by 3.5 %",
            Box::new(move |dice| {
                let row =
                    Row::changed(dice, apart([40.0, 100.0]), |dice, press| press.detune[dice.pick(2)] = off(dice));
                plain(dice, row)
            }),
        ),
        refuse(
            "refused: 10 to 23 ms",
            Box::new(move |dice| {
                let row = Row::new(dice, apart([10.0, 23.0]));
                plain(dice, row)
            }),
        ),
    ]
}

/// As loud as lines are that have such faults.
const LINE: Manner = Manner { level_dbm0: [-25.0, -3.0], ..Manner::GRID };

fn faults() -> Vec<Set> {
    vec![
        set("line: echo of 5 to 60 ms at −15 to −25 dB", ALL, |dice| {
            let mut row = Row::new(dice, LINE);
            row.echo(dice.between(5.0, 60.0), dice.between(-25.0, -15.0));
            plain(dice, row)
        }),
        set("line: dial tone 6 dB below", ALL, |dice| {
            let mut row = Row::new(dice, LINE);
            row.dial_tone(6.0);
            plain(dice, row)
        }),
        set("line: echo and dial tone", ALL, |dice| {
            let mut row = Row::new(dice, LINE);
            row.echo(dice.between(5.0, 60.0), dice.between(-25.0, -15.0));
            row.dial_tone(6.0);
            plain(dice, row)
        }),
        set("line: clipped by up to 3 dB, DC of 900", ALL, |dice| {
            let mut row = Row::new(dice, LINE);
            row.clip(dice.between(-3.0, 3.0));
            row.offset(900.0);
            plain(dice, row)
        }),
        set("line: a sample slipped in each key", ALL, |dice| {
            let mut row = Row::new(dice, LINE);
            row.slip(dice);
            plain(dice, row)
        }),
    ]
}

fn losses() -> Vec<Set> {
    /// So many packets after a lost one come: never two of one key.
    const APART: usize = 8;
    let lost = |on_off: f64, percent: f64, apart: usize| {
        move |dice: &mut Dice| {
            let row = Row::new(dice, Manner { on_ms: [on_off; 2], off_ms: [on_off; 2], ..LINE });
            let mut made = coded(&Codec::Mulaw, row)?;
            lose(dice, &mut made.samples, percent, apart);
            Ok(made)
        }
    };
    vec![
        set("loss of 1 %, 80/80 ms, never two packets of one key", ALL, lost(80.0, 1.0, APART)),
        set("loss of 2 %, 80/80 ms, never two packets of one key", ALL, lost(80.0, 2.0, APART)),
        set("loss of 3 %, 80/80 ms, never two packets of one key", ALL, lost(80.0, 3.0, APART)),
        set("loss of 3 %, 80/80 ms, any packets", NONE, lost(80.0, 3.0, 0)),
        set("loss of 1 %, 40/40 ms, any packets", NONE, lost(40.0, 1.0, 0)),
        set("loss of 3 %, 40/40 ms, any packets", NONE, lost(40.0, 3.0, 0)),
    ]
}

fn codecs() -> anyhow::Result<Vec<Set>> {
    let through = |name, bar, codec: Codec| {
        set(name, bar, move |dice| {
            let row = Row::new(dice, LINE);
            coded(&codec, row)
        })
    };
    Ok(vec![
        through("µ-law", ALL, Codec::Mulaw),
        through("A-law", ALL, Codec::Alaw),
        through("G.722, 64 kbit/s", ALL, Codec::g722()?),
        through("Opus, 24 kbit/s, narrow band", MOST, Codec::Opus(24)),
        through("Opus, 12 kbit/s, narrow band", MOST, Codec::Opus(12)),
        through("GSM 06.10, full rate", MOST, Codec::Gsm),
    ])
}

fn legs() -> Vec<Set> {
    let leg = |name, leg| {
        let codec = Codec::OpusLeg(leg);
        set(name, MOST, move |dice| {
            let row = Row::new(dice, LINE);
            coded(&codec, row)
        })
    };
    vec![
        leg("leg of Opus as we ask for it: 32 kbit/s constant, for speech at 8 kHz", SPEECH),
        leg("leg of Opus as browsers send it: 32 kbit/s, for speech at 48 kHz, error correction", BROWSER),
        leg(
            "leg of Opus by transform alone: 32 kbit/s constant",
            OpusLeg { application: opus::Application::LowDelay, ..SPEECH },
        ),
        leg("leg of Opus for speech at 8 kHz: 16 kbit/s constant", OpusLeg { kilobits: 16, ..SPEECH }),
    ]
}

/// Where the caller speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Talk {
    Around,
    Under,
}

fn spoken() -> Vec<Set> {
    let manner = |on: [f64; 2], off: [f64; 2]| Manner {
        level_dbm0: [-16.0, -6.0],
        twist_db: [-4.0, 2.0],
        on_ms: on,
        off_ms: off,
    };
    let set = |name, bar, manner, talk| {
        let voices = ["en", "de", "fr", "es", "it", "ru"].map(|voice| espeak(voice, 50));
        let talk = Spoken { voices, clips: std::cell::OnceCell::new(), manner, talk };
        set(name, bar, move |dice| talk.make(dice))
    };
    vec![
        set(
            "speech in six languages before and between the keys",
            ALL,
            manner([60.0, 120.0], [100.0, 500.0]),
            Talk::Around,
        ),
        set(
            "speech under the keys, 0 to 12 dB below their stronger tone",
            PEERS,
            manner([60.0, 120.0], [80.0, 300.0]),
            Talk::Under,
        ),
    ]
}

struct Spoken {
    voices: [Speaker; 6],
    clips: std::cell::OnceCell<Vec<Vec<f64>>>,
    manner: Manner,
    talk: Talk,
}

impl Spoken {
    fn make(&self, dice: &mut Dice) -> anyhow::Result<Made> {
        if self.clips.get().is_none() {
            let clips = self.voices.iter().map(Speaker::clips).collect::<anyhow::Result<Vec<_>>>()?.concat();
            let _ = self.clips.set(clips);
        }
        let clips = self.clips.get().map(Vec::as_slice).unwrap_or_default();
        let mut row = Row::new(dice, self.manner);
        let below = dice.between(0.0, 12.0);
        let mut speech = Vec::new();
        while speech.len() < row.sound.len() {
            let clip: &Vec<f64> = dice.of(clips);
            speech.extend_from_slice(clip);
        }
        level::set_active(&mut speech, row.level_dbm0 - below);
        if self.talk == Talk::Around {
            // The caller holds their breath while a finger is down.
            row.places.iter().for_each(|place| speech[place.clone()].fill(0.0));
        }
        row.sound.iter_mut().zip(&speech).for_each(|(sound, speech)| *sound += speech);
        let made = coded(&Codec::Mulaw, row)?;
        Ok(Made { said: format!("{}, speech {below:.1} dB below", made.said), ..made })
    }
}
