//! Certificates that are renewed while we run.

use super::found::Found;
use super::tls::Tls;
use crate::config::Config;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// How often the files are looked at.
pub(super) const EVERY: Duration = Duration::from_secs(60);

/// Reads all files again when one has changed; what does not fit together stays out, and is tried again. Connections that
/// stand are not touched.
pub(super) async fn keep(
    (config, folder, places): (Config, PathBuf, Arc<Found>),
    tls: watch::Sender<Arc<Tls>>,
    every: Duration,
) {
    let files: Vec<PathBuf> = config.tls_files().map(|file| folder.join(file)).collect();
    let mut read = stamps(&files).await;
    while !files.is_empty() && !tls.is_closed() {
        tokio::time::sleep(every).await;
        let found = stamps(&files).await;
        if found == read {
            continue;
        }
        match Tls::load(&config, &folder, &places) {
            Ok(renewed) => {
                tracing::info!("the certificates of SIP have changed and are used from now on");
                tls.send_replace(Arc::new(renewed));
                read = found;
            }
            Err(error) => {
                tracing::warn!(%error, "the certificates of SIP have changed and cannot be used: the old ones stay")
            }
        }
    }
}

async fn stamps(files: &[PathBuf]) -> Vec<Option<(SystemTime, u64)>> {
    let mut stamps = Vec::new();
    for file in files {
        stamps.push(stamp(file).await);
    }
    stamps
}

async fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let found = tokio::fs::metadata(file).await.ok()?;
    Some((found.modified().ok()?, found.len()))
}
