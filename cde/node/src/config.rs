//! `cde.toml`: trunks, routes, merchants, gateways and their hosts. Readable by the cde's user alone; the office refers
//! to what stands here by name and can change none of it.

mod bounce;
mod gateways;
pub(crate) mod hook;
mod on_demand;
mod problems;
mod signaling;
mod unused;
mod vault;

pub use self::vault::Vault;
pub use bounce::{Bounce, Orders as BounceOrders};
pub use gateways::{AdapterKind, Choice, Gateway, Inbound, KeepCards, LateApproval, Merchant, Mode, PayConnector};
pub use hook::RecorderHook;
pub use on_demand::OnDemand;
use problems::is_domain;
pub use signaling::{Digest, Host, Nat, Password, Phone, Place, Sip, Srtp, Trunk, TrunkTransport};
pub use unused::Unused;

use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// The whole file. Every key is optional; unknown keys are refused.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// SIP.
    pub sip: Sip,
    /// RTP.
    pub media: Media,
    /// Where calls come from and go to.
    pub trunk: Vec<Trunk>,
    /// Who signs in by a web page.
    pub phone: Vec<Phone>,
    /// Which call goes where.
    pub route: Vec<Route>,
    /// Who charges.
    pub gateway: Vec<Gateway>,
    /// Whose money.
    pub merchant: Vec<Merchant>,
    /// Where others' machines send webhooks and charges.
    pub inbound: Option<Inbound>,
    /// Who charges through us.
    pub pay_connector: Vec<PayConnector>,
    /// The door.
    pub door: Door,
    /// Journal and recordings.
    pub data: Data,
    /// Where stored cards are; none: no card is stored.
    pub vault: Option<Vault>,
}

/// `[media]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Address for RTP, written into SDP.
    pub address: IpAddr,
    /// And the one for peers of IPv6, beside an IPv4 address.
    pub address_v6: Option<Ipv6Addr>,
    /// First port.
    pub first_port: u16,
    /// Last port.
    pub last_port: u16,
    /// Media threads; 0 means one a core.
    pub threads: usize,
    /// How packets come to these threads.
    pub steering: Steering,
    /// How lines are masked but for the security code, which is always masked strictly.
    pub masking: Masking,
    /// How much later the agent hears the caller while a line is masked naturally.
    #[serde(rename = "hold_ms", deserialize_with = "hold")]
    pub hold: media::Hold,
}

/// `masking` of `[media]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Masking {
    /// The agent hears the caller's voice, late by the hold and without keys.
    #[default]
    Natural,
    /// The agent hears nothing of the caller while the line is secured.
    Strict,
}

/// `steering` of `[media]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Steering {
    /// By one socket a thread where the process may, else by a socket a port.
    #[default]
    Auto,
    /// By a socket a port.
    Off,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            address_v6: None,
            first_port: 10_000,
            last_port: 19_999,
            threads: 0,
            steering: Steering::default(),
            masking: Masking::default(),
            hold: media::Hold::default(),
        }
    }
}

/// `[[route]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The trunk that the call comes from.
    pub from: String,
    /// The trunk that it goes to.
    pub to: String,
    /// Only called numbers that begin like this; the longest prefix that fits is used.
    #[serde(default)]
    pub prefix: String,
    /// The extension to call instead of the called number.
    #[serde(default)]
    pub extension: Option<String>,
    /// So many characters are taken from the beginning of the called number.
    #[serde(default)]
    pub strip: u8,
    /// And this is put there.
    #[serde(default)]
    pub add: String,
    /// What six keys in a row of the caller mean while the line is open.
    #[serde(default)]
    pub open_line_keys: OpenLineKeys,
    /// The agent calls, and who is called is the one who pays.
    #[serde(default)]
    pub outbound: bool,
    /// The trunk that is a recorder and has these calls too (SIPREC).
    #[serde(default)]
    pub recorder: Option<String>,
    /// A call that it cannot have is ended.
    #[serde(default)]
    pub recorder_required: bool,
    /// Whether recorders elsewhere, which the office asks, must pause while the line is not open.
    #[serde(default)]
    pub recorder_hook: RecorderHook,
    /// The header of its INVITEs in which the customer's own name of the call stands, for those recorders.
    #[serde(default)]
    pub recorder_call_id: Option<String>,
    /// What an agent with a PIN presses before it to secure the line by keys; empty: they cannot.
    #[serde(default = "feature_code")]
    pub feature_code: String,
    /// Its callers pay alone, and go then to the extension.
    #[serde(default)]
    pub bounce: Option<Bounce>,
}

fn feature_code() -> String {
    "*9".to_owned()
}

/// `open_line_keys` of a `[[route]]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpenLineKeys {
    /// Nothing: a menu may ask for them.
    #[default]
    Ignore,
    /// An alarm in the audit trail.
    Alarm,
    /// The alarm, and the line is secured.
    Secure,
}

/// `[door]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Door {
    /// The Unix socket; default `door/door.sock` in the data folder.
    pub socket: Option<PathBuf>,
    /// The office's user id, checked on every connection; default: the cde's own.
    pub office_uid: Option<u32>,
}

/// `[data]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// Folder of the journal; default: `cde-data` beside the file. Relative paths start at the file's folder.
    pub folder: Option<PathBuf>,
    /// Folder of recordings; none: nothing is recorded.
    pub recordings: Option<PathBuf>,
    /// For how many days records are kept that the office has: so old may a backup be from which it is restored with nothing
    /// missing.
    pub records_days: u16,
}

impl Default for Data {
    fn default() -> Self {
        Self { folder: None, recordings: None, records_days: crate::journal::RECORDS_DAYS }
    }
}

/// Why the configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is another user's.
    #[error(
        "{path} is not for this user: a start under two users gives it to tonewall-cde. Start so again, or give it back \
         (chown) for a start with --one-user"
    )]
    NotOurs {
        /// Which file.
        path: PathBuf,
    },
    /// Not what was expected; the message names line and column.
    #[error("{path}: {message}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// Well formed, but it cannot work; the message names the line.
    #[error("{path}: {message}")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What does not fit, and the way out.
        message: String,
    },
}

impl Config {
    /// Reads and checks the file; a missing one means all defaults.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(ConfigError::NotOurs { path: path.to_owned() });
            }
            Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
        };
        Self::parse(&text, path)
    }

    /// Reads and checks a text; `path` is only for messages and for relative folders.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)
            .map_err(|error| ConfigError::Parse { path: path.to_owned(), message: error.to_string() })?;
        match problems::find(&config, text) {
            Some(message) => Err(ConfigError::Invalid { path: path.to_owned(), message }),
            None => Ok(config),
        }
    }

    /// All files that SIP over TLS needs.
    pub fn tls_files(&self) -> impl Iterator<Item = &Path> {
        let Sip { certificate, private_key, client_ca, .. } = &self.sip;
        let ours = [certificate, private_key, client_ca].into_iter().flatten();
        ours.chain(self.trunk.iter().filter_map(|trunk| trunk.ca.as_ref())).map(PathBuf::as_path)
    }

    /// Merchants by name, each with its gateways.
    pub fn merchants(&self) -> BTreeMap<&str, &[Choice]> {
        self.merchant.iter().map(|merchant| (merchant.id.as_str(), merchant.gateway.as_slice())).collect()
    }
}

fn hold<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<media::Hold, D::Error> {
    match u8::deserialize(deserializer)? {
        20 => Ok(media::Hold::Ms20),
        12 => Ok(media::Hold::Ms12),
        40 => Ok(media::Hold::Ms40),
        _ => Err(serde::de::Error::custom("expected 20, 12 or 40")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        Config::parse(text, Path::new("cde.toml")).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_is_a_configuration() {
        let config = Config::parse("", Path::new("cde.toml")).unwrap();
        assert_eq!(config.sip.listen[0].port(), 5060);
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let message = problem("[sip]\nlisten = \"127.0.0.1:5060\"\nlissten = 1\n");
        assert!(message.contains("line 3") && message.contains("lissten"), "{message}");
    }

    #[test]
    fn the_voice_is_held_for_twenty_or_twelve_milliseconds() {
        let hold = |text: &str| Config::parse(text, Path::new("cde.toml")).map(|config| config.media.hold);
        assert_eq!(hold("").ok(), Some(media::Hold::Ms20));
        assert_eq!(hold("[media]\nhold_ms = 12").ok(), Some(media::Hold::Ms12));
        assert_eq!(hold("[media]\nhold_ms = 40").ok(), Some(media::Hold::Ms40));
        assert!(problem("[media]\nhold_ms = 15").contains("expected 20, 12 or 40"));
    }

    #[test]
    fn names_must_fit_together() {
        assert!(problem("[[route]]\nfrom=\"a\"\nto=\"b\"").contains("no [[trunk]] has this name"));
        assert!(problem("[[merchant]]\nid=\"m\"\ngateway=\"g\"").contains("no [[gateway]] has this name"));
        assert!(problem("[[trunk]]\nname=\"a\"\naddress=\"localhost\"").contains("expected an IP address"));
    }

    #[test]
    fn addresses_of_a_trunk_are_believed_unless_it_is_said_to_be_behind_a_nat() {
        let trunk = |rest: &str| format!("[[trunk]]\nname=\"a\"\naddress=\"192.0.2.1\"\n{rest}");
        let nat = |rest: &str| Config::parse(&trunk(rest), Path::new("x")).map(|config| config.trunk[0].nat);
        assert_eq!((nat("").unwrap(), nat("nat=\"learn\"").unwrap()), (Nat::Off, Nat::Learn));
        assert!(nat("nat=true").unwrap_err().to_string().contains("line 4"));
    }

    #[test]
    fn sound_is_protected_only_where_the_trunk_says_so() {
        let trunk = |rest: &str| format!("[[trunk]]\nname=\"a\"\naddress=\"192.0.2.1\"\n{rest}");
        let srtp = |rest: &str| Config::parse(&trunk(rest), Path::new("x")).map(|config| config.trunk[0].srtp);
        assert_eq!(srtp("").unwrap(), Srtp::Off);
        assert_eq!(srtp("srtp=\"preferred\"").unwrap(), Srtp::Preferred);
        assert_eq!(srtp("srtp=\"required\"").unwrap(), Srtp::Required);
        assert!(srtp("srtp=\"on\"").unwrap_err().to_string().contains("line 4"));
    }

    #[test]
    fn a_card_never_leaves_the_machine_in_clear() {
        let gateway = |url: &str| format!("[[gateway]]\nname=\"g\"\nkind=\"sandbox\"\nurl=\"{url}\"");
        assert!(problem(&gateway("http://example.com")).contains("https"));
        assert!(Config::parse(&gateway("http://127.0.0.1:9000"), Path::new("x")).is_ok());
        assert!(Config::parse(&gateway("https://example.com"), Path::new("x")).is_ok());
    }
}
