//! A cde process in this one, small peers, and an authority that signs their certificates.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sip::message::{Frame, Framer};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const WAIT_MAX: Duration = Duration::from_secs(10);

pub const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";

pub struct Cde {
    folder: PathBuf,
    locals: Vec<node::Local>,
    stop: watch::Sender<bool>,
    running: JoinHandle<Result<(), node::NodeError>>,
}

impl Cde {
    pub async fn start(toml: impl FnOnce(&Path) -> String) -> Self {
        // An error means that it is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = std::env::temp_dir().join(format!("tonewall-transports-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = node::Config::parse(&toml(&folder), &folder.join("cde.toml")).unwrap();
        let places = node::Places::new(&config, &folder);
        let (stop, stopped) = watch::channel(false);
        let (ready, locals) = oneshot::channel();
        let tell = |locals: &[node::Local]| ready.send(locals.to_vec()).unwrap();
        let running = tokio::spawn(node::run(config, places, node::MediaSockets::own(1), stopped, tell));
        let Ok(locals) = locals.await else { panic!("it does not start: {:?}", running.await) };
        Self { folder, locals, stop, running }
    }

    pub fn addresses(&self, transport: &str) -> Vec<SocketAddr> {
        let of = self.locals.iter().filter(|local| local.transport.name() == transport);
        of.map(|local| local.address).collect()
    }

    pub fn address(&self, transport: &str) -> SocketAddr {
        self.addresses(transport)[0]
    }

    pub async fn stop(self) {
        self.stop.send_replace(true);
        timeout(Duration::from_secs(60), self.running).await.unwrap().unwrap().unwrap();
        // A reader of the journal may be closing its files.
        for _ in 0..1_000 {
            if std::fs::remove_dir_all(&self.folder).is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} is still in use", self.folder.display());
    }
}

/// A certificate and its key.
pub type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub fn identity(&self, name: &str) -> Identity {
        let (certificate, key) = self.pem(name);
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        (certificate, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
    }

    /// Files for a name, and the authority's own beside them.
    pub fn issue(&self, folder: &Path, file: &str, name: &str) {
        let (certificate, key) = self.pem(name);
        std::fs::write(folder.join("ca.pem"), self.0.pem()).unwrap();
        std::fs::write(folder.join(format!("{file}.pem")), certificate).unwrap();
        std::fs::write(folder.join(format!("{file}.key")), key).unwrap();
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.0.pem().as_bytes()).unwrap()).unwrap();
        roots
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub struct Client {
    stream: Box<dyn Stream>,
    framer: Framer,
}

impl Client {
    fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), framer: Framer::default() }
    }

    pub async fn tcp(from: &str, to: SocketAddr) -> Self {
        Self::new(connect(from, to).await)
    }

    pub async fn tls(from: &str, to: SocketAddr, authority: &Authority, identity: Option<Identity>) -> Self {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(authority.roots());
        let config = match identity {
            Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connect(from, to).await;
        Self::new(connector.connect(ServerName::IpAddress(to.ip().into()), stream).await.unwrap())
    }

    pub async fn accept(listener: &TcpListener) -> Self {
        Self::new(timeout(WAIT_MAX, listener.accept()).await.unwrap().unwrap().0)
    }

    pub async fn accept_tls(listener: &TcpListener, authority: &Authority, name: &str) -> Self {
        Self::try_accept_tls(listener, authority, name).await.unwrap()
    }

    pub async fn try_accept_tls(listener: &TcpListener, authority: &Authority, name: &str) -> Option<Self> {
        let (certificate, key) = authority.identity(name);
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        let (stream, _) = timeout(WAIT_MAX, listener.accept()).await.unwrap().unwrap();
        TlsAcceptor::from(Arc::new(config)).accept(stream).await.ok().map(Self::new)
    }

    pub async fn send(&mut self, message: &str) {
        self.stream.write_all(message.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next message; none if the connection ends instead.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(frame) = self.framer.next_frame() {
                let Frame::Message(bytes) = frame else { panic!("{frame:?}") };
                return Some(String::from_utf8(bytes).unwrap());
            }
            let mut buffer = [0; 4096];
            let read = timeout(WAIT_MAX, self.stream.read(&mut buffer)).await.expect("a message in time");
            match read {
                Ok(length @ 1..) => self.framer.push(&buffer[..length]),
                _ => return None,
            }
        }
    }

    pub async fn receive(&mut self) -> String {
        self.next().await.expect("the connection stands")
    }

    /// Asks, and takes the answer if the connection lives so long.
    pub async fn ask(&mut self, message: &str) -> Option<String> {
        // A refusal may come while this is being written.
        let _ = self.stream.write_all(message.as_bytes()).await;
        let _ = self.stream.flush().await;
        self.next().await
    }

    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        timeout(WAIT_MAX, self.stream.read_exact(&mut bytes)).await.unwrap().unwrap();
        bytes
    }

    pub async fn is_closed(&mut self) -> bool {
        self.next().await.is_none()
    }
}

async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let from: IpAddr = from.parse().unwrap();
    let socket = if from.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    socket.connect(to).await.unwrap()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

pub fn invite(uri: &str, via: &str, branch: &str, body: &str) -> String {
    request("INVITE", uri, via, branch, 1, "", "Content-Type: application/sdp\r\n", body)
}

pub fn options(uri: &str, via: &str, branch: &str) -> String {
    request("OPTIONS", uri, via, branch, 1, "", "", "")
}

#[allow(clippy::too_many_arguments, reason = "the parts of a request")]
fn request(method: &str, uri: &str, via: &str, branch: &str, cseq: u32, tag: &str, extra: &str, body: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{via} peer.example;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:447700900142@peer.example>;tag=p\r\nTo: <sip:us@127.0.0.1>{tag}\r\nCall-ID: c\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:447700900142@peer.example>\r\n{extra}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An ACK or BYE in the dialog that a 200 of ours has opened.
pub fn in_dialog(method: &str, answered: &str, branch: &str) -> String {
    let tag = header(answered, "To").rsplit_once(";tag=").unwrap().1;
    let uri = header(answered, "Contact").trim_matches(['<', '>']);
    let cseq = if method == "ACK" { 1 } else { 2 };
    request(method, uri, "TCP", branch, cseq, &format!(";tag={tag}"), "", "")
}

pub fn ack_of_failure(refused: &str) -> String {
    format!(
        "ACK sip:02079460018@127.0.0.1 SIP/2.0\r\nVia: {}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 ACK\r\n\
         Content-Length: 0\r\n\r\n",
        header(refused, "Via"),
        header(refused, "From"),
        header(refused, "To"),
        header(refused, "Call-ID")
    )
}

/// A response of a peer to a request of ours.
pub fn response(request: &str, status: u16, body: &str) -> String {
    let to = header(request, "To");
    let tag = if to.contains(";tag=") { "" } else { ";tag=a" };
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 {status} Any\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:1001@pbx.example>\r\n{content}Content-Length: {}\r\n\r\n{body}",
        header(request, "Via"),
        header(request, "From"),
        header(request, "Call-ID"),
        header(request, "CSeq"),
        body.len()
    )
}

pub fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    message.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default()
}
