//! `office.toml`: every key has a default, unknown keys are refused, and errors name their line.

use serde::Deserialize;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};
use wire::{Currency, MerchantId};

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
    /// Whether browsers come through TLS (a proxy in front): the cookie is then for TLS only.
    pub https: bool,
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
            https: false,
        }
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
        self
    }
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
    fn errors_name_their_line() {
        for (text, line) in [("listen = \"127.0.0.1:0\"\nlissten = 3\n", 2), ("\n\ncurrency = \"XXY\"", 3), ("a", 1)] {
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
