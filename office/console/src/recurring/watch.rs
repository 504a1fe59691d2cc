//! Is the clock right? Payments are due by the wall clock, and one that is put forward by mistake would have them taken before
//! their time, or given up as late. While it is in doubt nothing is handed out, begun, reminded of or given up, until it is
//! plausible again or somebody has said that it is right.

use crate::clock::{Sample, rfc3339};
use crate::store::StoreError;

/// The wall clock may differ by so much from the time that went by.
const JUMP_MS: i64 = 10 * 60 * 1000;
/// The moment is written down this often.
const SAVE_EVERY_MS: i64 = 60 * 1000;
/// How long the machine may be off, in hours, without anybody having to look.
pub(crate) const AWAY_HOURS_DEFAULT: u32 = 72;

/// Why the clock is doubted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It went ahead of the time that went by.
    Jumped,
    /// It shows a time before one that it has shown.
    Back,
    /// Nobody has looked for longer than is usual, and nothing tells whether so much time went by.
    Away,
    /// It is not the clock: the database was restored from a backup, and what was changed since is not in it. People must look.
    Restored,
}

impl Doubt {
    /// The word in the database and the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Jumped => "jumped",
            Self::Back => "back",
            Self::Away => "away",
            Self::Restored => "restored",
        }
    }

    pub(crate) fn parse(word: &str) -> Result<Self, StoreError> {
        match word {
            "jumped" => Ok(Self::Jumped),
            "back" => Ok(Self::Back),
            "away" => Ok(Self::Away),
            "restored" => Ok(Self::Restored),
            _ => Err(StoreError::Damaged("doubt of the clock")),
        }
    }
}

/// Payments are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Unix milliseconds, by the clock that is in doubt.
    pub(crate) since_ms: i64,
    pub(crate) why: Doubt,
    /// Unix milliseconds: the last moment that was plausible.
    pub(crate) seen_ms: i64,
}

/// What a look at the clock has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing that must be written down.
    None,
    /// The moment is to be written down.
    Save,
    /// Payments are held from now on.
    Held(Doubt),
    /// They go on.
    Plausible,
}

/// The last plausible moment, and whether there is a doubt since.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    pub(crate) last: Option<Sample>,
    pub(crate) held: Option<(i64, Doubt)>,
    pub(crate) saved_ms: i64,
}

impl Watch {
    /// Looks at the clock. `away_ms`: how long nobody may have looked, where the machine was started anew.
    pub(crate) fn look(&mut self, now: &Sample, away_ms: i64) -> Change {
        let found = self.last.as_ref().and_then(|last| doubt(last, now, away_ms));
        let is_same_start = self.last.as_ref().is_some_and(|last| goes_on(last, now));
        match (found, self.held) {
            (Some(_), Some(_)) => Change::None,
            (Some(doubt), None) => {
                self.held = Some((now.wall_ms, doubt));
                Change::Held(doubt)
            }
            // Whether a clock that jumped was put right is not seen from another start of the machine.
            (None, Some((_, Doubt::Jumped | Doubt::Away))) if !is_same_start => Change::None,
            (None, Some((_, Doubt::Restored))) => Change::None,
            (None, Some(_)) => {
                self.accept(now);
                Change::Plausible
            }
            (None, None) => {
                self.last = Some(now.clone());
                if now.wall_ms.saturating_sub(self.saved_ms) < SAVE_EVERY_MS {
                    return Change::None;
                }
                self.saved_ms = now.wall_ms;
                Change::Save
            }
        }
    }

    /// The clock is right.
    pub(crate) fn accept(&mut self, now: &Sample) {
        *self = Self { last: Some(now.clone()), held: None, saved_ms: now.wall_ms };
    }

    /// Are payments held?
    pub(crate) fn held(&self) -> Option<Held> {
        let (since_ms, why) = self.held?;
        Some(Held { since_ms, why, seen_ms: self.last.as_ref().map_or(since_ms, |last| last.wall_ms) })
    }
}

/// Is it the same start of the machine? In a container the count may begin anew.
fn goes_on(last: &Sample, now: &Sample) -> bool {
    last.boot == now.boot && now.up_ms >= last.up_ms
}

fn doubt(last: &Sample, now: &Sample, away_ms: i64) -> Option<Doubt> {
    let by_wall = now.wall_ms.saturating_sub(last.wall_ms);
    if by_wall < -JUMP_MS {
        return Some(Doubt::Back);
    }
    if goes_on(last, now) {
        let ahead = by_wall.saturating_sub(now.up_ms.saturating_sub(last.up_ms));
        return (ahead > JUMP_MS).then_some(Doubt::Jumped);
    }
    (by_wall > away_ms).then_some(Doubt::Away)
}

/// What is wrong and what to do, for people.
pub(crate) fn words(held: Held) -> String {
    let seen = rfc3339(held.seen_ms);
    if held.why == Doubt::Restored {
        return "recurring payments are held: this office was restored from a backup, and what was agreed on, changed, paused or \
                canceled since is not in it. Put that right, then say on the page Repeats that they go on"
            .to_owned();
    }
    let what = match held.why {
        Doubt::Jumped => "the clock of this machine has jumped ahead",
        Doubt::Back => "the clock of this machine has gone back",
        Doubt::Away => "this office was off for long, or the clock of this machine is wrong",
        Doubt::Restored => "this office was restored from a backup",
    };
    format!(
        "recurring payments are held: {what} (last right at {seen}). Put it right, or say on the page Repeats that it is right"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60 * 1000;
    const DAY: i64 = 24 * 60 * MINUTE;

    fn at(boot: &str, wall_ms: i64, up_ms: i64) -> Sample {
        Sample { wall_ms, up_ms, boot: boot.to_owned() }
    }

    fn seen(last: &Sample) -> Watch {
        let mut watch = Watch::default();
        watch.look(last, 3 * DAY);
        watch
    }

    #[test]
    fn a_clock_that_goes_ahead_of_the_time_that_went_by_is_doubted_until_it_is_put_right() {
        let mut watch = seen(&at("a", 100 * DAY, 5 * DAY));
        assert_eq!(watch.look(&at("a", 110 * DAY, 15 * DAY), 3 * DAY), Change::Save, "ten days have really gone by");
        assert_eq!(watch.look(&at("a", 120 * DAY, 15 * DAY + MINUTE), 3 * DAY), Change::Held(Doubt::Jumped));
        assert_eq!(watch.held().map(|held| held.seen_ms), Some(110 * DAY));
        assert_eq!(
            watch.look(&at("a", 120 * DAY + MINUTE, 15 * DAY + 2 * MINUTE), 3 * DAY),
            Change::None,
            "still held"
        );
        assert_eq!(watch.look(&at("a", 110 * DAY + 3 * MINUTE, 15 * DAY + 3 * MINUTE), 3 * DAY), Change::Plausible);
        assert_eq!(watch.held(), None);
    }

    #[test]
    fn a_restart_of_the_machine_does_not_hide_a_jump() {
        let mut watch = seen(&at("a", 100 * DAY, 5 * DAY));
        assert_eq!(watch.look(&at("a", 101 * DAY, 5 * DAY), 3 * DAY), Change::Held(Doubt::Jumped));
        assert_eq!(watch.look(&at("b", 101 * DAY, 0), 3 * DAY), Change::None);
        assert!(watch.held().is_some());
        watch.accept(&at("b", 101 * DAY, MINUTE));
        assert_eq!((watch.held(), watch.look(&at("b", 101 * DAY + MINUTE, 2 * MINUTE), 3 * DAY)), (None, Change::Save));
    }

    #[test]
    fn an_office_that_was_off_for_long_asks_and_one_that_was_off_for_a_weekend_does_not() {
        assert_eq!(seen(&at("a", 100 * DAY, DAY)).look(&at("b", 102 * DAY, 0), 3 * DAY), Change::Save);
        assert_eq!(seen(&at("a", 100 * DAY, DAY)).look(&at("b", 104 * DAY, 0), 3 * DAY), Change::Held(Doubt::Away));
        // The same machine, up all the time: so many days have gone by.
        assert_eq!(seen(&at("a", 100 * DAY, DAY)).look(&at("a", 130 * DAY, 31 * DAY), 3 * DAY), Change::Save);
    }

    #[test]
    fn after_a_restore_only_people_let_payments_go_on() {
        let mut watch = seen(&at("a", 100 * DAY, DAY));
        watch.held = Some((100 * DAY, Doubt::Restored));
        assert_eq!(watch.look(&at("a", 100 * DAY + MINUTE, DAY + MINUTE), 3 * DAY), Change::None);
        assert_eq!(watch.look(&at("b", 101 * DAY, 0), 3 * DAY), Change::None, "another start of the machine");
        assert!(watch.held().is_some_and(|held| words(held).contains("restored from a backup")));
        watch.accept(&at("b", 101 * DAY, 0));
        assert_eq!(watch.held(), None);
    }

    #[test]
    fn a_clock_that_begins_before_its_time_is_waited_for() {
        let mut watch = seen(&at("a", 100 * DAY, DAY));
        assert_eq!(watch.look(&at("b", 7 * DAY, 0), 3 * DAY), Change::Held(Doubt::Back));
        assert_eq!(watch.look(&at("b", 100 * DAY + MINUTE, MINUTE), 3 * DAY), Change::Plausible, "set by the network");
    }
}
