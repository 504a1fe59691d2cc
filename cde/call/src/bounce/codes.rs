//! Orders that the contact centre's system has made ahead of the call: each has a code, which stands for all of it, once and
//! for a time. What is to be paid then crosses no PBX and no network in a header that somebody could change.
//!
//! Nobody keeps a code: what is remembered here, and on disk over a restart, is a mark of it, by a key of this installation. An order is
//! answered once it is on disk, and a call that comes with its code is answered once it is on disk that the code is used.

use crate::config::Config;
use crate::locks::{Locks, Who};
use crate::transfers::{ALPHABET, CHARACTERS, DIGITS, random};
use aws_lc_rs::hmac;
use rand_chacha::ChaCha12Rng;
use sip::Peer;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use wire::{BounceRefusal, BouncedOrder, PaymentId, Refusal};

/// Orders at once.
const ORDERS_MAX: usize = 4096;
/// Of one who orders: a program that runs wild takes nobody else's place.
const OF_OWNER_MAX: usize = 1024;
/// Of so many codes it is known why they are not good any more.
const GONE_MAX: usize = 4096;
/// How often digits are drawn that are not another order's.
const DRAWS_MAX: usize = 8;
/// Behind a shorter number no code is dialed: half the numbers of a country begin like it.
const PREFIX_BYTES_MIN: usize = 3;

/// What names an order on a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    /// What was said in a header.
    Said(&'a str),
    /// What was dialed behind the route's number, on a trunk as its place in the list.
    Dialed(&'a str, usize),
}

/// Its two names. They go into one answer, and are nowhere else.
pub(crate) struct Names {
    pub(crate) code: String,
    /// What is dialed behind a route's number.
    pub(crate) digits: String,
}

/// A name's HMAC-SHA-256 by the key of this installation: whoever reads it has no code, and without the key finds none by trying.
pub type Mark = [u8; 32];

/// Those of an order's two names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Of what is said in a header.
    pub code: Mark,
    /// Of what is dialed behind a route's number.
    pub digits: Mark,
}

/// An order as it is put on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptOrder {
    /// What was ordered.
    pub order: BouncedOrder,
    /// The office's id of who has ordered it; none where that was no user.
    pub owner: Option<i64>,
    /// What its codes are known by.
    pub marks: Marks,
    /// How long they are good, Unix milliseconds.
    pub until_unix_ms: i64,
    /// The order whose place it takes: its codes are not good any more.
    pub replaces: Option<PaymentId>,
}

/// What has become of the code of an order that was put on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeState {
    /// No call was answered with it.
    Waiting,
    /// One was, or was about to be.
    Used,
    /// A newer order has taken its place.
    Replaced,
}

/// What an order was answered with, and what takes its place on disk.
pub(crate) struct Made {
    pub(crate) names: Names,
    pub(crate) marks: Marks,
    pub(crate) until: Instant,
    pub(crate) replaces: Option<PaymentId>,
}

struct Waiting {
    order: BouncedOrder,
    owner: Option<i64>,
    marks: Marks,
    until: Instant,
    /// It is on disk. Before that nobody has been told its codes.
    is_kept: bool,
    /// A call has come with it, and is not answered yet.
    is_claimed: bool,
}

impl Waiting {
    /// Whether the contact centre calls both by one name.
    fn is_same(&self, order: &BouncedOrder) -> bool {
        self.order.merchant == order.merchant && self.order.reference == order.reference
    }
}

/// All of them.
pub(crate) struct Codes {
    key: hmac::Key,
    waiting: BTreeMap<PaymentId, Waiting>,
    /// Those that were good, the oldest first.
    gone: VecDeque<(Marks, BounceRefusal)>,
    locks: Locks,
}

impl Codes {
    /// Marks are made by this key, which is secret.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        Self { key, waiting: BTreeMap::new(), gone: VecDeque::new(), locks: Locks::default() }
    }

    fn mark(&self, named: &Named<'_>) -> Mark {
        let (kind, name) = match named {
            Named::Said(said) => ("said ", said.to_ascii_lowercase()),
            Named::Dialed(digits, _) => ("dialed ", (*digits).to_owned()),
        };
        let tag = hmac::sign(&self.key, format!("{kind}{name}").as_bytes());
        let mut mark = Mark::default();
        mark.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        mark
    }

    fn marks(&self, names: &Names) -> Marks {
        Marks { code: self.mark(&Named::Said(&names.code)), digits: self.mark(&Named::Dialed(&names.digits, 0)) }
    }

    /// Makes the names of an order. One of the same owner, merchant and reference that no call has come with is good until this one is
    /// [`kept`](Self::kept): a disk that does not write ends none. One of somebody else's stays, and this one is refused.
    pub(crate) fn order(
        &mut self,
        now: Instant,
        rng: &mut ChaCha12Rng,
        order: &BouncedOrder,
        owner: Option<i64>,
    ) -> Result<Made, Refusal> {
        self.expire(now);
        let same = || self.waiting.values().filter(|known| known.is_same(order));
        if same().any(|known| known.owner != owner) {
            return Err(Refusal::OrderedByAnother);
        }
        if same().any(|known| !known.is_kept) {
            // Whether that takes the other's place is not known yet, and so not whose place this one takes.
            return Err(Refusal::Busy);
        }
        let replaces = same().find(|known| !known.is_claimed).map(|known| known.order.payment);
        let of_owner = self.waiting.values().filter(|known| known.owner == owner).count();
        // The one that it replaces makes room.
        let (all, of_owner) = (self.waiting.len(), of_owner.saturating_sub(usize::from(replaces.is_some())));
        if of_owner >= OF_OWNER_MAX {
            return Err(Refusal::TooManyOrders);
        }
        if all.saturating_sub(usize::from(replaces.is_some())) >= ORDERS_MAX
            || self.waiting.contains_key(&order.payment)
        {
            return Err(Refusal::Busy);
        }
        let names = self.fresh_names(rng)?;
        let marks = self.marks(&names);
        let good = order.valid_s.clamp(*BouncedOrder::VALID_S.start(), *BouncedOrder::VALID_S.end());
        let until = now + Duration::from_secs(u64::from(good));
        let order = order.clone();
        self.waiting.insert(order.payment, Waiting { order, owner, marks, until, is_kept: false, is_claimed: false });
        Ok(Made { names, marks, until, replaces })
    }

    fn fresh_names(&self, rng: &mut ChaCha12Rng) -> Result<Names, Refusal> {
        let of_waiting = || self.waiting.values().map(|known| &known.marks);
        let code = random(rng, CHARACTERS, ALPHABET);
        for _ in 0..DRAWS_MAX {
            let digits = random(rng, DIGITS, b"0123456789");
            let mark = self.mark(&Named::Dialed(&digits, 0));
            if !of_waiting().chain(self.gone.iter().map(|(marks, _)| marks)).any(|marks| marks.digits == mark) {
                return Ok(Names { code, digits });
            }
        }
        Err(Refusal::Busy)
    }

    /// It is on disk, and the one whose place it takes is not good any more, also where a call has come with that meanwhile: the disk has
    /// written this one first, and then refuses the other's use.
    pub(crate) fn kept(&mut self, payment: PaymentId, replaces: Option<PaymentId>) {
        replaces.into_iter().for_each(|before| self.end(before, BounceRefusal::CodeReplaced));
        let Some(known) = self.waiting.get_mut(&payment) else { return };
        known.is_kept = true;
        let order = known.order.clone();
        // With one a call had come when this was ordered, and was not answered.
        let before = self.waiting.values().filter(|known| known.is_same(&order) && !known.is_claimed);
        let before: Vec<_> = before.map(|known| known.order.payment).filter(|before| *before != payment).collect();
        before.into_iter().for_each(|before| self.end(before, BounceRefusal::CodeReplaced));
    }

    /// It could not be put on disk: nobody is told its codes, and the one whose place it was to take is as good as before.
    pub(crate) fn withdraw(&mut self, payment: PaymentId) {
        self.waiting.remove(&payment);
    }

    /// What is on disk is older than what was: one that waits there may have been used. None is good any more.
    pub(crate) fn end_all(&mut self) {
        let all = self.waiting.values().filter(|known| known.is_kept).map(|known| known.order.payment);
        let all: Vec<PaymentId> = all.collect();
        all.into_iter().for_each(|payment| self.end(payment, BounceRefusal::CodeReplaced));
    }

    /// One that was put on disk by a process before this one; it is good for so long yet.
    pub(crate) fn recall(&mut self, now: Instant, kept: KeptOrder, state: CodeState, left: Duration) {
        let KeptOrder { order, owner, marks, .. } = kept;
        // A clock that was set back makes none good for longer than any is.
        let until = now + left.min(Duration::from_secs(u64::from(*BouncedOrder::VALID_S.end())));
        let payment = order.payment;
        self.waiting.insert(payment, Waiting { order, owner, marks, until, is_kept: true, is_claimed: false });
        match state {
            CodeState::Waiting if !left.is_zero() => {}
            CodeState::Waiting => self.end(payment, BounceRefusal::CodeExpired),
            CodeState::Used => self.end(payment, BounceRefusal::CodeUsed),
            CodeState::Replaced => self.end(payment, BounceRefusal::CodeReplaced),
        }
    }

    /// The order that a call names, if its route takes it. Whoever calls is not listened to for a while after too many wrong ones.
    pub(crate) fn find(
        &mut self,
        now: Instant,
        (from, asserted): (Peer, &str),
        named: &Named<'_>,
        takes: impl Fn(&BouncedOrder) -> bool,
    ) -> Result<BouncedOrder, BounceRefusal> {
        self.expire(now);
        let source = Who::Source(from.address.ip(), asserted.to_owned());
        let trunk = match named {
            Named::Said(_) => None,
            Named::Dialed(_, trunk) => Some(Who::Trunk(*trunk)),
        };
        if [Some(&source), trunk.as_ref()].into_iter().flatten().any(|who| self.locks.is_locked(now, who)) {
            return Err(BounceRefusal::Locked);
        }
        let mark = self.mark(named);
        let is_it = |marks: &Marks| match named {
            Named::Said(_) => marks.code == mark,
            Named::Dialed(..) => marks.digits == mark,
        };
        let known = self.waiting.values().find(|known| known.is_kept && is_it(&known.marks));
        if let Some(known) = known.filter(|known| takes(&known.order)) {
            if known.is_claimed {
                return Err(BounceRefusal::CodeUsed);
            }
            self.locks.succeeded(&source);
            return Ok(known.order.clone());
        }
        if let Some((_, why)) = self.gone.iter().rev().find(|(marks, _)| is_it(marks)) {
            // It was good: nobody guesses.
            return Err(*why);
        }
        self.locks.failed(now, source);
        trunk.into_iter().for_each(|who| self.locks.failed(now, who));
        Err(BounceRefusal::UnknownCode)
    }

    /// A call has come with it. No other is taken while that is there.
    pub(crate) fn claim(&mut self, payment: PaymentId) {
        self.note_claimed(payment, true);
    }

    /// The call was not even answered: another may come, unless it was ordered anew meanwhile.
    pub(crate) fn give_back(&mut self, payment: PaymentId) {
        self.note_claimed(payment, false);
        let Some(known) = self.waiting.get(&payment) else { return };
        let mut others = self.waiting.values().filter(|other| other.order.payment != payment);
        if others.any(|other| other.is_kept && other.is_same(&known.order)) {
            self.end(payment, BounceRefusal::CodeReplaced);
        }
    }

    fn note_claimed(&mut self, payment: PaymentId, is_claimed: bool) {
        if let Some(known) = self.waiting.get_mut(&payment) {
            known.is_claimed = is_claimed;
        }
    }

    /// The call is answered: the code is not good any more, whatever becomes of the payment.
    pub(crate) fn used(&mut self, payment: PaymentId) {
        self.end(payment, BounceRefusal::CodeUsed);
    }

    /// One that a call has come with is that call's, however long it takes to answer it.
    fn expire(&mut self, now: Instant) {
        let over = self.waiting.values().filter(|known| known.until <= now && !known.is_claimed);
        let over: Vec<PaymentId> = over.map(|known| known.order.payment).collect();
        over.into_iter().for_each(|payment| self.end(payment, BounceRefusal::CodeExpired));
    }

    fn end(&mut self, payment: PaymentId, why: BounceRefusal) {
        let Some(known) = self.waiting.remove(&payment) else { return };
        if self.gone.len() == GONE_MAX {
            self.gone.pop_front();
        }
        self.gone.push_back((known.marks, why));
    }
}

impl Config {
    /// The number behind which codes of this order are dialed: of the first route that takes it and is dialed by no other's number.
    /// None: no route takes the order at all; inside: whether the keys of its callers cross a PBX, and the number, if there is one.
    pub(crate) fn bounce_of(&self, order: &BouncedOrder) -> Option<(bool, Option<&str>)> {
        let bounces = self.routes.iter().filter_map(|route| Some((route, route.bounce.as_ref()?)));
        let taking: Vec<_> = bounces.filter(|(_, bounce)| bounce.takes(order)).collect();
        let keys_cross_pbx = taking.iter().any(|(_, bounce)| bounce.keys_cross_pbx);
        let is_shadowed = |prefix: &str, from: &str| {
            let mut others = self.routes.iter().filter(|other| other.from == from);
            others.any(|other| other.prefix.len() > prefix.len() && other.prefix.starts_with(prefix))
        };
        let mut numbers = taking.iter().filter(|(route, _)| route.prefix.len() >= PREFIX_BYTES_MIN);
        let number = numbers.find(|(route, _)| !is_shadowed(&route.prefix, &route.from));
        (!taking.is_empty()).then(|| (keys_cross_pbx, number.map(|(route, _)| route.prefix.as_str())))
    }

    /// What codes of orders may be dialed behind, of all routes.
    pub(crate) fn bounce_numbers(&self) -> Vec<String> {
        let bounces = self.routes.iter().filter(|route| route.bounce.is_some());
        bounces.map(|route| route.prefix.clone()).filter(|prefix| prefix.len() >= PREFIX_BYTES_MIN).collect()
    }
}

/// Whether what was dialed behind a route's number looks like a code.
pub(crate) fn is_dialed(behind: &str) -> bool {
    behind.len() == DIGITS && behind.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "test code")]
mod tests {
    use super::*;
    use rand_core::SeedableRng;
    use wire::{Currency, Money};

    fn order(number: u128, reference: &str) -> BouncedOrder {
        BouncedOrder {
            payment: PaymentId::from_random(number),
            merchant: "main".parse().unwrap(),
            amount: Money { minor: 4200, currency: Currency::GBP },
            reference: reference.parse().unwrap(),
            back: None,
            valid_s: 60,
        }
    }

    struct World {
        codes: Codes,
        rng: ChaCha12Rng,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            Self { codes: Codes::new(&[7; 32]), rng: ChaCha12Rng::from_seed([1; 32]), now: Instant::now() }
        }

        fn order(&mut self, number: u128, reference: &str) -> Names {
            self.orders(1, number, reference).unwrap().names
        }

        /// On a disk that writes.
        fn orders(&mut self, owner: i64, number: u128, reference: &str) -> Result<Made, Refusal> {
            let made = self.begins(owner, number, reference)?;
            self.codes.kept(PaymentId::from_random(number), made.replaces);
            Ok(made)
        }

        /// The disk has not written it yet.
        fn begins(&mut self, owner: i64, number: u128, reference: &str) -> Result<Made, Refusal> {
            self.codes.order(self.now, &mut self.rng, &order(number, reference), Some(owner))
        }

        fn said(&mut self, said: &str) -> Result<PaymentId, BounceRefusal> {
            self.named(&Named::Said(said))
        }

        fn named(&mut self, named: &Named<'_>) -> Result<PaymentId, BounceRefusal> {
            let from = Peer::udp(([192, 0, 2, 1], 5060).into());
            self.codes.find(self.now, (from, "447700900142"), named, |_| true).map(|order| order.payment)
        }
    }

    #[test]
    fn a_code_is_good_once_and_for_its_time_and_says_afterwards_what_it_was() {
        let mut world = World::new();
        let [one, two] = [(1, "A"), (2, "B")].map(|(number, reference)| world.order(number, reference));
        assert_eq!(world.said(&one.code.to_ascii_uppercase()), Ok(PaymentId::from_random(1)));
        assert_eq!(world.named(&Named::Dialed(&one.digits, 0)), Ok(PaymentId::from_random(1)), "looking takes nothing");
        world.codes.claim(PaymentId::from_random(1));
        assert_eq!(world.said(&one.code), Err(BounceRefusal::CodeUsed), "a call is there");
        world.codes.give_back(PaymentId::from_random(1));
        assert!(world.said(&one.code).is_ok(), "and was never answered");
        world.codes.used(PaymentId::from_random(1));
        assert_eq!(world.said(&one.code), Err(BounceRefusal::CodeUsed));
        world.now += Duration::from_secs(60);
        assert_eq!(world.named(&Named::Dialed(&two.digits, 0)), Err(BounceRefusal::CodeExpired));
    }

    #[test]
    fn the_newest_order_of_a_reference_is_the_one_that_counts() {
        let mut world = World::new();
        let (before, other) = (world.order(1, "A"), world.order(2, "B"));
        let after = world.order(3, "A");
        assert_eq!(world.said(&before.code), Err(BounceRefusal::CodeReplaced));
        assert_eq!(world.said(&after.code), Ok(PaymentId::from_random(3)));
        assert_eq!(world.said(&other.code), Ok(PaymentId::from_random(2)));
    }

    /// What broke: the one before was over when the newer was ordered, also where the disk did not take that.
    #[test]
    fn the_one_before_is_good_until_the_newer_is_on_disk() {
        let mut world = World::new();
        let before = world.order(1, "A");
        let [first, newer] = [1, 2].map(PaymentId::from_random);
        assert_eq!(world.begins(1, 2, "A").unwrap().replaces, Some(first));
        assert_eq!(world.said(&before.code), Ok(first));
        assert_eq!(world.begins(1, 3, "A").err(), Some(Refusal::Busy), "it is not known yet whose place that takes");
        world.codes.withdraw(newer);
        assert_eq!(world.said(&before.code), Ok(first), "the disk did not write");
        let after = world.begins(1, 2, "A").unwrap();
        assert_eq!(world.said(&after.names.code), Err(BounceRefusal::UnknownCode), "there are never two");
        world.codes.claim(first);
        world.codes.kept(newer, after.replaces);
        assert_eq!(world.said(&after.names.code), Ok(newer));
        world.codes.give_back(first);
        assert_eq!(world.said(&before.code), Err(BounceRefusal::CodeReplaced), "whose call the disk has refused");
    }

    #[test]
    fn one_that_a_call_gives_back_is_not_good_beside_a_newer() {
        for is_kept_first in [true, false] {
            let mut world = World::new();
            let before = world.order(1, "A");
            let [first, newer] = [1, 2].map(PaymentId::from_random);
            world.codes.claim(first);
            let after = world.begins(1, 2, "A").unwrap();
            assert_eq!(after.replaces, None, "the call may be answered");
            if is_kept_first {
                world.codes.kept(newer, None);
                world.codes.give_back(first);
            } else {
                world.codes.give_back(first);
                assert_eq!(world.said(&before.code), Ok(first), "there is no other yet");
                world.codes.kept(newer, None);
            }
            assert_eq!(world.said(&before.code), Err(BounceRefusal::CodeReplaced));
            assert_eq!(world.said(&after.names.code), Ok(newer));
        }
    }

    #[test]
    fn who_guesses_is_not_listened_to_and_who_comes_with_an_old_one_is_no_guesser() {
        let mut world = World::new();
        let (old, good) = (world.order(1, "A"), world.order(2, "B"));
        world.codes.used(PaymentId::from_random(1));
        (0..20).for_each(|_| assert_eq!(world.said(&old.code), Err(BounceRefusal::CodeUsed)));
        (0..10).for_each(|_| assert_eq!(world.said("aaaaaaaaaaaaaaaa"), Err(BounceRefusal::UnknownCode)));
        assert_eq!(world.said(&good.code), Err(BounceRefusal::Locked));
        world.now += Duration::from_secs(31 * 60);
        assert_eq!(world.said(&good.code), Err(BounceRefusal::CodeExpired), "that was its time");
    }

    /// What broke: an order of an agent's, by hand, took the place of another system's whose caller was on the way.
    #[test]
    fn an_order_of_somebody_elses_takes_no_place_and_is_told() {
        let mut world = World::new();
        let first = world.order(1, "A");
        assert_eq!(world.orders(2, 2, "A").err(), Some(Refusal::OrderedByAnother));
        assert_eq!(world.said(&first.code), Ok(PaymentId::from_random(1)), "it is as good as before");
        assert!(world.orders(2, 3, "B").is_ok(), "a reference of their own");
        let newer = world.orders(1, 4, "A").unwrap();
        assert_eq!(newer.replaces, Some(PaymentId::from_random(1)), "who has made it may make it anew");
        world.codes.claim(PaymentId::from_random(4));
        assert_eq!(world.orders(2, 5, "A").err(), Some(Refusal::OrderedByAnother), "a call has come with it");
        world.codes.used(PaymentId::from_random(4));
        assert!(world.orders(2, 5, "A").is_ok(), "and what became of it is not this list's matter");
    }

    #[test]
    fn they_are_bounded_and_nobody_takes_the_others_places() {
        let mut world = World::new();
        let mut number = 0;
        let mut fill = |world: &mut World, owner| {
            for _ in 0..OF_OWNER_MAX {
                number += 1;
                assert!(world.orders(owner, number, &format!("R-{number}")).is_ok(), "{number}");
            }
        };
        fill(&mut world, 1);
        assert_eq!(world.orders(1, 9_000, "MORE").err(), Some(Refusal::TooManyOrders));
        assert!(world.orders(1, 9_000, "R-7").is_ok(), "but for one that takes another's place");
        [2, 3, 4].into_iter().for_each(|owner| fill(&mut world, owner));
        assert_eq!(world.orders(5, 9_999, "MORE").err(), Some(Refusal::Busy));
        world.now += Duration::from_secs(60);
        assert!(world.orders(5, 9_999, "MORE").is_ok(), "those before are over");
        assert_eq!((world.codes.waiting.len(), world.codes.gone.len()), (1, GONE_MAX));
    }

    /// What a process after this one is told; the control is one with another key.
    #[test]
    fn a_code_is_known_again_by_its_marks_alone() {
        let mut world = World::new();
        let all = [(1, "A", CodeState::Waiting, 5), (2, "B", CodeState::Used, 5), (3, "C", CodeState::Replaced, 5)];
        let made = all.map(|(number, reference, state, left)| {
            let made = world.orders(1, number, reference).unwrap();
            let (order, owner, marks) = (order(number, reference), Some(1), made.marks);
            let kept = KeptOrder { order, owner, marks, until_unix_ms: 0, replaces: None };
            (made.names, kept, state, Duration::from_secs(left))
        });
        let (mut after, mut other) = (World::new(), World::new());
        other.codes = Codes::new(&[8; 32]);
        for world in [&mut after, &mut other] {
            for (_, kept, state, left) in &made {
                world.codes.recall(world.now, kept.clone(), *state, *left);
            }
        }
        let said = made.each_ref().map(|(names, ..)| after.said(&names.code));
        assert_eq!(
            said,
            [Ok(PaymentId::from_random(1)), Err(BounceRefusal::CodeUsed), Err(BounceRefusal::CodeReplaced)]
        );
        let [(names, ..), ..] = &made;
        assert_eq!(after.named(&Named::Dialed(&names.digits, 0)), Ok(PaymentId::from_random(1)));
        assert_eq!(other.said(&names.code), Err(BounceRefusal::UnknownCode));
        assert_eq!(after.orders(2, 9, "A").err(), Some(Refusal::OrderedByAnother), "and whose it is");
        after.now += Duration::from_secs(5);
        assert_eq!(after.said(&names.code), Err(BounceRefusal::CodeExpired));
    }
}
