//! What a packet costs: on an open line, on a masked one, and a generated frame.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark times itself and prints"
)]

use media::detector::Detector;
use media::dtmf::{Shape, tone};
use media::g711::{self, Law};
use media::g722::Coder;
use media::natural::Natural;
use media::opus;
use media::rtp::{Header, PAYLOAD_MAX, Packet};
use media::sound::Sound;
use media::srtp::{Master, PACKET_MAX, Receiver, Sender, Suite};
use media::witness::Witness;
use media::{Codec, Command, Config, Policy, Remote, Session, Side};
use std::f64::consts::TAU;
use std::hint::black_box;
use std::time::{Duration, Instant};

const PACKETS: u32 = 200_000;
const MU: Codec = Codec::G711(Law::Mu);

fn main() {
    println!("a session {:>6} bytes, more while it is secured", size_of::<Session>());
    let (speech, key) = (speech(), key());
    for (name, policy, codecs, sound) in [
        ("open", None, [MU, MU], &speech),
        ("crossed (other law)", None, [MU, Codec::G711(Law::A)], &speech),
        ("open, keys sound", None, [MU, MU], &key),
        ("strict", Some(Policy::Strict), [MU, MU], &speech),
        ("natural", Some(Policy::Natural), [MU, MU], &speech),
        ("natural, keys sound", Some(Policy::Natural), [MU, MU], &key),
        ("open, G.722", None, [Codec::G722, Codec::G722], &speech),
        ("G.722 to G.711", None, [Codec::G722, MU], &speech),
        ("G.711 to G.722", None, [MU, Codec::G722], &speech),
        ("strict, G.722", Some(Policy::Strict), [Codec::G722, Codec::G722], &speech),
        ("natural, G.722", Some(Policy::Natural), [Codec::G722, Codec::G722], &speech),
        ("open, Opus", None, [Codec::Opus, Codec::Opus], &speech),
        ("Opus to G.711", None, [Codec::Opus, MU], &speech),
        ("G.711 to Opus", None, [MU, Codec::Opus], &speech),
        ("strict, Opus", Some(Policy::Strict), [Codec::Opus, Codec::Opus], &speech),
        ("natural, Opus", Some(Policy::Natural), [Codec::Opus, Codec::Opus], &speech),
    ] {
        println!("{name:<24} {:>6} ns/packet", run(policy, codecs, sound));
    }
    g722(&speech);
    opus(&speech);
    listeners("speech", &speech);
    listeners("keys", &key);
    let (sender, receiver) = (size_of::<Sender>(), size_of::<Receiver>());
    println!("SRTP: {sender} bytes a way out, {receiver} a way in, more in aws-lc");
    Suite::ALL.into_iter().for_each(srtp);
}

/// What protection costs a packet of 20 ms, on its way out and in.
fn srtp(suite: Suite) {
    let master = || (0..64).find_map(|length| Master::new(suite, &vec![7; length])).unwrap();
    let (mut sender, mut receiver) = (Sender::new(master()).unwrap(), Receiver::new(master()).unwrap());
    let numbers = || (0..PACKETS).zip((0..=u16::MAX).cycle());
    let packet = |timestamp, sequence| {
        Packet::new(&Header { payload_type: 0, marker: false, sequence, timestamp, ssrc: 1 }, &[0x55; 160]).unwrap()
    };
    let mut sent = vec![[0; 192]; usize::try_from(PACKETS).unwrap()];
    let mut length = 0;
    for ((number, sequence), buffer) in numbers().zip(&mut sent) {
        buffer.split_at_mut(172).0.copy_from_slice(packet(number, sequence).as_bytes());
    }
    let began = spent_ns();
    sent.iter_mut().for_each(|buffer| length = sender.protect(buffer, 172).unwrap());
    let protected = (spent_ns() - began) / u128::from(PACKETS);
    let mut clear = [0; PACKET_MAX];
    let began = spent_ns();
    for buffer in &sent {
        black_box(receiver.unprotect(buffer.split_at(length).0, &mut clear, false).unwrap());
    }
    let taken = (spent_ns() - began) / u128::from(PACKETS);
    println!("{:<24} protect {protected:>6}, take {taken:>6} ns/packet", format!("{suite:?}"));
}

/// The same packets in G.722.
fn wide(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut coder = Coder::default();
    let mut wide = |codes: &Vec<u8>| codes.iter().map(|code| coder.encode(g711::decode(Law::Mu, *code))).collect();
    packets.iter().map(&mut wide).collect()
}

/// What the codec costs by itself.
fn g722(sound: &[Vec<u8>]) {
    let wide = wide(sound);
    let (mut decoder, mut follower, mut encoder) = (Coder::default(), Coder::default(), Coder::default());
    let each = |name: &str, packets: &[Vec<u8>], code: &mut dyn FnMut(&[u8])| {
        let began = spent_ns();
        (0..PACKETS).zip(packets.iter().cycle()).for_each(|(_, codes)| code(codes));
        println!("{name:<24} {:>6} ns/packet", (spent_ns() - began) / u128::from(PACKETS));
    };
    each("G.722, decode", &wide, &mut |codes| {
        black_box(codes.iter().fold(0, |sum, code| sum ^ decoder.decode(*code)));
    });
    each("G.722, follow", &wide, &mut |codes| {
        black_box(codes.iter().fold(0, |sum, code| sum ^ follower.follow(*code)));
    });
    each("G.722, encode", sound, &mut |codes| {
        black_box(codes.iter().fold(0, |sum, code| sum ^ encoder.encode(g711::decode(Law::Mu, *code))));
    });
}

/// The same packets in Opus.
fn in_opus(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut encoder = opus::Encoder::new().unwrap();
    let mut coded = |codes: &Vec<u8>| {
        let mut packet = [0; PAYLOAD_MAX];
        let length = encoder.encode(&linear(codes), &mut packet).unwrap();
        packet.split_at(length).0.to_vec()
    };
    packets.iter().map(&mut coded).collect()
}

fn linear(codes: &[u8]) -> Vec<i16> {
    codes.iter().map(|code| g711::decode(Law::Mu, *code)).collect()
}

/// What the codec costs by itself.
fn opus(sound: &[Vec<u8>]) {
    let coded = in_opus(sound);
    let (mut encoder, mut decoder) = (opus::Encoder::new().unwrap(), opus::Decoder::new().unwrap());
    let time = |name: &str, code: &mut dyn FnMut(usize)| {
        let began = spent_ns();
        (0..PACKETS).zip((0..sound.len()).cycle()).for_each(|(_, at)| code(at));
        println!("{name:<24} {:>6} ns/packet", (spent_ns() - began) / u128::from(PACKETS));
    };
    let samples: Vec<Vec<i16>> = sound.iter().map(|codes| linear(codes)).collect();
    time("Opus, encode", &mut |at| {
        let mut packet = [0; PAYLOAD_MAX];
        black_box(encoder.encode(samples.get(at).unwrap(), &mut packet));
    });
    time("Opus, decode", &mut |at| {
        let mut samples = [0; PAYLOAD_MAX];
        black_box(decoder.decode(coded.get(at).unwrap(), &mut samples));
    });
}

/// What each listener costs by itself.
fn listeners(name: &str, sound: &[Vec<u8>]) {
    let samples: Vec<[i16; 160]> = sound
        .iter()
        .map(|codes| std::array::from_fn(|n| g711::decode(Law::Mu, codes.get(n).copied().unwrap_or(0xff))))
        .collect();
    let (mut detector, mut witness, mut natural) = (Detector::new(), Witness::new(), Natural::default());
    let mut sound = Sound::new();
    time(name, "sound", &samples, |frame| {
        sound.hear(frame, |sound| {
            black_box(sound);
        })
    });
    time(name, "… and detector", &samples, |frame| {
        sound.hear(frame, |sound| drop(black_box(detector.look(sound))));
    });
    time(name, "… and gate, hold", &samples, |frame| {
        sound.hear(frame, |sound| {
            black_box(detector.look(sound));
            black_box(natural.hear(sound));
        });
        black_box(natural.frame(&sound).is_some());
    });
    time(name, "witness", &samples, |frame| {
        black_box(witness.push(frame));
    });
}

fn time(sound: &str, name: &str, samples: &[[i16; 160]], mut hear: impl FnMut(&[i16; 160])) {
    let began = spent_ns();
    (0..PACKETS).zip(samples.iter().cycle()).for_each(|(_, frame)| hear(frame));
    println!("{name:<16} {sound:<9} {:>6} ns/packet", (spent_ns() - began) / u128::from(PACKETS));
}

/// What this process has had of the processor, in hundredths of a second: others may run beside it.
fn spent_ns() -> u128 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the name in brackets: user and system time are the 12th and 13th (proc(5)).
    let mut fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11);
    let mut ticks = || fields.next().unwrap().parse::<u128>().unwrap();
    (ticks() + ticks()) * 10_000_000
}

fn packets(samples: &[i16]) -> Vec<Vec<u8>> {
    let code = |sample: &i16| g711::encode(Law::Mu, *sample);
    samples.chunks_exact(160).map(|packet| packet.iter().map(code).collect()).collect()
}

/// Something like a voice: overtones of 125 Hz that swell and fade, and pauses.
fn speech() -> Vec<Vec<u8>> {
    let sample = |n: u32| {
        let t = f64::from(n) / 8000.0;
        let overtone = |k: f64| (TAU * 125.0 * k * t + k * k).sin() * (TAU * (2.0 + k) * t).sin() / k.sqrt();
        let loud = if (n / 4000) % 3 == 2 { 20.0 } else { 1500.0 };
        media_sample(loud * (1..=12).map(|k| overtone(f64::from(k))).sum::<f64>())
    };
    packets(&(0..80_000).map(sample).collect::<Vec<i16>>())
}

/// Keys of 80 ms, 80 ms apart.
fn key() -> Vec<Vec<u8>> {
    let press = |key: &u8| [tone(*key, Shape::default()).unwrap(), vec![0; 640]].concat();
    packets(&b"0123456789*#".iter().flat_map(press).collect::<Vec<i16>>())
}

#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "a benchmark's sound")]
fn media_sample(value: f64) -> i16 {
    value as i16
}

/// Nanoseconds a packet of the caller, 20 ms of virtual time each.
fn run(policy: Option<Policy>, codecs: [Codec; 2], sound: &[Vec<u8>]) -> u128 {
    let start = Instant::now();
    let mut now = start;
    let mut session = Session::new(now, Config { seed: [1; 32], record: false, hold: media::Hold::default() });
    let recoded;
    let (sound, payload_type, ticks) = match codecs {
        [Codec::G722, _] => {
            recoded = wide(sound);
            (recoded.as_slice(), 9, 160)
        }
        [Codec::Opus, _] => {
            recoded = in_opus(sound);
            (recoded.as_slice(), 111, 960)
        }
        [Codec::G711(_), _] => (sound, 0, 160),
    };
    for ((side, port), codec) in [(Side::Caller, 4000), (Side::Agent, 5000)].into_iter().zip(codecs) {
        let address = ([192, 0, 2, 1], port).into();
        let remote = Remote { telephone_event: Some(101), ..Remote::of(address, codec) };
        session.handle_command(now, Command::Connect { side, remote });
    }
    if let Some(policy) = policy {
        session.handle_command(now, Command::Secure { policy });
    }
    let source = ([192, 0, 2, 1], 4000).into();
    let began = spent_ns();
    for ((n, sequence), codes) in (0..PACKETS).zip((0..=u16::MAX).cycle()).zip(sound.iter().cycle()) {
        now += Duration::from_millis(20);
        let header = Header { payload_type, marker: false, sequence, timestamp: n.wrapping_mul(ticks), ssrc: 1 };
        let packet = Packet::new(&header, codes).unwrap();
        session.handle_packet(now, Side::Caller, source, packet.as_bytes());
        if session.poll_timeout().is_some_and(|at| at <= now) {
            session.handle_timeout(now);
        }
        while let Some(output) = session.poll_output() {
            black_box(&output);
        }
    }
    (spent_ns() - began) / u128::from(PACKETS)
}
