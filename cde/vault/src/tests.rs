//! What the vault promises, held against the model of its stores.

use crate::contract::{Dice, Model, Roots, card, keys, now_or_never, records, tenant};
use crate::{
    Key, KeyStore, KeyStoreError, Keyring, Overdue, Progress, Purpose, Random, Reason, RootVersion, Row, Store, Tenant,
    Vault, VaultError,
};
use card::{Expiry, Pan};
use proptest::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use wire::{Token, luhn_valid, pan_like};

const NUMBERS: [&str; 5] =
    ["4242424242424242", "378282246310005", "6205500000000000004", "5555555555554444", "38000000000006"];

struct World {
    model: Model,
    roots: Roots,
    vault: Vault<Model, Model>,
    tenant: Tenant,
}

impl World {
    fn new() -> Self {
        let (model, tenant) = (Model::default(), tenant("main"));
        let roots = Roots::new(&Dice::new(9));
        let vault = vault(&model, &roots, 1);
        assert!(now_or_never(vault.found(&tenant)).unwrap());
        assert!(!now_or_never(vault.found(&tenant)).unwrap(), "it has keys");
        Self { model, roots, vault, tenant }
    }

    fn store(&self, number: &str) -> Token {
        let (pan, expiry) = card(number, 2030);
        now_or_never(self.vault.store(0, &self.tenant, &pan, &expiry, None)).unwrap()
    }

    fn open(&self, token: &Token) -> Result<(String, u16), VaultError> {
        now_or_never(self.vault.open(0, &self.tenant, token)).map(|card| shown(&card))
    }
}

fn vault(model: &Model, roots: &Roots, seed: u32) -> Vault<Model, Model> {
    Vault::new(model.clone(), model.clone(), Box::new(roots.clone()), Box::new(Dice::new(seed)))
}

fn shown((pan, expiry): &(Pan, Expiry)) -> (String, u16) {
    (pan.expose(|digits| String::from_utf8(digits.to_vec()).unwrap()), expiry.view().year)
}

/// Steps until it is done; returns what was rewrapped.
fn finish(step: impl Fn() -> Result<Progress, VaultError>) -> u64 {
    let mut rewrapped = 0;
    for _ in 0..100 {
        let progress = step().unwrap();
        rewrapped += progress.rewrapped;
        if progress.done {
            return rewrapped;
        }
    }
    panic!("a rotation does not end");
}

#[test]
fn the_model_keeps_the_contract() {
    now_or_never(records(&Model::default()));
    now_or_never(keys(&Model::default()));
}

#[test]
fn a_card_of_any_length_comes_back_and_its_ciphertext_does_not_tell_the_length() {
    let world = World::new();
    for number in NUMBERS {
        let token = world.store(number);
        assert_eq!(world.open(&token).unwrap(), (number.to_owned(), 2030));
        let digits: Vec<u8> = token.as_str().bytes().filter(u8::is_ascii_digit).collect();
        assert!(!luhn_valid(&digits) && !pan_like(token.as_str()));
    }
    let page = now_or_never(world.model.page(&world.tenant, None, 99)).unwrap();
    assert!(page.iter().all(|record| record.pan.len() == page[0].pan.len()));
}

#[test]
fn an_expired_card_is_stored_and_opened_all_the_same() {
    let world = World::new();
    let (pan, expiry) = card(NUMBERS[0], 2001);
    let token = now_or_never(world.vault.store(0, &world.tenant, &pan, &expiry, None)).unwrap();
    assert_eq!(world.open(&token).unwrap().1, 2001);
}

#[test]
fn a_card_is_found_by_its_number_and_other_tenants_know_it_by_another_name() {
    let world = World::new();
    let (first, second, _) = (world.store(NUMBERS[0]), world.store(NUMBERS[0]), world.store(NUMBERS[1]));
    assert_ne!(first, second);
    let (pan, _) = card(NUMBERS[0], 2030);
    let mut expected = vec![first, second];
    expected.sort();
    assert_eq!(now_or_never(world.vault.find(&world.tenant, &pan)).unwrap(), expected);
    let other = tenant("other");
    now_or_never(world.vault.found(&other)).unwrap();
    assert!(now_or_never(world.vault.find(&other, &pan)).unwrap().is_empty());
    let prints = [&world.tenant, &other].map(|tenant| now_or_never(world.vault.fingerprint(tenant, &pan)).unwrap());
    assert_ne!(prints[0], prints[1]);
    let bare = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, NUMBERS[0].as_bytes());
    assert!(prints.iter().all(|print| print.0 != bare.as_ref()), "a bare hash could be found by trying");
}

#[test]
fn what_is_not_there_is_told_apart() {
    let world = World::new();
    let token = world.store(NUMBERS[0]);
    let stranger = crate::contract::tokens(1).remove(0);
    let open = |tenant: &Tenant, token: &Token| now_or_never(world.vault.open(0, tenant, token)).err().unwrap();
    assert!(matches!(open(&world.tenant, &stranger), VaultError::NoToken));
    assert!(matches!(open(&tenant("nobody"), &token), VaultError::NoTenant));
    now_or_never(world.vault.shred(1, &world.tenant, std::slice::from_ref(&token), Reason::Shredded)).unwrap();
    assert!(matches!(open(&world.tenant, &token), VaultError::Gone));
}

#[test]
fn records_and_keys_in_each_others_places_are_refused() {
    let world = World::new();
    let (one, two) = (world.store(NUMBERS[0]), world.store(NUMBERS[3]));
    let refused = |token: &Token| matches!(world.open(token), Err(VaultError::Refused));
    let rows = world.model.rows.lock().unwrap().clone();
    let keys = world.model.record_keys.lock().unwrap().clone();
    let Row::Kept(record_two) = &rows[&two].1 else { panic!() };
    type Spoil<'a> = (&'a str, Box<dyn Fn(&mut crate::Record, &mut crate::RecordKey) + 'a>);
    let spoils: [Spoil; 5] = [
        ("the number of another", Box::new(|record, _| record.pan = record_two.pan.clone())),
        ("the expiry of another", Box::new(|record, _| record.expiry = record_two.expiry.clone())),
        ("the fields changed about", Box::new(|record, _| std::mem::swap(&mut record.pan, &mut record.expiry))),
        ("the key of another", Box::new(|_, key| key.wrapped = keys[&two].1.wrapped.clone())),
        (
            "all of another",
            Box::new(|record, key| {
                (record.pan, record.expiry) = (record_two.pan.clone(), record_two.expiry.clone());
                key.wrapped = keys[&two].1.wrapped.clone();
            }),
        ),
    ];
    for (what, spoil) in spoils {
        {
            let (mut rows, mut keys) = (world.model.rows.lock().unwrap(), world.model.record_keys.lock().unwrap());
            let Row::Kept(record) = &mut rows.get_mut(&one).unwrap().1 else { panic!() };
            spoil(record, &mut keys.get_mut(&one).unwrap().1);
        }
        assert!(refused(&one), "{what}");
        *world.model.rows.lock().unwrap() = rows.clone();
        *world.model.record_keys.lock().unwrap() = keys.clone();
        assert!(world.open(&one).is_ok(), "the control: put back, it opens");
    }
    for bit in 0..rows.len() {
        let mut rows = world.model.rows.lock().unwrap();
        let Row::Kept(record) = &mut rows.get_mut(&two).unwrap().1 else { panic!() };
        record.pan[bit] ^= 1;
    }
    assert!(refused(&two));
}

#[test]
fn a_card_moved_to_another_tenant_is_refused() {
    let world = World::new();
    let (token, thief) = (world.store(NUMBERS[0]), tenant("thief"));
    now_or_never(world.vault.found(&thief)).unwrap();
    for (owner, _) in world.model.rows.lock().unwrap().values_mut() {
        *owner = thief.clone();
    }
    for (owner, _) in world.model.record_keys.lock().unwrap().values_mut() {
        *owner = thief.clone();
    }
    let open = || now_or_never(world.vault.open(0, &thief, &token)).err();
    assert!(matches!(open(), Some(VaultError::Refused)), "its key is wrapped by another KEK");
    let mut keys = world.model.tenant_keys.lock().unwrap();
    let theirs = keys[&(world.tenant.clone(), Purpose::Records, 1)].clone();
    keys.insert((thief.clone(), Purpose::Records, 1), theirs);
    drop(keys);
    assert!(matches!(open(), Some(VaultError::Refused)), "and the KEK is that tenant's");
}

#[test]
fn a_shredded_card_cannot_be_opened_though_everything_but_its_key_is_put_back() {
    let world = World::new();
    let (gone, kept) = (world.store(NUMBERS[0]), world.store(NUMBERS[1]));
    let backup = world.model.rows.lock().unwrap().clone();
    let restore = || *world.model.rows.lock().unwrap() = backup.clone();
    restore();
    assert!(world.open(&gone).is_ok(), "the control: before, the backup opens");
    let shred =
        now_or_never(world.vault.shred(1, &world.tenant, std::slice::from_ref(&gone), Reason::Shredded)).unwrap();
    assert_eq!((shred.keys, shred.records), (1, 1));
    restore();
    assert!(matches!(world.open(&gone), Err(VaultError::Gone)));
    assert!(world.open(&kept).is_ok());
    let (pan, _) = card(NUMBERS[0], 2030);
    assert!(now_or_never(world.vault.find(&world.tenant, &pan)).unwrap().is_empty(), "its fingerprint is gone too");
    let shred = now_or_never(world.vault.shred_tenant(2, &world.tenant)).unwrap();
    assert_eq!((shred.keys, shred.records), (1, 2));
    restore();
    assert!(matches!(world.open(&kept), Err(VaultError::Gone)));
    assert!(matches!(now_or_never(world.vault.fingerprint(&world.tenant, &pan)), Err(VaultError::NoTenant)));
}

#[test]
fn a_purge_takes_what_is_overdue_and_nothing_else() {
    let world = World::new();
    let store = |now, keep| {
        let (pan, expiry) = card(NUMBERS[0], 2030);
        now_or_never(world.vault.store(now, &world.tenant, &pan, &expiry, keep)).unwrap()
    };
    let day = 24 * 60 * 60 * 1000;
    let (old, kept_until, used, new) =
        (store(0, None), store(9 * day, Some(9 * day)), store(0, None), store(9 * day, None));
    now_or_never(world.vault.open(9 * day, &world.tenant, &used)).unwrap();
    let rule = Overdue { now_ms: 10 * day, unused_since_ms: Some(5 * day) };
    let purged = now_or_never(world.vault.purge(&world.tenant, rule)).unwrap();
    let mut expected = vec![old, kept_until];
    expected.sort();
    assert_eq!((purged.tokens, purged.more), (expected, false));
    assert!(world.open(&used).is_ok() && world.open(&new).is_ok());
    assert!(now_or_never(world.vault.purge(&world.tenant, rule)).unwrap().tokens.is_empty());
}

/// Its use is noted once a day, so that what is noted may be nearly a day older.
#[test]
fn a_purge_of_what_was_unused_for_two_days_spares_what_was_used_within_one_and_that_of_one_day_does_not() {
    let (world, day) = (World::new(), 24 * 60 * 60 * 1000);
    let (pan, expiry) = card(NUMBERS[0], 2030);
    let token = now_or_never(world.vault.store(0, &world.tenant, &pan, &expiry, None)).unwrap();
    let purge = |now_ms: i64, days: i64| {
        let rule = Overdue { now_ms, unused_since_ms: Some(now_ms - days * day) };
        now_or_never(world.vault.purge(&world.tenant, rule)).unwrap().tokens
    };
    let mut now_ms = 0;
    for _ in 0..7 {
        now_ms += day - 1;
        assert_eq!(purge(now_ms, 2), [], "nearly a day after its last use");
        now_or_never(world.vault.open(now_ms, &world.tenant, &token)).unwrap();
    }
    assert_eq!(purge(now_ms + 2, 1), [token], "a moment after its last use, though it is used every day");
}

#[test]
fn a_rotation_of_kek_or_root_that_dies_anywhere_is_gone_on_with_and_loses_nothing() {
    const LIVES: u32 = 30;
    let mut cuts = 0;
    for (life, kek) in (0..LIVES).flat_map(|life| [(life, true), (life, false)]) {
        let world = World::new();
        let tokens = NUMBERS.map(|number| world.store(number));
        let die = || *world.model.life.lock().unwrap() = Some(life);
        let live = || *world.model.life.lock().unwrap() = None;
        let rotate_kek = |vault: &Vault<Model, Model>| -> Result<(), VaultError> {
            now_or_never(vault.rotate_kek(&world.tenant))?;
            while !now_or_never(vault.rotate_kek_step(&world.tenant))?.done {}
            Ok(())
        };
        let rotate_root = |vault: &Vault<Model, Model>| -> Result<(), VaultError> {
            vault.rotate_root()?;
            while !now_or_never(vault.rotate_root_step())?.done {}
            Ok(())
        };
        die();
        let cut = if kek { rotate_kek(&world.vault) } else { rotate_root(&world.vault) };
        live();
        cuts += u32::from(cut.is_err());
        assert!(cut.is_ok() || life + 1 < LIVES, "the longest life is long enough to finish: {cut:?}");
        for (token, number) in tokens.iter().zip(NUMBERS) {
            assert_eq!(world.open(token).unwrap().0, number, "while it is cut off");
        }
        let again = vault(&world.model, &world.roots, 2 + life);
        rotate_kek(&again).unwrap();
        rotate_root(&again).unwrap();
        for (token, number) in tokens.iter().zip(NUMBERS) {
            assert_eq!(world.open(token).unwrap().0, number);
        }
        assert_eq!(world.roots.roots().unwrap().len(), 1, "the old root is destroyed");
        let keys = now_or_never(world.model.tenant_keys(&world.tenant)).unwrap();
        assert_eq!(keys.len(), 2, "so is the old KEK");
    }
    assert!(cuts > 20, "{cuts} rotations were cut off");
}

#[test]
fn after_a_rotation_the_old_keys_open_nothing() {
    let world = World::new();
    let token = world.store(NUMBERS[0]);
    let before = (world.model.tenant_keys.lock().unwrap().clone(), world.model.record_keys.lock().unwrap().clone());
    now_or_never(world.vault.rotate_kek(&world.tenant)).unwrap();
    finish(|| now_or_never(world.vault.rotate_kek_step(&world.tenant)));
    let after = world.model.record_keys.lock().unwrap().clone();
    *world.model.record_keys.lock().unwrap() = before.1.clone();
    assert!(world.open(&token).is_err(), "the old wrapped key, with all keys that are left");
    *world.model.tenant_keys.lock().unwrap() = before.0;
    assert!(world.open(&token).is_ok(), "the control: with the old KEK it would");
    world.vault.rotate_root().unwrap();
    *world.model.record_keys.lock().unwrap() = after;
    let old = world.model.tenant_keys.lock().unwrap().clone();
    finish(|| now_or_never(world.vault.rotate_root_step()));
    *world.model.tenant_keys.lock().unwrap() = old;
    assert!(world.open(&token).is_err(), "the root of the old keys is destroyed");
}

#[test]
fn a_key_wrapped_by_an_old_root_comes_too_late() {
    let world = World::new();
    let late = now_or_never(world.model.tenant_keys(&world.tenant)).unwrap();
    world.vault.rotate_root().unwrap();
    finish(|| now_or_never(world.vault.rotate_root_step()));
    assert!(!now_or_never(world.model.add_tenant_keys(&tenant("late"), &late)).unwrap());
}

/// Roots of which another process makes a new one, and retires the old, before one is used.
struct Overtaken {
    roots: Roots,
    rotating: Vault<Model, Model>,
    left: AtomicU32,
}

impl KeyStore for Overtaken {
    fn current(&self) -> Result<RootVersion, KeyStoreError> {
        self.roots.current()
    }

    fn wrap(&self, root: RootVersion, place: &[u8], key: &Key, random: &dyn Random) -> Result<Vec<u8>, KeyStoreError> {
        self.roots.wrap(root, place, key, random)
    }

    fn unwrap(&self, root: RootVersion, place: &[u8], wrapped: &[u8]) -> Result<Key, KeyStoreError> {
        if self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
            assert!(self.rotating.rotate_root().unwrap());
            finish(|| now_or_never(self.rotating.rotate_root_step()));
        }
        self.roots.unwrap(root, place, wrapped)
    }

    fn roots(&self) -> Result<Vec<RootVersion>, KeyStoreError> {
        self.roots.roots()
    }

    fn add(&self, random: &dyn Random) -> Result<RootVersion, KeyStoreError> {
        self.roots.add(random)
    }

    fn retire(&self, root: RootVersion) -> Result<(), KeyStoreError> {
        self.roots.retire(root)
    }
}

/// What broke: a card was not opened, found or stored when the root was retired between the reading of a key and its use.
#[test]
fn a_root_that_is_retired_while_it_is_used_costs_no_card() {
    let World { model, roots, vault: first, tenant } = World::new();
    let (pan, expiry) = card(NUMBERS[0], 2030);
    let token = now_or_never(first.store(0, &tenant, &pan, &expiry, None)).unwrap();
    let overtaken = |left| {
        let (roots, rotating) = (roots.clone(), vault(&model, &roots, 3));
        let roots = Box::new(Overtaken { roots, rotating, left: AtomicU32::new(left) });
        Vault::new(model.clone(), model.clone(), roots, Box::new(Dice::new(5)))
    };
    assert_eq!(shown(&now_or_never(overtaken(1).open(0, &tenant, &token)).unwrap()).0, NUMBERS[0]);
    assert_eq!(now_or_never(overtaken(1).find(&tenant, &pan)).unwrap(), std::slice::from_ref(&token));
    assert!(now_or_never(overtaken(1).store(0, &tenant, &pan, &expiry, None)).is_ok());
    let ended = now_or_never(overtaken(9).open(0, &tenant, &token));
    assert!(matches!(ended, Err(VaultError::KeyStore(KeyStoreError::NoRoot(_)))), "and not for ever");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Store(usize),
    Shred(usize),
    Purge(i64),
    BeginKek,
    WrapRecord,
    BeginRoot,
    WrapTenant,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..NUMBERS.len()).prop_map(Step::Store),
        2 => (0..40_usize).prop_map(Step::Shred),
        1 => (0..60_i64).prop_map(Step::Purge),
        1 => Just(Step::BeginKek),
        3 => Just(Step::WrapRecord),
        1 => Just(Step::BeginRoot),
        3 => Just(Step::WrapTenant),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_card_is_lost_and_no_shredded_one_comes_back(steps in steps()) {
        let world = World::new();
        let mut expected: Vec<(Token, &str, Option<i64>)> = Vec::new();
        let mut gone: Vec<Token> = Vec::new();
        for (now, step) in (1_i64..).zip(steps) {
            match step {
                Step::Store(which) => {
                    let (pan, expiry) = card(NUMBERS[which], 2030);
                    let keep = (now % 3 == 0).then_some(now + 5);
                    let token = now_or_never(world.vault.store(now, &world.tenant, &pan, &expiry, keep)).unwrap();
                    expected.push((token, NUMBERS[which], keep));
                }
                Step::Shred(which) if which < expected.len() => {
                    let (token, ..) = expected.remove(which);
                    now_or_never(world.vault.shred(now, &world.tenant, std::slice::from_ref(&token), Reason::Shredded)).unwrap();
                    gone.push(token);
                }
                Step::Shred(_) => {}
                Step::Purge(at) => {
                    let rule = Overdue { now_ms: at, unused_since_ms: None };
                    let mut purged = now_or_never(world.vault.purge(&world.tenant, rule)).unwrap().tokens;
                    let (over, left): (Vec<_>, Vec<_>) =
                        expected.into_iter().partition(|(.., keep)| keep.is_some_and(|keep| keep < at));
                    expected = left;
                    let mut over: Vec<_> = over.into_iter().map(|(token, ..)| token).collect();
                    over.sort();
                    purged.sort();
                    prop_assert_eq!(&over, &purged);
                    gone.extend(over);
                }
                Step::BeginKek => { now_or_never(world.vault.rotate_kek(&world.tenant)).unwrap(); }
                Step::WrapRecord => { now_or_never(world.vault.rotate_kek_step(&world.tenant)).unwrap(); }
                Step::BeginRoot => { world.vault.rotate_root().unwrap(); }
                Step::WrapTenant => { now_or_never(world.vault.rotate_root_step()).unwrap(); }
            }
        }
        for (token, number, _) in &expected {
            prop_assert_eq!(&world.open(token).unwrap().0, number);
        }
        for token in &gone {
            prop_assert!(matches!(world.open(token), Err(VaultError::Gone)));
        }
    }
}
