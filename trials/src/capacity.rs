//! How many calls one core carries, what a packet costs and how long it takes: our relay and rtpengine, side by side.
//!
//! The relay has one core, what drives it another. See `docs/performance.md`, "Capacity".

mod clock;
mod generator;
mod leaks;
mod ng;
mod process;
mod relays;

use crate::level::samples;
use crate::{level, speech};
use anyhow::{Context, ensure};
use generator::{Direction, Measured};
use media::g711::{self, Law};
use relays::{Kind, Line, Relay};
use std::path::PathBuf;

/// A load with less loss is carried.
const LOSS_MAX: f64 = 0.001;
/// How often a load that was not carried, or a measurement that is void, is tried again.
const AGAIN: usize = 3;
/// Calls of the search for leaks.
const LEAK_CALLS: usize = 50;
/// Of the sound that all calls share: a minute.
const SOUND_SAMPLES: usize = 60 * level::RATE;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Whose relay; both if none is named.
    #[arg(long, value_enum)]
    relay: Vec<Kind>,
    /// Which lines; both if none is named.
    #[arg(long, value_enum)]
    line: Vec<Line>,
    /// The program with `lab relay`, built for release.
    #[arg(long, value_name = "FILE", default_value = "target/release/tonewall")]
    tonewall: PathBuf,
    /// Loads to measure.
    #[arg(long, value_name = "CALLS", value_delimiter = ',', default_value = "100,1000")]
    calls: Vec<usize>,
    /// Search the highest load that is carried with less than 0.1 % loss, in steps of so many calls; 0: do not.
    #[arg(long, value_name = "CALLS", default_value_t = 100)]
    step: usize,
    /// Where that search starts.
    #[arg(long, value_name = "CALLS", default_value_t = 1000)]
    from: usize,
    /// Each figure is the middle of so many.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Seconds of one measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Only count the keys that come through.
    #[arg(long)]
    leaks: bool,
    /// The relay's core, and the generator's.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 1])]
    cores: Vec<usize>,
    /// The priority of both: below 0 (as root) to stand above other programs of the same session. Above those of other
    /// sessions stands only a session of its own with a priority in /proc/self/autogroup; docs/performance.md has it.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    nice: i32,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(arguments.cores.len() == 2, "two cores: --cores RELAY,GENERATOR");
    ensure!(arguments.repeats > 0 && arguments.seconds > 0, "at least one second, once");
    process::stay_on(arguments.cores[1], arguments.nice)?;
    let or_all =
        |chosen: &[Kind]| if chosen.is_empty() { vec![Kind::Tonewall, Kind::Rtpengine] } else { chosen.to_vec() };
    let lines = if arguments.line.is_empty() { vec![Line::Plain, Line::Masked] } else { arguments.line.clone() };
    if !arguments.leaks {
        println!("{HEAD}");
    }
    let sound = sound()?;
    for kind in or_all(&arguments.relay) {
        for line in &lines {
            let bench = Bench { arguments, kind, line: *line, sound: &sound };
            if arguments.leaks { bench.leaks()? } else { bench.run()? }
        }
    }
    Ok(())
}

const HEAD: &str = "\
relay     line   calls  loss %  to caller p50/p90/p99/max   to agent p50/p90/p99/max µs µs/packet  CPU %  waited %  MiB   lag p99 µs";

/// People's speech, as G.711.
fn sound() -> anyhow::Result<Vec<u8>> {
    let speakers = speech::humans();
    let speaker = speakers.first().context("nobody speaks: install asterisk-core-sounds-en-wav")?;
    let mut sound: Vec<f64> = Vec::new();
    for clip in speaker.clips()? {
        sound.extend(clip);
        sound.extend([0.0; 4000]);
        if sound.len() >= SOUND_SAMPLES {
            break;
        }
    }
    level::set_active(&mut sound, -20.0);
    Ok(samples(&sound).into_iter().map(|sample| g711::encode(Law::Mu, sample)).collect())
}

struct Bench<'a> {
    arguments: &'a Arguments,
    kind: Kind,
    line: Line,
    sound: &'a [u8],
}

impl Bench<'_> {
    fn run(&self) -> anyhow::Result<()> {
        let mut memory = Vec::new();
        for calls in &self.arguments.calls {
            let middle = self.middle(*calls)?;
            memory.push((*calls, middle.usage.memory_bytes));
        }
        if let (Some((few, small)), Some((many, large))) = (memory.first(), memory.last())
            && many > few
        {
            let growth = (*large as f64 - *small as f64) / (many - few) as f64;
            println!("{:?} {:?}: {growth:.0} bytes of memory a call", self.kind, self.line);
        }
        if self.arguments.step > 0 {
            self.limits()?;
        }
        Ok(())
    }

    /// Measures a load some times and shows the middle of each figure.
    fn middle(&self, calls: usize) -> anyhow::Result<Measured> {
        let mut all = Vec::new();
        for _ in 0..self.arguments.repeats {
            all.push(self.measure(calls)?);
        }
        all.sort_by(|left, right| left.us_per_packet().total_cmp(&right.us_per_packet()));
        Ok(all.swap_remove(all.len() / 2))
    }

    /// One measurement that is not void, if that is possible.
    fn measure(&self, calls: usize) -> anyhow::Result<Measured> {
        for _ in 1..AGAIN {
            let measured = self.once(calls)?;
            if !measured.is_void() {
                return Ok(measured);
            }
        }
        self.once(calls)
    }

    fn once(&self, calls: usize) -> anyhow::Result<Measured> {
        let Arguments { tonewall, cores, nice, .. } = self.arguments;
        let relay = Relay::start(self.kind, self.line, calls, tonewall, cores[0], *nice)?;
        let measured = generator::drive(&relay.pairs, self.sound, self.arguments.seconds, relay.pid())?;
        self.show(calls, &measured);
        Ok(measured)
    }

    fn show(&self, calls: usize, measured: &Measured) {
        let delay = |to: &Direction| match to.tells_delay() {
            true => {
                let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|part| to.delay.quantile(part));
                format!("{p50:.0}/{p90:.0}/{p99:.0}/{:.0}", to.delay.max())
            }
            false => "-".to_owned(),
        };
        let percent = |seconds: f64| 100.0 * seconds / self.arguments.seconds as f64;
        let names = (format!("{:?}", self.kind), format!("{:?}", self.line));
        println!(
            "{:<9} {:<6} {calls:>5} {:>7.3}  {:<26}  {:<26} {:>9.2} {:>6.1} {:>9.1} {:>5.1} {:>8.0}{}",
            names.0,
            names.1,
            100.0 * measured.loss(),
            delay(&measured.to_caller),
            delay(&measured.to_agent),
            measured.us_per_packet(),
            percent(measured.usage.cpu_seconds),
            percent(measured.usage.waited_seconds),
            measured.usage.memory_bytes as f64 / 1048576.0,
            measured.lag.quantile(0.99),
            if measured.is_void() { "  void: the generator was late" } else { "" },
        );
    }

    /// The highest load that is carried, some times.
    fn limits(&self) -> anyhow::Result<()> {
        let mut limits = Vec::new();
        for _ in 0..self.arguments.repeats {
            limits.push(self.limit()?);
        }
        limits.sort_unstable();
        let middle = limits[limits.len() / 2];
        println!("{:?} {:?}: carries {middle} calls with < 0.1 % loss ({limits:?})", self.kind, self.line);
        Ok(())
    }

    fn limit(&self) -> anyhow::Result<usize> {
        let step = self.arguments.step;
        let round = |calls: usize| (calls / step).max(1) * step;
        let (mut good, mut bad, mut calls) = (0, usize::MAX, round(self.arguments.from));
        while bad - good > step {
            if self.carries(calls)? {
                good = calls;
            } else {
                bad = calls;
            }
            calls = match bad {
                usize::MAX => round(good * 3 / 2).max(good + step),
                _ => round((good + bad) / 2).max(good + step),
            };
        }
        Ok(good)
    }

    /// Something else on the machine may have cost the packets, so a load is given up only if it fails again.
    fn carries(&self, calls: usize) -> anyhow::Result<bool> {
        for _ in 0..AGAIN {
            let measured = self.once(calls)?;
            if measured.loss() < LOSS_MAX && measured.is_offered(calls, self.arguments.seconds) {
                return Ok(true);
            }
            // So much is no chance.
            if measured.loss() > 10.0 * LOSS_MAX {
                return Ok(false);
            }
        }
        Ok(false)
    }

    fn leaks(&self) -> anyhow::Result<()> {
        let Arguments { tonewall, cores, nice, .. } = self.arguments;
        let relay = Relay::start(self.kind, self.line, LEAK_CALLS, tonewall, cores[0], *nice)?;
        let leaks = leaks::count(&relay.pairs, 1)?;
        println!(
            "{:?} {:?}: of {} tones the agents heard {}, of {} events they got {}",
            self.kind, self.line, leaks.tones_sent, leaks.tones_heard, leaks.events_sent, leaks.events_heard
        );
        Ok(())
    }
}
