//! Frames of what the agent heard and said, one every 20 ms by the wall clock whatever the packets do.

use crate::FRAME_SAMPLES;
use crate::interface::RecordFrame;
use crate::rtp::PAYLOAD_MAX;
use std::time::{Duration, Instant};

const FRAME: Duration = Duration::from_millis(20);
/// A packet, and a frame more than it.
const TRACK_MAX: usize = PAYLOAD_MAX + FRAME_SAMPLES;

/// Both sides of the recording.
pub(crate) struct Recorder {
    pub(crate) heard: Track,
    pub(crate) said: Track,
    next: Option<Instant>,
    due: u32,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self { heard: Track::new(), said: Track::new(), next: None, due: 0 }
    }

    /// Records while somebody is connected.
    pub(crate) fn set_connected(&mut self, now: Instant, connected: bool) {
        self.next = if connected { self.next.or(Some(now + FRAME)) } else { None };
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let Some(next) = self.next.filter(|next| *next <= now) else { return };
        let frames = now.duration_since(next).as_millis() / FRAME.as_millis() + 1;
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        self.due = self.due.saturating_add(frames);
        self.next = Some(next + FRAME * frames);
    }

    pub(crate) fn poll(&mut self) -> Option<RecordFrame> {
        self.due = self.due.checked_sub(1)?;
        Some(RecordFrame { heard: self.heard.take(), said: self.said.take() })
    }
}

/// Samples on their way into a frame.
pub(crate) struct Track {
    samples: Box<[i16; TRACK_MAX]>,
    length: usize,
    /// As much as may stay behind after a frame has been taken: a packet.
    backlog: usize,
}

impl Track {
    fn new() -> Self {
        Self { samples: Box::new([0; TRACK_MAX]), length: 0, backlog: FRAME_SAMPLES }
    }

    /// Adds a packet's samples; what is too old to be in step goes.
    pub(crate) fn push(&mut self, samples: &[i16]) {
        self.backlog = samples.len().max(FRAME_SAMPLES);
        let surplus = (self.length + samples.len()).saturating_sub(self.backlog + FRAME_SAMPLES).min(self.length);
        self.drop_oldest(surplus);
        let room = self.samples.get_mut(self.length..).unwrap_or_default();
        let taken = samples.len().min(room.len());
        room.iter_mut().zip(samples).for_each(|(to, from)| *to = *from);
        self.length += taken;
    }

    /// Forgets what no frame has taken.
    pub(crate) fn clear(&mut self) {
        self.length = 0;
    }

    fn take(&mut self) -> [i16; FRAME_SAMPLES] {
        let mut frame = [0; FRAME_SAMPLES];
        let count = self.length.min(FRAME_SAMPLES);
        frame.iter_mut().zip(self.samples.iter().take(count)).for_each(|(to, from)| *to = *from);
        self.drop_oldest(count);
        frame
    }

    fn drop_oldest(&mut self, count: usize) {
        self.samples.copy_within(count..self.length, 0);
        self.length -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tests::start;

    #[test]
    fn packets_of_any_length_come_out_whole() {
        let mut track = Track::new();
        track.push(&[1; 480]);
        assert_eq!([track.take(), track.take(), track.take(), track.take()], [[1; 160], [1; 160], [1; 160], [0; 160]]);
        track.push(&[2; 80]);
        track.push(&[3; 80]);
        assert_eq!(track.take()[79..81], [2, 3]);
    }

    #[test]
    fn a_burst_does_not_put_the_track_behind_for_good() {
        let mut track = Track::new();
        (0..10).for_each(|n| track.push(&[n; 160]));
        assert_eq!([track.take(), track.take(), track.take()], [[8; 160], [9; 160], [0; 160]]);
    }

    #[test]
    fn frames_keep_to_the_wall_clock_over_a_stall() {
        let now = start();
        let mut recorder = Recorder::new();
        recorder.set_connected(now, true);
        recorder.handle_timeout(now + Duration::from_millis(1010));
        assert_eq!(std::iter::from_fn(|| recorder.poll()).count(), 50);
        assert_eq!(recorder.poll_timeout(), Some(now + Duration::from_millis(1020)));
        recorder.set_connected(now, false);
        assert_eq!(recorder.poll_timeout(), None);
    }
}
