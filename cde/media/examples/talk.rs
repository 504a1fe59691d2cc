//! x
use media::tone::*;
fn main() {
    for f in std::env::args().skip(1) {
        let w = media::wav::parse(&std::fs::read(&f).unwrap()).unwrap();
        let s = &w.channels[0];
        let mut q = Suspicion::new();
        let n = s.chunks(160).count();
        let mut h = 0;
        let mut run = 0;
        let mut best = 0;
        for c in s.chunks(160) {
            if q.push(c) {
                h += 1;
                run = 0
            } else {
                run += 1;
                best = best.max(run)
            }
        }
        println!("{f} packets {n} suspected {h} longest quiet {} ms decode {:?}", best * 20, decode(s));
    }
}
