//! The signal to stop: SIGTERM, Ctrl-C, or the supervisor's end (our standard input closes).

use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Turns true when this process should stop.
pub(crate) fn signal_to_stop(supervised: bool) -> std::io::Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            // Under a supervisor the terminal's Ctrl-C reaches us too; the supervisor decides the order.
            _ = interrupt.recv(), if !supervised => {}
            () = supervisor_gone(), if supervised => {}
        }
        sender.send_replace(true);
        // Kept open, so that `changed` never fails before the process ends.
        std::future::pending::<()>().await;
    });
    Ok(receiver)
}

async fn supervisor_gone() {
    let mut byte = [0];
    // The supervisor writes nothing: whatever ends the read means that it is gone.
    let _ = tokio::io::stdin().read(&mut byte).await;
}

/// Waits for it.
pub(crate) async fn stopped(mut receiver: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a reason to stop as well.
    let _ = receiver.wait_for(|stop| *stop).await;
}
