//! Cards go from one vault to another when two people say so, and in no other way.

use crate::approval::{Approval, ApprovalError, Approved, Deed, HOURS_MAX, Officer, Request};
use crate::contract::{Dice, Model, Roots, card, now_or_never, tenant};
use crate::store::{Reason, Tenant};
use crate::transfer::TransferError;
use crate::vault::Vault;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use wire::Token;

const NUMBERS: [&str; 3] = ["4242424242424242", "378282246310005", "6205500000000000004"];
const NOW_MS: i64 = 1_000_000;

struct People {
    keys: Vec<(String, Ed25519KeyPair)>,
    officers: Vec<Officer>,
}

impl People {
    fn new() -> Self {
        let keys: Vec<_> = ["amy", "bob", "eve"]
            .into_iter()
            .map(|name| (name.to_owned(), Ed25519KeyPair::generate().unwrap()))
            .collect();
        // Eve is not enrolled.
        let officer = |(name, key): &(String, Ed25519KeyPair)| Officer {
            name: name.clone(),
            public: key.public_key().as_ref().try_into().unwrap(),
        };
        let officers = keys.iter().take(2).map(officer).collect();
        Self { keys, officers }
    }

    fn approval(&self, request: &Request, person: usize) -> Approval {
        let (name, key) = &self.keys[person];
        request.approve(name, key)
    }

    fn approved(&self, request: Request) -> Approved {
        let approvals = [self.approval(&request, 0), self.approval(&request, 1)];
        Approved::check(request, &approvals, &self.officers, NOW_MS).unwrap()
    }
}

fn vault(seed: u32, tenant: &Tenant) -> Vault<Model, Model> {
    let model = Model::default();
    let roots = Roots::new(&Dice::new(seed + 100));
    let vault = Vault::new(model.clone(), model, Box::new(roots), Box::new(Dice::new(seed)));
    assert!(now_or_never(vault.found(tenant)).unwrap());
    vault
}

fn request(deed: Deed, tenant: &Tenant, to: [u8; 32], digest: [u8; 32]) -> Request {
    Request { id: [7; 16], deed, tenant: tenant.clone(), to, digest, made_ms: 10, until_ms: NOW_MS }
}

fn sha256(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().unwrap()
}

struct World {
    people: People,
    from: Vault<Model, Model>,
    to: Vault<Model, Model>,
    ours: Tenant,
    theirs: Tenant,
    tokens: Vec<Token>,
}

impl World {
    fn new() -> Self {
        let (ours, theirs) = (tenant("ours"), tenant("theirs"));
        let (from, to) = (vault(1, &ours), vault(2, &theirs));
        let store = |number: &&str, keep| {
            let (pan, expiry) = card(number, 2030);
            now_or_never(from.store(5, &ours, &pan, &expiry, keep)).unwrap()
        };
        let tokens = NUMBERS.iter().zip([None, Some(77), None]).map(|(number, keep)| store(number, keep)).collect();
        Self { people: People::new(), from, to, ours, theirs, tokens }
    }

    fn export(&self) -> String {
        self.export_as(7)
    }

    fn export_as(&self, id: u8) -> String {
        let to = now_or_never(self.to.address(&self.theirs)).unwrap();
        let request = Request { id: [id; 16], ..request(Deed::Export, &self.ours, to, [0; 32]) };
        let approved = self.people.approved(request);
        let mut text = String::new();
        now_or_never(self.from.export(&approved, |line| text = format!("{text}{line}\n"))).unwrap();
        text
    }

    /// Lines that were taken, and whether the end came.
    fn import(&self, to: &Vault<Model, Model>, text: &str) -> Result<(u64, bool), TransferError> {
        let address = now_or_never(to.address(&self.theirs)).unwrap();
        let approved = self.people.approved(request(Deed::Import, &self.theirs, address, sha256(text)));
        let mut lines = text.lines();
        let mut import = now_or_never(to.import(&approved, sha256(text), lines.next().unwrap_or_default()))?;
        for line in lines {
            now_or_never(to.import_line(NOW_MS, &mut import, line))?;
        }
        Ok((import.cards(), import.ended()))
    }
}

#[test]
fn cards_keep_their_tokens_in_the_other_vault_and_the_file_shows_none() {
    let world = World::new();
    let text = world.export();
    assert!(NUMBERS.iter().all(|number| !text.contains(number)) && !wire::pan_like(text.lines().next().unwrap()));
    assert_eq!(world.import(&world.to, &text).unwrap(), (3, true));
    for (token, number) in world.tokens.iter().zip(NUMBERS) {
        let (pan, expiry) = now_or_never(world.to.open(NOW_MS, &world.theirs, token)).unwrap();
        assert!(pan.expose(|digits| digits == number.as_bytes()) && expiry.view().year == 2030);
    }
    let keep = now_or_never(crate::Store::page(world.to.records(), &world.theirs, None, 9)).unwrap();
    assert_eq!(keep.iter().filter(|record| record.keep_until_ms == Some(77)).count(), 1, "its end is kept");
    assert_eq!(world.import(&world.to, &text).unwrap(), (3, true), "again: what is here is passed over");
}

#[test]
fn a_line_left_out_changed_about_or_cut_off_is_seen() {
    let world = World::new();
    let text = world.export();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5);
    let spoilt = [
        vec![0, 2, 3, 4],
        vec![0, 2, 1, 3, 4],
        vec![0, 1, 1, 2, 3, 4],
        vec![0, 1, 2, 4],
        vec![0, 1, 2, 3, 4, 4],
        vec![1, 2, 3, 4],
    ];
    for order in spoilt {
        let text = order.iter().map(|place| lines[*place]).collect::<Vec<_>>().join("\n");
        assert!(matches!(world.import(&vault(3, &world.theirs), &text), Err(TransferError::Line(_))), "{order:?}");
        assert!(matches!(world.import(&world.to, &text), Err(TransferError::Line(_))), "{order:?}");
    }
    let cut = lines[..3].join("\n");
    assert_eq!(world.import(&world.to, &cut).unwrap(), (2, false), "the end has not come");
    let other = world.export_as(8);
    let mixed = [lines[0], other.lines().nth(1).unwrap()].join("\n");
    assert!(world.import(&world.to, &mixed).is_err(), "a line of another export");
}

#[test]
fn a_shredded_card_is_not_exported_and_a_token_that_is_taken_is_not_overwritten() {
    let world = World::new();
    let gone = &world.tokens[..1];
    now_or_never(world.from.shred(6, &world.ours, gone, Reason::Shredded)).unwrap();
    let text = world.export();
    assert_eq!(text.lines().count(), 4);
    let (pan, expiry) = card("5555555555554444", 2031);
    now_or_never(world.to.store_as(1, (&world.theirs, &world.tokens[2]), (&pan, &expiry), None)).unwrap();
    assert!(matches!(world.import(&world.to, &text), Err(TransferError::Taken(_))));
    let (pan, _) = now_or_never(world.to.open(1, &world.theirs, &world.tokens[2])).unwrap();
    assert!(pan.expose(|digits| digits == b"5555555555554444"));
}

#[test]
fn an_import_that_dies_anywhere_is_gone_on_with() {
    /// More operations than an import of three cards takes.
    const LIVES: u32 = 40;
    let (world, mut keys_of_nothing) = (World::new(), 0);
    let text = world.export();
    for life in 0..LIVES {
        let model = Model::default();
        let to =
            Vault::new(model.clone(), model.clone(), Box::new(Roots::new(&Dice::new(102))), Box::new(Dice::new(2)));
        // The keys of the vault that the export is sealed to.
        *model.tenant_keys.lock().unwrap() = world.to.records().tenant_keys.lock().unwrap().clone();
        let address = now_or_never(to.address(&world.theirs)).unwrap();
        let approved = world.people.approved(request(Deed::Import, &world.theirs, address, sha256(&text)));
        *model.life.lock().unwrap() = Some(life);
        let cut = now_or_never(async {
            let mut lines = text.lines();
            let mut import = to.import(&approved, sha256(&text), lines.next().unwrap()).await?;
            for line in lines {
                to.import_line(NOW_MS, &mut import, line).await?;
            }
            Ok::<_, TransferError>(())
        });
        assert!(cut.is_ok() || life + 1 < LIVES, "the longest life is long enough to finish: {cut:?}");
        *model.life.lock().unwrap() = None;
        let (keys, rows) = (model.record_keys.lock().unwrap().len(), model.rows.lock().unwrap().len());
        keys_of_nothing += keys - rows;
        assert_eq!(world.import(&to, &text).unwrap(), (3, true), "life {life}");
        for (token, number) in world.tokens.iter().zip(NUMBERS) {
            let (pan, _) = now_or_never(to.open(NOW_MS, &world.theirs, token)).unwrap();
            assert!(pan.expose(|digits| digits == number.as_bytes()), "life {life}");
        }
    }
    assert_eq!(keys_of_nothing, 3, "each card has died once between its key and its record");
    // Of another card, a key without a record is left alone.
    let (pan, expiry) = card("5555555555554444", 2031);
    now_or_never(world.to.store_as(1, (&world.theirs, &world.tokens[0]), (&pan, &expiry), None)).unwrap();
    world.to.records().rows.lock().unwrap().clear();
    assert!(matches!(world.import(&world.to, &text), Err(TransferError::Taken(_))));
}

#[test]
fn it_takes_two_people_with_keys_of_their_own() {
    let people = People::new();
    let request = || request(Deed::Export, &tenant("ours"), [1; 32], [0; 32]);
    let (amy, bob, eve) =
        (people.approval(&request(), 0), people.approval(&request(), 1), people.approval(&request(), 2));
    let check = |request: Request, approvals: &[&Approval], officers: &[Officer], now| {
        let approvals: Vec<_> = approvals.iter().map(|approval| (*approval).clone()).collect();
        Approved::check(request, &approvals, officers, now).map(drop)
    };
    let known = &people.officers;
    assert_eq!(check(request(), &[&amy, &bob], known, NOW_MS), Ok(()));
    assert_eq!(check(request(), &[], known, NOW_MS), Err(ApprovalError::TooFew));
    assert_eq!(check(request(), &[&amy], known, NOW_MS), Err(ApprovalError::TooFew));
    assert_eq!(check(request(), &[&amy, &amy], known, NOW_MS), Err(ApprovalError::TooFew));
    assert_eq!(check(request(), &[&amy, &eve], known, NOW_MS), Err(ApprovalError::Unknown("eve".to_owned())));
    let forged = Approval { officer: "bob".to_owned(), ..eve };
    assert_eq!(check(request(), &[&amy, &forged], known, NOW_MS), Err(ApprovalError::Signature("bob".to_owned())));
    assert_eq!(check(request(), &[&amy, &bob], known, NOW_MS + 1), Err(ApprovalError::Late));
    let one_key = [known[0].clone(), Officer { name: "bob".to_owned(), ..known[0].clone() }];
    let as_bob = Approval { officer: "bob".to_owned(), ..amy };
    assert_eq!(
        check(request(), &[&amy, &as_bob], &one_key, NOW_MS),
        Err(ApprovalError::TooFew),
        "one person, two names"
    );
    let long_ms = i64::from(HOURS_MAX) * 3_600_000 + 1;
    let changes: [fn(&mut Request); 6] = [
        |request| request.id = [8; 16],
        |request| request.deed = Deed::Import,
        |request| request.tenant = tenant("other"),
        |request| request.to = [2; 32],
        |request| request.digest = [1; 32],
        |request| request.made_ms += 1,
    ];
    for change in changes {
        let mut changed = request();
        change(&mut changed);
        assert_eq!(check(changed, &[&amy, &bob], known, NOW_MS), Err(ApprovalError::Signature("amy".to_owned())));
    }
    let long = Request { until_ms: request().made_ms + long_ms, ..request() };
    assert_eq!(check(long, &[&amy, &bob], known, NOW_MS), Err(ApprovalError::Late));
    let text = serde_json::to_string(&request()).unwrap();
    assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request());
}

#[test]
fn what_was_approved_is_done_and_nothing_else() {
    let world = World::new();
    let address = now_or_never(world.to.address(&world.theirs)).unwrap();
    let import = world.people.approved(request(Deed::Import, &world.ours, address, [0; 32]));
    let exported = now_or_never(world.from.export(&import, |_| panic!("a line is written")));
    assert!(matches!(exported, Err(TransferError::NotApproved(_))));
    let text = world.export();
    let approved = world.people.approved(request(Deed::Import, &world.theirs, address, sha256("another file")));
    let begun = now_or_never(world.to.import(&approved, sha256(&text), text.lines().next().unwrap()));
    assert!(matches!(begun, Err(TransferError::NotApproved(_))));
}
