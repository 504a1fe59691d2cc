//! Certificates: ours, and those we believe.

use super::found::Found;
use crate::config::{Config, Trunk};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_platform_verifier::BuilderVerifierExt;
use sip::Transport;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// The handshake; the round trips of a slow peer.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What is wrong with a certificate, a key or a name.
#[derive(Debug, thiserror::Error)]
#[error("{key} = \"{}\": {message}", path.display())]
pub struct TlsError {
    /// The key of `cde.toml`.
    key: &'static str,
    /// Its file.
    path: PathBuf,
    /// Why, and the way out.
    message: String,
}

/// A trunk that is called over TLS.
struct TlsTrunk {
    /// Its place in the list.
    number: usize,
    /// Where the file says that it is; nowhere, if it has a name.
    places: Vec<SocketAddr>,
    /// What its certificate must be for, if not for the address that is called: the name that the file has. What the name server
    /// says of that name proves nothing (RFC 5922 §4).
    name: Option<ServerName<'static>>,
    connector: TlsConnector,
}

/// Both ends of TLS.
pub(super) struct Tls {
    acceptor: Option<TlsAcceptor>,
    /// The same for web pages, which have no certificates to show.
    web: Option<TlsAcceptor>,
    trunks: Vec<TlsTrunk>,
    found: Arc<Found>,
    /// Whoever connects must show a certificate, and it must be its trunk's.
    asks_for_certificates: bool,
}

/// Our certificate and key, if there are any.
type Identity = Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>;

impl Tls {
    /// Reads all files that the configuration names; relative paths start at `folder`.
    pub(super) fn load(config: &Config, folder: &Path, found: &Arc<Found>) -> Result<Self, TlsError> {
        let identity = identity(config, folder)?;
        let client_ca = config.sip.client_ca.as_ref().map(|path| folder.join(path));
        let asks_for_certificates = client_ca.is_some();
        let tls = config.trunk.iter().enumerate().filter(|(_, trunk)| trunk.transport.sip() == Transport::Tls);
        let trunks =
            tls.map(|(number, trunk)| TlsTrunk::load((number, trunk), folder, &identity)).collect::<Result<_, _>>()?;
        let accept = |listen: &[SocketAddr], client_ca: Option<&Path>| match &identity {
            Some((chain, key)) if !listen.is_empty() => {
                acceptor(config, folder, client_ca, chain.clone(), key.clone_key()).map(Some)
            }
            _ => Ok(None),
        };
        let acceptor = accept(&config.sip.listen_tls, client_ca.as_deref())?;
        let web = accept(&config.sip.listen_wss, None)?;
        Ok(Self { acceptor, web, trunks, found: Arc::clone(found), asks_for_certificates })
    }

    /// Whether there is a trunk that is called there.
    pub(super) fn knows(&self, address: SocketAddr) -> bool {
        self.trunk(address).is_some()
    }

    /// The trunk of an address; where several share one, the port tells them apart.
    fn trunk(&self, address: SocketAddr) -> Option<&TlsTrunk> {
        let exactly = self.trunks.iter().find(|trunk| trunk.is_at(&self.found, |place| *place == address));
        exactly.or_else(|| self.trunks_of(address.ip()).next())
    }

    fn trunks_of(&self, ip: IpAddr) -> impl Iterator<Item = &TlsTrunk> {
        self.trunks.iter().filter(move |trunk| trunk.is_at(&self.found, |place| place.ip() == ip))
    }

    pub(super) async fn accept(&self, stream: TcpStream, ip: IpAddr) -> io::Result<server::TlsStream<TcpStream>> {
        let acceptor = self.acceptor.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let stream = timeout(HANDSHAKE, acceptor.accept(stream)).await??;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        if self.asks_for_certificates && !self.is_of_trunk(ip, certificate) {
            return Err(io::Error::other("its certificate is not the one of a trunk of this address"));
        }
        Ok(stream)
    }

    pub(super) async fn accept_web(&self, stream: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
        let acceptor = self.web.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        timeout(HANDSHAKE, acceptor.accept(stream)).await?
    }

    /// Whether a certificate, which is known to be of our authority, is for the trunk that has this address.
    fn is_of_trunk(&self, ip: IpAddr, certificate: Option<&CertificateDer<'_>>) -> bool {
        let Some(parsed) = certificate.and_then(|certificate| ParsedCertificate::try_from(certificate).ok()) else {
            return false;
        };
        self.trunks_of(ip).any(|trunk| verify_server_name(&parsed, &trunk.name_at(ip)).is_ok())
    }

    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let trunk = self.trunk(address).ok_or(io::ErrorKind::NotFound)?;
        timeout(HANDSHAKE, trunk.connector.connect(trunk.name_at(address.ip()), stream)).await?
    }
}

impl TlsTrunk {
    fn load((number, trunk): (usize, &Trunk), folder: &Path, identity: &Identity) -> Result<Self, TlsError> {
        let key = "[[trunk]] ca";
        let path = trunk.ca.as_ref().map(|ca| folder.join(ca)).unwrap_or_default();
        let wrong = |error: &dyn std::fmt::Display| TlsError { key, path: path.clone(), message: error.to_string() };
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| wrong(&error))?;
        let builder = match &trunk.ca {
            Some(_) => builder.with_root_certificates(roots(key, &path)?),
            None => builder.with_platform_verifier().map_err(|error| wrong(&error))?,
        };
        let config = match identity {
            Some((chain, key)) => {
                builder.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(|error| wrong(&error))?
            }
            None => builder.with_no_client_auth(),
        };
        let name = trunk.tls_name.clone().or_else(|| trunk.host.as_ref().map(|host| host.name.clone()));
        let places = trunk.address.iter();
        Ok(Self {
            number,
            places: places
                .map(|place| SocketAddr::new(place.ip, place.port.unwrap_or(Transport::Tls.default_port())))
                .collect(),
            // A name that is none was refused with the configuration.
            name: name.and_then(|name| ServerName::try_from(name).ok()),
            connector: TlsConnector::from(Arc::new(config)),
        })
    }

    fn is_at(&self, found: &Found, is: impl Fn(&SocketAddr) -> bool) -> bool {
        self.places.iter().any(&is) || found.is_at(self.number, is)
    }

    /// What its certificate must be for.
    fn name_at(&self, ip: IpAddr) -> ServerName<'static> {
        self.name.clone().unwrap_or_else(|| ServerName::IpAddress(ip.into()))
    }
}

/// TLS for whoever connects, whom other things than a certificate let in. `table` is the one of `cde.toml`.
pub(crate) fn plain_acceptor(
    table: &'static str,
    certificate: &Path,
    private_key: &Path,
) -> Result<TlsAcceptor, TlsError> {
    let wrong = |path: &Path, message: String| TlsError { key: table, path: path.to_owned(), message };
    let chain = certificates(table, certificate)?;
    let key = PrivateKeyDer::from_pem_file(private_key)
        .map_err(|error| wrong(private_key, format!("{error}: expected a private key in PEM, not encrypted")))?;
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| wrong(certificate, error.to_string()))?.with_no_client_auth();
    let config = builder.with_single_cert(chain, key).map_err(|error| wrong(certificate, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn identity(config: &Config, folder: &Path) -> Result<Identity, TlsError> {
    let (Some(certificate), Some(private_key)) = (&config.sip.certificate, &config.sip.private_key) else {
        return Ok(None);
    };
    let chain = certificates("[sip] certificate", &folder.join(certificate))?;
    let path = folder.join(private_key);
    let key = PrivateKeyDer::from_pem_file(&path).map_err(|error| TlsError {
        key: "[sip] private_key",
        path: path.clone(),
        message: format!("{error}: expected a private key in PEM, not encrypted"),
    })?;
    Ok(Some((chain, key)))
}

fn acceptor(
    config: &Config,
    folder: &Path,
    client_ca: Option<&Path>,
    chain: Vec<CertificateDer<'static>>,
    private_key: PrivateKeyDer<'static>,
) -> Result<TlsAcceptor, TlsError> {
    let path = folder.join(config.sip.certificate.as_deref().unwrap_or(Path::new("")));
    let wrong = |error: &dyn std::fmt::Display| TlsError {
        key: "[sip] certificate",
        path: path.clone(),
        message: error.to_string(),
    };
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| wrong(&error))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(roots("[sip] client_ca", path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong(&error))?)
        }
    };
    let config = builder.with_single_cert(chain, private_key).map_err(|error| wrong(&error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn roots(key: &'static str, path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(key, path)? {
        roots.add(certificate).map_err(|error| TlsError { key, path: path.to_owned(), message: error.to_string() })?;
    }
    Ok(roots)
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |message: String| TlsError { key, path: path.to_owned(), message };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| wrong(error.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("there is no certificate in it: expected PEM".to_owned()));
    }
    Ok(certificates)
}

/// The one crypto back-end.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
