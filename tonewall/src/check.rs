//! `tonewall check`: reads both files and says what is wrong, and what is right but weak.

mod call;
mod unused;

pub(crate) use call::Arguments;

use crate::{print, tell};
use node::Local;
use node::config::{Nat, RecorderHook, Route, Srtp, Trunk, TrunkTransport};
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn run(folder: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let read = read(folder)?;
    // What cannot be read cannot run either.
    if read != ExitCode::SUCCESS {
        return Ok(read);
    }
    call::run(folder, arguments).unwrap_or(Ok(read))
}

fn read(folder: &Path) -> anyhow::Result<ExitCode> {
    if !folder.is_dir() {
        anyhow::bail!("{}: there is no such folder", folder.display());
    }
    let cde = node::Config::load(&folder.join("cde.toml"));
    let office = console::Config::load(folder);
    for problem in [cde.as_ref().err().map(ToString::to_string), office.as_ref().err().map(ToString::to_string)] {
        problem.iter().for_each(|problem| tell(&format!("error: {problem}")));
    }
    let (Ok(cde), Ok(office)) = (cde, office) else { return Ok(ExitCode::FAILURE) };
    let files = node::check(&cde, folder).err().map(|problem| format!("cde.toml: {problem}"));
    if let Some(problem) = files.or_else(|| together(folder, &cde, &office)) {
        tell(&format!("error: {problem}"));
        return Ok(ExitCode::FAILURE);
    }
    let gateways = match node::check_gateways(&cde, folder) {
        Ok(warnings) => warnings,
        Err(problem) => {
            tell(&format!("error: cde.toml: {problem}"));
            return Ok(ExitCode::FAILURE);
        }
    };
    let office_keys = node::check_credentials(&cde, &node::Places::new(&cde, folder).data);
    let vault = node::custody::Custody::of(&cde, folder).map(|custody| custody.said());
    let recorders = match recorders(&office) {
        Ok(warnings) => warnings,
        Err(problem) => {
            tell(&format!("error: office.toml: {problem}"));
            return Ok(ExitCode::FAILURE);
        }
    };
    for warning in missing(folder)
        .into_iter()
        .chain(restored(&office))
        .chain(warnings(&cde))
        .chain(hooks(&cde, &office))
        .chain(recorders)
        .chain(gateways)
        .chain(office_keys)
        .chain(vault)
    {
        print(&format!("warning: {warning}"));
    }
    print(&format!("SIP is listened to at {}", listeners(&cde)));
    print(&format!("{}: the configuration is usable", folder.display()));
    Ok(ExitCode::SUCCESS)
}

/// What stops an office that was restored from a backup. A database that cannot be read here is the office's to complain of.
fn restored(office: &console::Config) -> Vec<String> {
    let missing = crate::runtime().ok().and_then(|runtime| runtime.block_on(console::missing_unaccepted(office)).ok());
    let said = |records| {
        let records = crate::restored::said(&records);
        format!(
            "office.db was restored from a backup and the office has stopped: {records}; `tonewall restored` has the way out"
        )
    };
    missing.unwrap_or_default().into_iter().map(said).collect()
}

/// Why the two files, each good alone, cannot work together. Without merchants nothing is paid, which is a choice.
pub(crate) fn together(folder: &Path, cde: &node::Config, office: &console::Config) -> Option<String> {
    let (merchants, wanted) = (cde.merchants(), office.merchant.as_str());
    if merchants.is_empty() || merchants.contains_key(wanted) || !folder.join("cde.toml").exists() {
        return None;
    }
    let text = std::fs::read_to_string(folder.join("office.toml")).ok()?;
    let written = text.lines().position(|line| line.trim_start().starts_with("merchant"));
    let place = written.map_or("default".to_owned(), |line| format!("line {}", line + 1));
    let known = merchants.keys().copied().collect::<Vec<_>>().join(", ");
    Some(format!(
        "office.toml, {place}: merchant = \"{wanted}\", but cde.toml has no such [[merchant]] (it has {known})"
    ))
}

/// Where, each with its transport.
fn listeners(cde: &node::Config) -> String {
    let one = |listener: Local| format!("{} {}", listener.transport.name().to_ascii_lowercase(), listener.address);
    cde.sip.listeners().map(one).collect::<Vec<_>>().join(", ")
}

fn missing(folder: &Path) -> Vec<String> {
    let missing = ["cde.toml", "office.toml"].into_iter().filter(|name| !folder.join(name).exists());
    missing.map(|name| format!("there is no {name}: every key has its default")).collect()
}

fn warnings(cde: &node::Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let is_far = |trunk: &&Trunk| trunk.host.is_some() || trunk.address.iter().any(|place| !place.ip.is_loopback());
    warnings.extend(cde.trunk.iter().filter(is_far).flat_map(open_to_readers));
    warnings.extend(cde.trunk.iter().filter_map(unwatched));
    warnings.extend(pages(cde));
    warnings.extend(cde.trunk.iter().flat_map(on_demand));
    warnings.extend(cde.route.iter().flat_map(|route| bounced(cde, route)));
    if cde.route.is_empty() && !cde.trunk.iter().any(|trunk| trunk.on_demand.is_some()) {
        warnings.push("there is no [[route]]: every call is refused with 404".to_owned());
    }
    if cde.merchant.is_empty() {
        warnings.push("there is no [[merchant]]: no payment can be taken".to_owned());
    }
    warnings.extend(unused::warnings(cde));
    warnings
}

/// What is open or of no use where web pages come.
fn pages(cde: &node::Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let is_open = |address: &&std::net::SocketAddr| !address.ip().is_loopback();
    if let Some(address) = cde.sip.listen_ws.iter().find(is_open) {
        warnings.push(format!(
            "listen_ws = \"{address}\" is not encrypted: who reads it knows who calls whom, and a page of https may not use \
             it; use listen_wss, or listen at this machine behind a proxy that ends TLS"
        ));
    }
    if cde.sip.ws_origins.is_empty() && cde.sip.listeners().any(|local| matches!(local.transport.name(), "WS" | "WSS"))
    {
        warnings.push("there is no ws_origins: every web page may try names and passwords of your phones".to_owned());
    }
    let has_phone = |trunk: &&Trunk| cde.phone.iter().any(|phone| phone.trunk == trunk.name);
    let empty = cde.trunk.iter().filter(|trunk| trunk.transport.is_web() && !has_phone(trunk));
    warnings.extend(empty.map(|trunk| format!("trunk {}: there is no [[phone]] that could sign in to it", trunk.name)));
    warnings
}

/// A trunk that nobody asks whether it is there is found dead by a caller.
fn unwatched(trunk: &Trunk) -> Option<String> {
    // A page is there while its connection is.
    let is_asked = trunk.keepalive_s.is_some() || trunk.register || trunk.transport.is_web();
    let what = if trunk.address.len() > 1 { "each call tries its places in turn" } else { "calls to it fail" };
    (!is_asked).then(|| {
        format!(
            "trunk {}: nothing tells that it is down but a call that it does not answer, and until then {what}; set \
             keepalive_s = 30",
            trunk.name
        )
    })
}

/// What others on the way to a trunk can read.
fn open_to_readers(trunk: &Trunk) -> Vec<String> {
    let name = &trunk.name;
    let mut warnings = Vec::new();
    if trunk.transport.is_web() {
        return Vec::new();
    }
    let is_plain = trunk.transport != TrunkTransport::Tls;
    if is_plain {
        warnings
            .push(format!("trunk {name} speaks plain SIP: who calls whom can be read; keep it on a trusted network"));
    }
    match trunk.srtp {
        Srtp::Off => warnings.push(format!(
            "trunk {name}: sound is plain RTP, which is not encrypted; set srtp, or keep it on a trusted network"
        )),
        Srtp::Preferred => warnings.push(format!(
            "trunk {name}: srtp = \"preferred\": who can change its SIP messages can have plain sound; \"required\" refuses that"
        )),
        Srtp::Required => {}
    }
    if trunk.nat == Nat::Learn && trunk.srtp != Srtp::Required {
        warnings.push(format!(
            "trunk {name}: nat = \"learn\": whoever shares its public address can take its place before its first packet; srtp = \"required\" \
             refuses that"
        ));
    }
    if is_plain && trunk.srtp != Srtp::Off {
        warnings.push(format!(
            "trunk {name}: the keys of srtp stand in its SIP messages, which are not encrypted: who reads them can hear the \
             sound; use transport = \"tls\""
        ));
    }
    warnings
}

/// What the line secured on demand leaves in scope, and on whose word an agent is called back.
fn on_demand(trunk: &Trunk) -> Vec<String> {
    let Some(on_demand) = &trunk.on_demand else { return Vec::new() };
    let name = &trunk.name;
    let mut warnings = Vec::new();
    if on_demand.keys_cross_pbx {
        warnings.push(format!(
            "trunk {name}: callers are transferred by this PBX, so the keys that they press pass through it, its recorder and \
             its network, which stay in scope; transfer at the carrier or the SBC and set on_demand.keys_cross_pbx = false, or \
             have the calls inline"
        ));
    }
    if !trunk.require_digest && trunk.transport != TrunkTransport::Tls {
        warnings.push(format!(
            "trunk {name}: on_demand, and it is known by its address alone: whoever can send from there can use transfer \
             codes; use transport = \"tls\" with client_ca, or require_digest"
        ));
    }
    warnings.extend(conference(trunk));
    if on_demand.internal_callers {
        warnings
            .push(format!("trunk {name}: on_demand.internal_callers: an agent can play the caller; for trials only"));
    }
    warnings
}

/// In a conference nothing is masked, and who keys in it nobody can say.
fn conference(trunk: &Trunk) -> Vec<String> {
    let Some(on_demand) = trunk.on_demand.as_ref().filter(|on_demand| on_demand.conference) else { return Vec::new() };
    let name = &trunk.name;
    let mut warnings = vec![format!(
        "trunk {name}: on_demand.conference: the agent can hear the keys: in a conference nothing is masked, and the agents, their \
         phones and network, and whatever records the conference stay in scope; an agent can also key instead of the caller. It is \
         the weakest way in: have the callers transferred instead"
    )];
    if on_demand.conference_code {
        warnings.push(format!(
            "trunk {name}: on_demand.conference_code: security codes are heard in conferences too, and a recording of one may not be \
             kept after the payment (PCI DSS requirement 3.3.1)"
        ));
    }
    warnings
}

/// Whether the recorders' secrets are there.
fn recorders(office: &console::Config) -> Result<Vec<String>, String> {
    crate::crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("recorders: {error}"))?;
    runtime.block_on(console::check_recorders(office))
}

/// What recorders that are asked to pause leave in scope, and where nobody is asked.
fn hooks(cde: &node::Config, office: &console::Config) -> Vec<String> {
    let of_route = |route: &Route| (format!("route from {}", route.from), route.recorder_hook);
    let of_trunk = |trunk: &Trunk| {
        let hook = trunk.on_demand.as_ref().map(|on_demand| on_demand.recorder_hook);
        (format!("trunk {}: on_demand", trunk.name), hook.unwrap_or_default())
    };
    let all: Vec<_> = cde.route.iter().map(of_route).chain(cde.trunk.iter().map(of_trunk)).collect();
    let mut warnings = Vec::new();
    for (place, hook) in all.iter().filter(|(_, hook)| *hook != RecorderHook::Off) {
        warnings.push(format!(
            "{place} has a recorder_hook, which is the weak way: that a recorder has paused is its own word, and what lies between the \
             caller and Tonewall has the keys all the same; it takes recordings out of scope at most"
        ));
        if *hook == RecorderHook::BestEffort {
            warnings.push(format!(
                "{place}: recorder_hook = \"best_effort\": a payment goes on where a recorder has not paused; \"required\" waits for it"
            ));
        }
        if office.recorder.is_empty() {
            let what =
                if *hook == RecorderHook::Required { "no payment can be taken there" } else { "nobody is asked" };
            warnings.push(format!("{place} has a recorder_hook, and office.toml has no [[recorder]]: {what}"));
        }
    }
    if !office.recorder.is_empty() && all.iter().all(|(_, hook)| *hook == RecorderHook::Off) {
        warnings.push(
            "office.toml has a [[recorder]], and nothing in cde.toml has a recorder_hook: it is never asked".to_owned(),
        );
    }
    warnings
}

/// What callers who pay alone leave in scope, and on whose word what is paid.
fn bounced(cde: &node::Config, route: &Route) -> Vec<String> {
    let Some(bounce) = &route.bounce else { return Vec::new() };
    let from = &route.from;
    let mut warnings = Vec::new();
    if bounce.keys_cross_pbx {
        warnings.push(format!(
            "route from {from} with bounce: where this PBX transfers, the keys that the callers press pass through it, its recorder \
             and its network, which stay in scope; transfer at the carrier or the SBC and set bounce.keys_cross_pbx = false"
        ));
    }
    let Some(trunk) = cde.trunk.iter().find(|trunk| trunk.name == *from) else { return warnings };
    if !trunk.require_digest
        && trunk.transport != TrunkTransport::Tls
        && bounce.orders == node::config::BounceOrders::Any
    {
        warnings.push(format!(
            "route from {from} with bounce, and that trunk is known by its address alone: whoever can send from there says how much \
             is to be paid; use transport = \"tls\" with client_ca, or require_digest, or order by the API (bounce.orders = \"api\")"
        ));
    }
    if trunk.on_demand.is_none() {
        warnings.push(format!(
            "route from {from} with bounce, and that trunk has no on_demand.extensions: nothing tells an agent who plays the caller from \
             a caller"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_keys_cross_the_pbx_it_is_said() {
        let said = |more: &str| {
            let text = format!(
                "[[trunk]]\nname = \"pbx\"\naddress = \"127.0.0.1\"\non_demand = {{ extensions = [\"10xx\"]{more} }}\n"
            );
            warnings(&node::Config::parse(&text, Path::new("cde.toml")).unwrap()).join("\n")
        };
        let plain = said("");
        assert!(plain.contains("pass through it, its recorder") && plain.contains("by its address alone"), "{plain}");
        assert!(!plain.contains("no [[route]]"), "it is a way in: {plain}");
        assert!(!said(", keys_cross_pbx = false").contains("recorder"));
        assert!(said(", internal_callers = true").contains("play the caller"));
        assert!(!plain.contains("can hear the keys"));
        let heard = said(", conference = true");
        assert!(heard.contains("the agent can hear the keys") && !heard.contains("security codes"), "{heard}");
        assert!(said(", conference = true, conference_code = true").contains("security codes are heard"));
    }

    #[test]
    fn recorders_that_are_asked_to_pause_are_called_the_weak_way() {
        let said = |hook: &str, recorder: &str| {
            let text = format!(
                "[[trunk]]\nname = \"pbx\"\naddress = \"127.0.0.1\"\n[[route]]\nfrom = \"pbx\"\nto = \"pbx\"\n{hook}\n"
            );
            let cde = node::Config::parse(&text, Path::new("cde.toml")).unwrap();
            hooks(&cde, &console::Config::parse(recorder).unwrap()).join("\n")
        };
        let recorder = "[[recorder]]\nname = \"r\"\nurl = \"https://r.example/\"\n";
        assert_eq!(said("", ""), "");
        let required = said("recorder_hook = \"required\"", "");
        assert!(required.contains("the weak way") && required.contains("no payment can be taken"), "{required}");
        let effort = said("recorder_hook = \"best_effort\"", recorder);
        assert!(effort.contains("a payment goes on") && !effort.contains("has no [[recorder]]"), "{effort}");
        assert!(said("", recorder).contains("never asked"));
    }

    #[test]
    fn where_callers_are_sent_to_pay_alone_by_a_pbx_it_is_said() {
        let said = |more: &str| {
            let text = format!(
                "[[trunk]]\nname = \"pbx\"\naddress = \"127.0.0.1\"\n[[gateway]]\nname = \"g\"\nadapter = \"sandbox\"\n\
                 url = \"http://127.0.0.1:9\"\n[[merchant]]\nid = \"main\"\ngateway = \"g\"\n[[route]]\nfrom = \"pbx\"\nto = \"pbx\"\n\
                 prefix = \"7900\"\nextension = \"8100\"\nbounce = {{ merchant = \"main\", currency = \"GBP\", minor_max = 50000{more} }}\n"
            );
            warnings(&node::Config::parse(&text, Path::new("cde.toml")).unwrap()).join("\n")
        };
        let crosses = "pass through it, its recorder";
        assert!(said("").contains(crosses), "{}", said(""));
        let other = said(", keys_cross_pbx = false");
        assert!(!other.contains(crosses), "{other}");
        assert!(other.contains("with bounce, and that trunk is known by its address alone"), "{other}");
        assert!(other.contains("no on_demand.extensions"), "{other}");
        assert!(!said(", orders = \"api\"").contains("says how much"), "the API says it, and no INVITE");
    }

    fn of(srtp: Srtp, transport: TrunkTransport) -> String {
        let text = "[[trunk]]\nname = \"a\"\naddress = \"192.0.2.1\"\n";
        let mut config = node::Config::parse(text, Path::new("cde.toml")).unwrap();
        for trunk in &mut config.trunk {
            (trunk.srtp, trunk.transport, trunk.keepalive_s) = (srtp, transport, Some(30));
        }
        warnings(&config).join("\n")
    }

    #[test]
    fn what_is_open_or_of_no_use_where_pages_come_is_named() {
        let warned = |sip: &str, phone: &str| {
            let trunk = "[[trunk]]\nname = \"desks\"\ntransport = \"ws\"\n";
            warnings(&node::Config::parse(&format!("[sip]\n{sip}\n{trunk}{phone}"), Path::new("x")).unwrap()).join("\n")
        };
        let phone = "[[phone]]\nname = \"1001\"\ntrunk = \"desks\"\npassword = \"p\"\n";
        let good = "listen_ws = \"127.0.0.1:8088\"\nws_origins = [\"https://a.example\"]";
        let said = warned(good, phone);
        assert!(!said.contains("desks") && !said.contains("listen_ws") && !said.contains("ws_origins"), "{said}");
        assert!(warned(good, "").contains("trunk desks: there is no [[phone]]"));
        let open = warned("listen_ws = \"192.0.2.10:8088\"", phone);
        assert!(open.contains("is not encrypted") && open.contains("there is no ws_origins"), "{open}");
    }

    #[test]
    fn a_trunk_that_nobody_watches_is_named() {
        let warned = |rest: &str| {
            let text = format!("[[trunk]]\nname = \"a\"\naddress = \"192.0.2.1\"\n{rest}");
            let config = node::Config::parse(&text, Path::new("cde.toml")).unwrap();
            config.trunk.iter().filter_map(unwatched).count()
        };
        assert_eq!(warned(""), 1);
        assert_eq!(warned("keepalive_s = 30\n"), 0);
        assert_eq!(warned("username = \"a\"\npassword = \"b\"\nregister = true\n"), 0);
    }

    #[test]
    fn a_peer_that_is_learned_from_plain_packets_is_warned_of() {
        let said = |rest: &str| {
            let text = format!("[[trunk]]\nname = \"a\"\naddress = \"192.0.2.1\"\n{rest}");
            warnings(&node::Config::parse(&text, Path::new("cde.toml")).unwrap()).join("\n")
        };
        let warning = "shares its public address";
        assert!(said("nat = \"learn\"\n").contains(warning));
        assert!(said("nat = \"learn\"\nsrtp = \"preferred\"\n").contains(warning));
        assert!(!said("nat = \"learn\"\nsrtp = \"required\"\n").contains(warning) && !said("").contains(warning));
    }

    #[test]
    fn keys_of_srtp_in_plain_sip_are_warned_of() {
        let keys = "the keys of srtp";
        for srtp in [Srtp::Required, Srtp::Preferred] {
            for transport in [TrunkTransport::Udp, TrunkTransport::Tcp] {
                assert!(of(srtp, transport).contains(keys), "{srtp:?} {transport:?}");
            }
            assert!(!of(srtp, TrunkTransport::Tls).contains(keys), "{srtp:?}");
        }
        let plain = of(Srtp::Off, TrunkTransport::Udp);
        assert!(!plain.contains(keys) && plain.contains("plain RTP"), "{plain}");
        let protected = of(Srtp::Required, TrunkTransport::Tls);
        assert!(!protected.contains("trunk a"), "{protected}");
    }
}
