//! Who connects to us.

use super::{Heard, Hub, connection, connection::Queue, gate::Pass};
use sip::{Peer, Transport};
use std::io;
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
    if peer.transport == Transport::Tls {
        let stream = hub.tls().accept(stream, peer.address.ip()).await?;
        return announced(stream, peer, hub, pass).await;
    }
    announced(stream, peer, hub, pass).await
}

async fn announced(stream: impl connection::Stream, peer: Peer, hub: &Hub, pass: Pass) -> io::Result<()> {
    let (sender, queue) = Queue::new();
    if hub.heard.send(Heard::Opened(peer, sender)).await.is_ok() {
        connection::converse(stream, hub, peer, queue, connection::FIRST_MESSAGE).await;
    }
    drop(pass);
    Ok(())
}
