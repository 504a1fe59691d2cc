//! A connection for messages, in the clear or by TLS, and the authority that the latter believes.

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

/// It never waits once it is there.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub(super) fn plain(to: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self::Plain(stream))
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

/// An authority of its own, and a certificate of it for this machine.
pub(super) struct Authority {
    authority: String,
    certificate: String,
    key: String,
    config: Arc<ClientConfig>,
}

impl Authority {
    pub(super) fn new() -> anyhow::Result<Self> {
        let mut authority = CertificateParams::new(Vec::new())?;
        // Of one name with what it signs, it would pass for that.
        authority.distinguished_name.push(DnType::CommonName, "Storm authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &authority)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            authority: authority.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            config: Arc::new(config),
        })
    }

    /// What the program reads.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let files = [("ca.pem", &self.authority), ("sip.pem", &self.certificate), ("sip.key", &self.key)];
        files.into_iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text))?;
        Ok(())
    }

    /// A connection on which both have agreed.
    pub(super) fn connect(&self, to: SocketAddr) -> anyhow::Result<Stream> {
        let mut tcp = TcpStream::connect(to)?;
        tcp.set_nodelay(true)?;
        let mut tls = ClientConnection::new(Arc::clone(&self.config), ServerName::from(to.ip()))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp).context("TLS")?;
        }
        tcp.set_nonblocking(true)?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(tls, tcp))))
    }
}
