//! An authority and one certificate for 127.0.0.1, which serves everybody on this machine.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::path::Path;

/// `ca.pem`, `sip.pem`, `sip.key`, and `both.pem` for those who want certificate and key in one file.
pub fn issue(folder: &Path) -> anyhow::Result<()> {
    let mut authority = CertificateParams::new(Vec::new())?;
    // Of one name with what it signs, it would pass for that.
    authority.distinguished_name.push(DnType::CommonName, "Test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &authority)?;
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    std::fs::write(folder.join("ca.pem"), authority.pem())?;
    std::fs::write(folder.join("both.pem"), format!("{certificate}{key}"))?;
    std::fs::write(folder.join("sip.pem"), certificate)?;
    Ok(std::fs::write(folder.join("sip.key"), key)?)
}
