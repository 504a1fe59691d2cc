//! `office.toml`: every key has a default, unknown keys are refused, and errors name their line.

use crate::recorders::{Recorder, config::RECORDERS_MAX};
use crate::recurring::{LATE_DAYS_DEFAULT, watch::AWAY_HOURS_DEFAULT};
use crate::zone::Zone;
use jiff::civil::{Date, Time};
use recurring::Policy;
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};
use wire::{Currency, MerchantId};

/// The longest address of the office.
const PUBLIC_URL_BYTES_MAX: usize = 200;

/// The configuration of the office process.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where HTTP is served. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The SQLite file; it is made, readable by this user alone, if it is not there.
    pub database: PathBuf,
    /// The cde's Unix socket.
    pub door: PathBuf,
    /// The user id that the cde must run under; without it, our own.
    pub door_peer_uid: Option<u32>,
    /// The merchant that payments are taken for.
    pub merchant: MerchantId,
    /// The currency that the desk offers first.
    pub currency: Currency,
    /// A payment of the same amount for the same account within so many minutes is shown as a possible duplicate; 0: never.
    pub duplicate_minutes: u32,
    /// A surcharge on every payment, in hundredths of a percent. The caller must be told of it and accept it.
    pub surcharge_basis_points: u32,
    /// Recurring payments.
    pub recurring: Recurring,
    /// The time zone of days and times, such as `Europe/London`: of reconciled days, and of new agreements, which keep it.
    pub time_zone: Zone,
    /// Whether browsers come through TLS (a proxy in front): the cookie is then for TLS only.
    pub https: bool,
    /// Recorders elsewhere that are asked to pause.
    #[serde(deserialize_with = "recorders")]
    pub recorder: Vec<Recorder>,
    /// Where customers find this office, such as `https://pay.example.com`: for links in texts. Without it these have none.
    pub public_url: Option<PublicUrl>,
}

/// Where customers find the office: `https://` or `http://`, a host, and no slash at the end.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicUrl(String);

impl PublicUrl {
    /// As text, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Not such an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as https://pay.example.com")]
pub struct PublicUrlError;

impl TryFrom<String> for PublicUrl {
    type Error = PublicUrlError;

    fn try_from(text: String) -> Result<Self, PublicUrlError> {
        let text = text.trim_end_matches('/');
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
        let fits = |c: char| c.is_ascii_graphic() && !"\"'<>\\?#@".contains(c);
        if host.is_empty() || host.starts_with('/') || text.len() > PUBLIC_URL_BYTES_MAX || !host.chars().all(fits) {
            return Err(PublicUrlError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            database: PathBuf::from("office-data/office.db"),
            door: PathBuf::from("cde-data/door/door.sock"),
            door_peer_uid: None,
            merchant: default_merchant(),
            currency: Currency::GBP,
            duplicate_minutes: 10,
            surcharge_basis_points: 0,
            recurring: Recurring::default(),
            time_zone: Zone::default(),
            https: false,
            recorder: Vec::new(),
            public_url: None,
        }
    }
}

/// `[recurring]`: when and how payments of agreements are taken.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recurring {
    /// Are they taken by this office? Without it they wait.
    pub enabled: bool,
    /// The time of day at which they are taken, and customers reminded.
    pub time: Time,
    /// Days before a payment on which its customer is reminded; 0: never.
    pub reminder_days: u8,
    /// Days that are no business days besides Saturdays and Sundays, for new agreements.
    pub holidays: BTreeSet<Date>,
    /// Hours to wait before each further try after a decline, within what the networks allow; as many as there are tries.
    pub retry_hours: Vec<u32>,
    /// After so many seconds the card side is asked again what became of a payment.
    pub ask_again_s: u32,
    /// After so many seconds a payment that was proved not to have been done is tried again; twice as long each time.
    pub try_again_s: u32,
    /// How many days late a payment may be taken that could not be taken in its time, and never beyond the middle of the time to
    /// the next one. After that people decide. 0: an hour.
    pub late_days_max: u16,
    /// After being off for so many hours the office takes nothing until somebody says that its clock is right.
    pub off_hours_max: u32,
    /// For so many seconds a payment is in one scheduler's hands; when that dies, another asks for the same attempt after them.
    pub lease_s: u32,
    /// How often the database is looked at for what is due, in milliseconds.
    pub poll_ms: u64,
    /// For so many days a link to a customer's calendar is valid; 0: there are no links.
    pub link_days: u16,
    /// Who the payee is, as customers know it: at the top of their calendar.
    pub payee: String,
}

impl Default for Recurring {
    fn default() -> Self {
        Self {
            enabled: true,
            time: jiff::civil::time(9, 0, 0, 0),
            reminder_days: 3,
            holidays: BTreeSet::new(),
            retry_hours: Policy::default().wait_hours,
            ask_again_s: 60,
            try_again_s: 300,
            late_days_max: LATE_DAYS_DEFAULT,
            off_hours_max: AWAY_HOURS_DEFAULT,
            lease_s: 120,
            poll_ms: 5_000,
            link_days: 90,
            payee: String::new(),
        }
    }
}

impl Recurring {
    /// The lease, in milliseconds.
    pub(crate) fn lease_ms(&self) -> i64 {
        i64::from(self.lease_s) * 1000
    }

    /// How long the office may be off, in milliseconds.
    pub(crate) fn off_ms(&self) -> i64 {
        i64::from(self.off_hours_max) * 60 * 60 * 1000
    }
}

impl Config {
    /// The surcharge on an amount, in minor units: half a unit and more is rounded up.
    pub fn surcharge(&self, minor: i64) -> i64 {
        let hundredths = i128::from(minor) * i128::from(self.surcharge_basis_points);
        i64::try_from((hundredths + 5_000) / 10_000).unwrap_or(i64::MAX)
    }
}

#[expect(clippy::expect_used, reason = "a fixed name that a test parses")]
fn default_merchant() -> MerchantId {
    "main".parse().expect("a valid name")
}

/// Why the configuration was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file was read and not understood.
    #[error("office.toml, line {line}, column {column}: {message}")]
    Parse {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong, in words.
        message: String,
    },
}

impl Config {
    /// Reads `office.toml` in `folder`, or takes the defaults if there is none. Relative paths start at `folder`.
    pub fn load(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join("office.toml");
        let config = match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        Ok(config.in_folder(folder))
    }

    /// Reads the text of an `office.toml`.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let (line, column) = position(text, error.span().map_or(0, |span| span.start));
            ConfigError::Parse { line, column, message: error.message().to_owned() }
        })
    }

    /// The same with relative paths starting at `folder`.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.database = folder.join(&self.database);
        self.door = folder.join(&self.door);
        self.recorder.iter_mut().for_each(|recorder| recorder.in_folder(folder));
        self
    }
}

/// Each with a name of its own.
fn recorders<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Recorder>, D::Error> {
    let recorders = Vec::<Recorder>::deserialize(deserializer)?;
    let names: BTreeSet<&str> = recorders.iter().map(|recorder| recorder.name.as_str()).collect();
    if names.len() < recorders.len() || recorders.len() > RECORDERS_MAX {
        let message = format!("two [[recorder]] have one name, or there are more than {RECORDERS_MAX}");
        return Err(serde::de::Error::custom(message));
    }
    Ok(recorders)
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before.chars().count() - before.get(..line_start).unwrap_or("").chars().count() + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
        assert_eq!(Config::default().merchant.as_str(), "main");
    }

    #[test]
    fn a_surcharge_is_rounded_to_the_nearest_unit_of_any_currency() {
        let config = Config::parse("surcharge_basis_points = 150").unwrap();
        assert_eq!([config.surcharge(4_200), config.surcharge(33), config.surcharge(34)], [63, 0, 1]);
        assert_eq!(Config::default().surcharge(4_200), 0);
    }

    #[test]
    fn where_customers_find_the_office_is_an_address() {
        let url = |text: &str| PublicUrl::try_from(text.to_owned()).map(|url| url.as_str().to_owned());
        assert_eq!(url("https://pay.example.com/").as_deref(), Ok("https://pay.example.com"));
        assert_eq!(url("http://127.0.0.1:8080").as_deref(), Ok("http://127.0.0.1:8080"));
        for text in
            ["", "pay.example.com", "https://", "https:///x", "ftp://x", "https://a b", "https://a?b", "https://a@b"]
        {
            assert_eq!(url(text), Err(PublicUrlError), "{text}");
        }
    }

    #[test]
    fn errors_name_their_line() {
        for (text, line) in [
            ("listen = \"127.0.0.1:0\"\nlissten = 3\n", 2),
            ("\n\ncurrency = \"XXY\"", 3),
            ("\ntime_zone = \"Mars\"", 2),
            ("a", 1),
        ] {
            let Err(ConfigError::Parse { line: at, .. }) = Config::parse(text) else { panic!("accepted: {text}") };
            assert_eq!(at, line, "{text}");
        }
    }

    #[test]
    fn relative_paths_start_at_the_folder() {
        let config = Config::parse("door = \"/run/door\"").unwrap().in_folder(Path::new("/etc/t"));
        assert_eq!(config.door, Path::new("/run/door"));
        assert_eq!(config.database, Path::new("/etc/t/office-data/office.db"));
    }
}
