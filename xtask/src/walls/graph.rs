//! Our crates held against the table: direct edges, and everything that can be reached over them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::table::{self, May};

/// A crate of ours.
pub(super) struct Member {
    /// Its name.
    pub(super) name: String,
    /// Where it stands, relative to the root.
    pub(super) folder: String,
    /// Which crates of ours its `Cargo.toml` declares, and in which way (`normal`, `dev`, `build`).
    pub(super) uses: Vec<(String, String)>,
}

/// Every breach in words: unknown crates, forbidden edges, forbidden reach.
pub(super) fn breaches(members: &[Member]) -> Vec<String> {
    let house = House::new(members);
    members
        .iter()
        .flat_map(|member| house.unknown(member).into_iter().chain(house.edges(member)).chain(house.reach(member)))
        .collect()
}

struct House<'a> {
    members: BTreeMap<&'a str, &'a Member>,
}

impl<'a> House<'a> {
    fn new(members: &'a [Member]) -> Self {
        Self { members: members.iter().map(|member| (member.name.as_str(), member)).collect() }
    }

    /// A crate of the office without a row may use `wire` only, so it needs none.
    fn is_plain_office(&self, name: &str) -> bool {
        table::row(name).is_none() && self.members.get(name).is_some_and(|member| in_folder(member, "office"))
    }

    fn unknown(&self, member: &Member) -> Option<String> {
        let known = table::row(&member.name).is_some() || self.is_plain_office(&member.name);
        (!known).then(|| {
            format!(
                "`{}` ({}) is not in the table of allowed edges: give it a row in xtask/src/walls/table.rs and in \
                 ARCHITECTURE.md, and its reason in the commit",
                member.name, member.folder
            )
        })
    }

    /// What a crate may use directly.
    fn allowed(&self, name: &str) -> BTreeSet<&'a str> {
        let all = self.members.keys().copied();
        match table::row(name) {
            Some(May::Use(list)) => all.filter(|other| list.contains(other)).collect(),
            Some(May::UseOffice) => all.filter(|other| *other == "wire" || self.is_plain_office(other)).collect(),
            Some(May::UseEverything) => all.filter(|other| !is_for_developers(other)).collect(),
            None => all.filter(|other| *other == "wire").collect(),
        }
    }

    fn edges(&self, member: &Member) -> Vec<String> {
        let allowed = self.allowed(&member.name);
        let forbidden = member.uses.iter().filter(|(used, _)| !allowed.contains(used.as_str()));
        let words = forbidden.map(|(used, kind)| {
            let may = if allowed.is_empty() { "nothing of ours".to_owned() } else { join(&allowed) };
            format!("`{}` uses `{used}` ({kind} dependency), but may use only: {may}", member.name)
        });
        words.collect()
    }

    /// What may be reached is all that the table leads to; the office never reaches the cde, nor the cde the office,
    /// whatever the table says.
    fn reach(&self, member: &Member) -> Vec<String> {
        let allowed = walk(&member.name, |name| self.allowed(name).into_iter().map(str::to_owned).collect());
        let reached = walk(&member.name, |name| self.used_by(name));
        let mut breaches = Vec::new();
        for (other, path) in &reached {
            let direct = path.len() <= 2;
            let over_the_door = self.is_over_the_door(member, other);
            if over_the_door || (!direct && !allowed.contains_key(other)) {
                let why =
                    if over_the_door { "it is on the other side of the door" } else { "the table does not lead there" };
                breaches.push(format!("`{}` reaches `{other}` ({}): {why}", member.name, path.join(" → ")));
            }
        }
        breaches
    }

    fn used_by(&self, name: &str) -> Vec<String> {
        self.members
            .get(name)
            .map(|member| member.uses.iter().map(|(used, _)| used.clone()).collect())
            .unwrap_or_default()
    }

    fn is_over_the_door(&self, member: &Member, other: &str) -> bool {
        let Some(other) = self.members.get(other) else { return false };
        let (cde, office) = ("cde", "office");
        (in_folder(member, office) && in_folder(other, cde)) || (in_folder(member, cde) && in_folder(other, office))
    }
}

fn in_folder(member: &Member, folder: &str) -> bool {
    member.folder.split('/').next() == Some(folder)
}

fn is_for_developers(name: &str) -> bool {
    name == "xtask" || matches!(table::row(name), Some(May::UseEverything))
}

fn join(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

/// Everything reachable from a crate, each with a shortest path to it.
fn walk(start: &str, next: impl Fn(&str) -> Vec<String>) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut queue = VecDeque::from([vec![start.to_owned()]]);
    while let Some(path) = queue.pop_front() {
        for name in path.last().map(|last| next(last)).unwrap_or_default() {
            if name != start && !found.contains_key(&name) {
                let mut longer = path.clone();
                longer.push(name.clone());
                found.insert(name, longer.clone());
                queue.push_back(longer);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cde/card: memory wire, dev sip` and so on.
    fn house(lines: &[&str]) -> Vec<Member> {
        let member = |line: &&str| {
            let (folder, uses) = line.split_once(':').unwrap();
            let uses = uses.split_whitespace().map(|used| match used.split_once('/') {
                Some((kind, name)) => (name.to_owned(), kind.to_owned()),
                None => (used.to_owned(), "normal".to_owned()),
            });
            let name = folder.rsplit('/').next().unwrap().to_owned();
            Member { name, folder: folder.to_owned(), uses: uses.collect() }
        };
        lines.iter().map(member).collect()
    }

    const GOOD: [&str; 8] = [
        "wire:",
        "cde/memory:",
        "cde/card: memory wire",
        "cde/media: card",
        "cde/node: media card memory wire",
        "office/console: wire",
        "tonewall: node console wire",
        "sim: media card",
    ];

    fn breaches_with(more: &[&str]) -> Vec<String> {
        let replaced = |line: &&&str| !more.iter().any(|m| m.split(':').next() == line.split(':').next());
        let lines: Vec<&str> = GOOD.iter().filter(replaced).chain(more).copied().collect();
        breaches(&house(&lines))
    }

    #[test]
    fn the_house_as_drawn_has_no_breach() {
        assert_eq!(breaches_with(&[]), Vec::<String>::new());
    }

    #[test]
    fn a_bad_direct_edge_is_named_whatever_its_kind() {
        for kind in ["normal", "dev", "build"] {
            let found = breaches_with(&[&format!("cde/media: card {kind}/wire")]);
            assert_eq!(found, [format!("`media` uses `wire` ({kind} dependency), but may use only: card")]);
        }
    }

    #[test]
    fn the_office_reaching_a_card_through_another_crate_is_named_with_its_path() {
        let found = breaches_with(&["office/console: wire documents", "office/documents: wire dev/card"]);
        assert!(found.iter().any(|f| f.starts_with("`documents` uses `card` (dev dependency)")), "{found:?}");
        assert!(
            found.iter().any(|f| f.starts_with("`console` reaches `card` (console → documents → card)")),
            "{found:?}"
        );
        assert!(found.iter().any(|f| f.starts_with("`console` reaches `memory`")), "{found:?}");
    }

    #[test]
    fn a_crate_of_the_office_that_uses_only_wire_needs_no_row() {
        assert!(breaches_with(&["office/console: wire documents", "office/documents: wire"]).is_empty());
    }

    #[test]
    fn the_cde_never_reaches_the_office() {
        let found = breaches_with(&["cde/node: media card memory wire console"]);
        assert!(found.iter().any(|f| f.contains("`node` reaches `console`") && f.contains("door")), "{found:?}");
    }

    #[test]
    fn an_unknown_crate_is_told_how_to_come_in() {
        let found = breaches_with(&["helper: wire"]);
        assert!(found.len() == 1 && found[0].contains("`helper` (helper) is not in the table"), "{found:?}");
        assert!(found[0].contains("xtask/src/walls/table.rs"));
    }

    #[test]
    fn nothing_uses_what_is_for_developers() {
        assert!(!breaches_with(&["tonewall: node console wire sim"]).is_empty());
        assert!(!breaches_with(&["sim: media card xtask", "xtask: wire"]).is_empty());
    }
}
