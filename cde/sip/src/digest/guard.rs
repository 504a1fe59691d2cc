//! Asking others who they are (RFC 7616 §3.3 to §3.5).

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use aws_lc_rs::{constant_time, hmac};

use super::{Algorithm, Credentials, Fields, Proof, hex};
use crate::message::{Method, Name, Request, Uri, writer::Writer};

/// The name of what is protected.
const REALM: &str = "tonewall";
/// A nonce is taken for so long.
const LIFETIME: Duration = Duration::from_secs(300);
/// The most nonces whose count is kept.
const NONCES_MAX: usize = 4096;
/// So many wrong passwords of one address in [`FAILURES_WINDOW`], and nothing of it is looked at any more.
const FAILURES_MAX: u8 = 10;
const FAILURES_WINDOW: Duration = Duration::from_secs(60);
/// The most addresses whose failures are counted.
const SOURCES_MAX: usize = 1024;
/// Time and chance, then their seal, in hexadecimal.
const NONCE_TEXT: usize = 32;

/// What a request shows of its sender.
pub(crate) struct Shown {
    pub(crate) authorizations: Vec<Vec<u8>>,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
}

impl Shown {
    pub(crate) fn of(request: &Request) -> Self {
        Self {
            authorizations: request.headers.all(Name::Authorization).map(<[u8]>::to_vec).collect(),
            method: request.method.clone(),
            uri: request.uri.clone(),
        }
    }
}

/// What is thought of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgment {
    Known,
    /// It shows nothing, or what does not fit: it is asked.
    Unknown,
    /// It knows the password, but the nonce is too old.
    Stale,
    /// It was wrong too often.
    Barred,
}

/// Who asks. Nothing is kept of those who show nothing.
pub(crate) struct Guard {
    key: hmac::Key,
    start: Option<Instant>,
    /// The last count of each nonce that was ever right, by the time and chance in it.
    counts: BTreeMap<String, u32>,
    /// Nonces up to here are not taken: the counts of some are forgotten.
    floor: String,
    failures: BTreeMap<IpAddr, (Instant, u8)>,
}

impl Guard {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self { key, start: None, counts: BTreeMap::new(), floor: String::new(), failures: BTreeMap::new() }
    }

    /// The header lines of a 401: the better algorithm first (RFC 8760 §2.4).
    pub(crate) fn challenge(
        &mut self,
        now: Instant,
        credentials: &Credentials,
        chance: u64,
        is_stale: bool,
    ) -> Vec<u8> {
        let text = format!("{:016x}{chance:016x}", self.millis(now));
        let nonce = format!("{text}{}", self.seal(&text));
        let stale = if is_stale { ", stale=true" } else { "" };
        let mut writer = Writer::fragment();
        for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
            if credentials.takes(algorithm) {
                let name = algorithm.name();
                let value =
                    format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", qop=\"auth\", algorithm={name}{stale}");
                writer.header("WWW-Authenticate", value.as_bytes());
            }
        }
        writer.into_bytes()
    }

    pub(crate) fn judge(&mut self, now: Instant, from: IpAddr, credentials: &Credentials, shown: &Shown) -> Judgment {
        if self.is_barred(now, from) {
            return Judgment::Barred;
        }
        let ours = |value: &&Vec<u8>| {
            Fields::parse(value).is_some_and(|fields| fields.find("realm") == Some(REALM.as_bytes()))
        };
        let Some(value) = shown.authorizations.iter().find(ours) else { return Judgment::Unknown };
        let Some(fields) = Fields::parse(value) else { return Judgment::Unknown };
        let judgment = self.check(now, credentials, shown, &fields);
        // Who has no nonce of ours has not heard us at this address, and may be somebody else who writes it as theirs: that
        // must not bar whose it is.
        if judgment == Judgment::Unknown && self.text_of(now, fields.find("nonce").unwrap_or_default()).is_some() {
            self.failed(now, from);
        }
        judgment
    }

    fn check(&mut self, now: Instant, credentials: &Credentials, shown: &Shown, fields: &Fields<'_>) -> Judgment {
        let Some((algorithm, proof)) = proof(credentials, shown, fields) else { return Judgment::Unknown };
        let secret = credentials.secret_hash(algorithm, REALM.as_bytes());
        let response = algorithm.response(&secret, &proof);
        let given = fields.find("response").unwrap_or_default();
        let is_right = constant_time::verify_slices_are_equal(response.as_bytes(), given).is_ok();
        let is_user =
            constant_time::verify_slices_are_equal(&credentials.username, fields.find("username").unwrap_or_default());
        if !is_right || is_user.is_err() {
            return Judgment::Unknown;
        }
        let count = proof.counted.map(|(count, _)| count).and_then(count_of);
        let text = self.text_of(now, proof.nonce);
        let is_taken = text.zip(count).is_some_and(|(text, count)| self.take_count(text, count));
        if is_taken { Judgment::Known } else { Judgment::Stale }
    }

    /// Time and chance of a nonce of ours that is not too old.
    fn text_of(&mut self, now: Instant, nonce: &[u8]) -> Option<String> {
        let (text, seal) = std::str::from_utf8(nonce).ok()?.split_at_checked(NONCE_TEXT)?;
        constant_time::verify_slices_are_equal(self.seal(text).as_bytes(), seal.as_bytes()).ok()?;
        let made = u64::from_str_radix(text.get(..16)?, 16).ok()?;
        let is_fresh = Duration::from_millis(self.millis(now).saturating_sub(made)) < LIFETIME;
        (is_fresh && text > self.floor.as_str()).then(|| text.to_owned())
    }

    /// Each count is taken once, and only upwards: what was overheard cannot be used again.
    fn take_count(&mut self, text: String, count: u32) -> bool {
        if self.counts.get(&text).is_some_and(|last| count <= *last) || count == 0 {
            return false;
        }
        self.counts.insert(text, count);
        if self.counts.len() > NONCES_MAX
            && let Some((oldest, _)) = self.counts.pop_first()
        {
            self.floor = oldest;
        }
        true
    }

    fn seal(&self, text: &str) -> String {
        hex(hmac::sign(&self.key, text.as_bytes()).as_ref())
    }

    fn millis(&mut self, now: Instant) -> u64 {
        let start = *self.start.get_or_insert(now);
        u64::try_from(now.saturating_duration_since(start).as_millis()).unwrap_or(u64::MAX)
    }

    fn is_barred(&mut self, now: Instant, from: IpAddr) -> bool {
        self.failures.retain(|_, (since, _)| now.saturating_duration_since(*since) < FAILURES_WINDOW);
        self.failures.get(&from).is_some_and(|(_, failures)| *failures >= FAILURES_MAX)
    }

    fn failed(&mut self, now: Instant, from: IpAddr) {
        if self.failures.len() >= SOURCES_MAX && !self.failures.contains_key(&from) {
            let oldest = self.failures.iter().min_by_key(|(_, (since, _))| *since).map(|(from, _)| *from);
            oldest.map(|oldest| self.failures.remove(&oldest));
        }
        let (_, failures) = self.failures.entry(from).or_insert((now, 0));
        *failures = failures.saturating_add(1);
    }
}

/// What the response should prove; none where the fields do not fit what we asked for, or what is requested.
fn proof<'a>(credentials: &Credentials, shown: &'a Shown, fields: &Fields<'a>) -> Option<(Algorithm, Proof<'a>)> {
    let algorithm = Algorithm::of(fields.find("algorithm"))?;
    let is_offered = credentials.takes(algorithm);
    let uri = fields.find("uri")?;
    // A proxy may have changed the host on the way; nothing may change the number that is called.
    let meant: Uri = std::str::from_utf8(uri).ok()?.parse().ok()?;
    if !is_offered || fields.find("qop") != Some(b"auth") || meant.user() != shown.uri.user() {
        return None;
    }
    let counted = Some((fields.find("nc")?, fields.find("cnonce")?));
    let (method, nonce) = (shown.method.as_str().as_bytes(), fields.find("nonce")?);
    Some((algorithm, Proof { method, uri, nonce, counted }))
}

fn count_of(text: &[u8]) -> Option<u32> {
    let is_count = text.len() == 8 && text.iter().all(u8::is_ascii_hexdigit);
    u32::from_str_radix(std::str::from_utf8(text).ok().filter(|_| is_count)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Login, Tries};
    use crate::message::Headers;
    use std::sync::Arc;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    struct Door {
        guard: Guard,
        now: Instant,
        credentials: Arc<Credentials>,
        login: Login,
    }

    fn credentials(password: &str, takes_md5: bool) -> Arc<Credentials> {
        Arc::new(Credentials::new("pbx".to_owned(), password.to_owned(), takes_md5))
    }

    impl Door {
        #[expect(clippy::disallowed_methods, reason = "any moment will do as the start of virtual time")]
        fn new(ours: Arc<Credentials>, theirs: Arc<Credentials>) -> Self {
            let mut door =
                Self { guard: Guard::new(&[1; 32]), now: Instant::now(), credentials: ours, login: Login::new(theirs) };
            door.ask(false);
            door
        }

        fn ask(&mut self, is_stale: bool) -> bool {
            let text = self.guard.challenge(self.now, &self.credentials, 7, is_stale);
            let mut headers = Headers::default();
            for line in String::from_utf8(text).unwrap().lines() {
                let (label, value) = line.split_once(": ").unwrap();
                headers.push(label.as_bytes(), value.as_bytes());
            }
            self.login.challenged(401, &headers, &mut Tries::default())
        }

        fn show(&mut self, called: &str) -> Shown {
            let uri: Uri = format!("sip:{called}@192.0.2.9").parse().unwrap();
            let lines = String::from_utf8(self.login.lines(&Method::Invite, uri.as_str(), "c")).unwrap();
            let value = lines.trim_end().strip_prefix("Authorization: ").unwrap_or_default();
            Shown { authorizations: vec![value.as_bytes().to_vec()], method: Method::Invite, uri }
        }

        fn judge(&mut self, shown: &Shown) -> Judgment {
            self.guard.judge(self.now, HOME, &self.credentials, shown)
        }
    }

    fn known() -> Door {
        Door::new(credentials("secret", false), credentials("secret", false))
    }

    #[test]
    fn each_count_is_taken_once_and_only_upwards() {
        let mut door = known();
        let [first, second, third] = [door.show("44"), door.show("44"), door.show("44")];
        assert_eq!(door.judge(&first), Judgment::Known);
        assert_eq!(door.judge(&first), Judgment::Stale, "overheard and said again");
        assert_eq!(door.judge(&third), Judgment::Known);
        assert_eq!(door.judge(&second), Judgment::Stale);
    }

    #[test]
    fn a_nonce_grows_old_and_another_one_is_taken() {
        let mut door = known();
        door.now += LIFETIME;
        let shown = door.show("44");
        assert_eq!(door.judge(&shown), Judgment::Stale);
        assert!(door.ask(true));
        let shown = door.show("44");
        assert_eq!(door.judge(&shown), Judgment::Known);
    }

    #[test]
    fn what_does_not_fit_is_not_known() {
        let mut door = known();
        let good = door.show("44");
        for (from, to) in [
            ("nonce=\"0", "nonce=\"1"),
            ("qop=auth", "qop=auth-int"),
            ("username=\"pbx\"", "username=\"pbX\""),
            ("nc=00000001", "nc=1"),
            ("algorithm=SHA-256", "algorithm=SHA-512-256"),
            ("sip:44@", "sip:45@"),
        ] {
            let text = String::from_utf8(good.authorizations[0].clone()).unwrap().replace(from, to);
            assert!(text != String::from_utf8_lossy(&good.authorizations[0]), "{from}");
            let changed =
                Shown { authorizations: vec![text.into_bytes()], method: Method::Invite, uri: good.uri.clone() };
            assert_ne!(door.judge(&changed), Judgment::Known, "{from}");
        }
        let elsewhere = Shown { uri: "sip:0900@192.0.2.9".parse().unwrap(), ..door.show("44") };
        assert_eq!(door.judge(&elsewhere), Judgment::Unknown, "shown for one number, used for another");
        let other = Shown { method: Method::Bye, ..door.show("44") };
        assert_eq!(door.judge(&other), Judgment::Unknown);
        let nothing = Shown { authorizations: Vec::new(), ..door.show("44") };
        assert_eq!(door.judge(&nothing), Judgment::Unknown);
        assert_eq!(door.judge(&good), Judgment::Known, "the control");
    }

    #[test]
    fn whoever_is_wrong_too_often_is_not_heard_for_a_while() {
        let mut door = Door::new(credentials("secret", false), credentials("guess", false));
        for _ in 0..FAILURES_MAX {
            let shown = door.show("44");
            assert_eq!(door.judge(&shown), Judgment::Unknown);
        }
        door.login = Login::new(credentials("secret", false));
        door.ask(false);
        let shown = door.show("44");
        assert_eq!(door.judge(&shown), Judgment::Barred);
        assert_eq!(door.guard.judge(door.now, [10, 0, 0, 1].into(), &door.credentials, &shown), Judgment::Known);
        door.now += FAILURES_WINDOW;
        let shown = door.show("44");
        assert_eq!(door.judge(&shown), Judgment::Known);
    }

    #[test]
    fn who_writes_a_trunks_address_without_having_heard_us_there_does_not_bar_it() {
        let mut door = Door::new(credentials("secret", false), credentials("secret", false));
        for _ in 0..=FAILURES_MAX {
            let mut forged = door.show("44");
            let text = String::from_utf8(forged.authorizations.remove(0)).unwrap();
            let nonce = text.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
            forged.authorizations.push(text.replace(&nonce, &"a".repeat(nonce.len())).into_bytes());
            assert_eq!(door.judge(&forged), Judgment::Unknown);
        }
        let shown = door.show("44");
        assert_eq!(door.judge(&shown), Judgment::Known);
    }

    #[test]
    fn md5_is_offered_and_taken_only_where_it_is_allowed() {
        let mut legacy = Door::new(credentials("secret", true), credentials("secret", true));
        let shown = legacy.show("44");
        assert!(String::from_utf8_lossy(&shown.authorizations[0]).contains("algorithm=SHA-256"), "the better one");
        assert_eq!(legacy.judge(&shown), Judgment::Known);
        let challenge = String::from_utf8(legacy.guard.challenge(legacy.now, &legacy.credentials, 1, false)).unwrap();
        assert_eq!(challenge.matches("algorithm=MD5").count(), 1);
        let mut headers = Headers::default();
        headers.push(b"WWW-Authenticate", challenge.lines().nth(1).unwrap().split_once(": ").unwrap().1.as_bytes());
        assert!(legacy.login.challenged(401, &headers, &mut Tries::default()));
        let shown = legacy.show("44");
        assert_eq!(legacy.judge(&shown), Judgment::Known);
        let mut door = known();
        assert_eq!(door.judge(&shown), Judgment::Unknown);
        assert!(!door.login.challenged(401, &headers, &mut Tries::default()), "nor do we answer it");
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_is_not_taken_again() {
        let mut door = known();
        let first = door.show("44");
        assert_eq!(door.judge(&first), Judgment::Known);
        for chance in 0..5000_u32 {
            let text = format!("{:016x}{chance:016x}", 1);
            assert!(door.guard.take_count(text, 1));
            door.guard.failed(door.now, std::net::Ipv4Addr::from_bits(chance).into());
        }
        assert_eq!((door.guard.counts.len(), door.guard.failures.len()), (NONCES_MAX, SOURCES_MAX));
        assert_eq!(door.judge(&first), Judgment::Stale);
    }
}
