//! Names and passwords of trunks, from the configuration and from files.

use crate::config::{Digest, Password, Phone, Trunk};
use crate::{NodeError, io};
use call::config::Login;
use sip::Credentials;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The login of each trunk, in their order.
pub(crate) fn read(trunks: &[Trunk], folder: &Path) -> Result<Vec<Option<Login>>, NodeError> {
    trunks.iter().map(|trunk| login(trunk, folder)).collect()
}

fn login(trunk: &Trunk, folder: &Path) -> Result<Option<Login>, NodeError> {
    let Some(user) = &trunk.username else { return Ok(None) };
    let Some(password) = password(trunk.password.as_ref(), trunk.password_file.as_ref(), folder)? else {
        return Ok(None);
    };
    let credentials = Credentials::new(user.clone(), password, trunk.digest == Digest::Legacy);
    Ok(Some(Login {
        user: user.clone(),
        credentials: Arc::new(credentials),
        is_demanded: trunk.require_digest,
        registers: trunk.register,
    }))
}

/// Names and passwords of phones, in their order.
pub(crate) fn phones(phones: &[Phone], folder: &Path) -> Result<Vec<Arc<Credentials>>, NodeError> {
    phones.iter().map(|phone| of_phone(phone, folder)).collect()
}

fn of_phone(phone: &Phone, folder: &Path) -> Result<Arc<Credentials>, NodeError> {
    // One without a password was refused with the configuration.
    let password = password(phone.password.as_ref(), phone.password_file.as_ref(), folder)?.unwrap_or_default();
    let credentials = Credentials::new(phone.name.clone(), password, false);
    Ok(Arc::new(if phone.digest == Digest::Legacy { credentials.md5_alone() } else { credentials }))
}

fn password(written: Option<&Password>, file: Option<&PathBuf>, folder: &Path) -> Result<Option<String>, NodeError> {
    match (written, file) {
        (Some(password), _) => Ok(Some(password.expose(str::to_owned))),
        (None, Some(file)) => from_file(&folder.join(file)).map(Some),
        (None, None) => Ok(None),
    }
}

/// Without the end of its line, which most editors write.
fn from_file(file: &Path) -> Result<String, NodeError> {
    let what = || format!("password file {}", file.display());
    let text = Zeroizing::new(std::fs::read_to_string(file).map_err(io(what()))?);
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(io(what())(std::io::Error::other("it is empty")));
    }
    Ok(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, samples::Folder};

    fn trunk(lines: &str) -> Trunk {
        let text = format!("[[trunk]]\nname = \"a\"\naddress = \"127.0.0.1\"\n{lines}");
        Config::parse(&text, Path::new("cde.toml")).unwrap().trunk.remove(0)
    }

    #[test]
    fn a_password_is_read_from_a_file_beside_the_configuration_and_printed_nowhere() {
        let folder = Folder::new();
        std::fs::write(folder.0.join("trunk.password"), "secret\n").unwrap();
        let from_file = trunk("username = \"u\"\npassword_file = \"trunk.password\"\nregister = true\n");
        let login = read(&[from_file], &folder.0).unwrap().remove(0).unwrap();
        assert!(login.registers && !login.is_demanded && login.user == "u");
        let written = trunk("username = \"u\"\npassword = \"secret\"\n");
        assert!(!format!("{written:?}").contains("secret"));
        assert!(read(&[trunk("username = \"u\"\npassword_file = \"nix\"\n")], &folder.0).is_err());
        assert!(read(&[trunk("")], &folder.0).unwrap().remove(0).is_none());
    }
}
