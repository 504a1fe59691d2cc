//! Who connects to us.

use super::{Heard, Hub, connection, connection::Queue, gate::Pass, web};
use sip::{Peer, Transport};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// After a failure to accept, as when there is no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes connections as long as there is room for them; others are closed at once.
pub(super) async fn serve(listener: TcpListener, transport: Transport, hub: Hub) {
    loop {
        let Ok((stream, address)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Some(pass) = hub.gate.enter(address.ip()) else {
            tracing::debug!(%address, "too many SIP connections: one is closed at once");
            continue;
        };
        let peer = Peer { transport, address, connection: Some(hub.next_id()) };
        let hub = hub.clone();
        tokio::spawn(async move {
            if let Err(error) = accepted(stream, peer, &hub, pass).await {
                tracing::info!(%address, %error, "a SIP connection was refused");
            }
        });
    }
}

async fn accepted(stream: TcpStream, peer: Peer, hub: &Hub, pass: Pass) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match peer.transport {
        Transport::Tls => announced(hub.tls().accept(stream, peer.address.ip()).await?, peer, hub, pass).await,
        Transport::Ws => {
            let stream = web::open(stream, &hub.origins).await?;
            announced(stream, peer, hub, pass).await
        }
        Transport::Wss => {
            let stream = web::open(hub.tls().accept_web(stream).await?, &hub.origins).await?;
            announced(stream, peer, hub, pass).await
        }
        Transport::Udp | Transport::Tcp => announced(stream, peer, hub, pass).await,
    }
}

async fn announced(stream: impl connection::Stream, peer: Peer, hub: &Hub, pass: Pass) -> io::Result<()> {
    let (sender, queue) = Queue::new();
    let pass = Arc::new(pass);
    let first = match peer.transport {
        Transport::Ws | Transport::Wss => connection::WEB_FIRST_MESSAGE,
        Transport::Udp | Transport::Tcp | Transport::Tls => connection::FIRST_MESSAGE,
    };
    if hub.heard.send(Heard::Opened(peer, sender, Arc::clone(&pass))).await.is_ok() {
        connection::converse(stream, hub, peer, &pass, queue, first).await;
    }
    drop(pass);
    Ok(())
}
