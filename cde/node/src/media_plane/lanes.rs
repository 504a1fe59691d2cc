//! How the media threads get their packets, settled while this process still has the rights that it starts with.

use crate::config::{Config, Steering};
use std::net::IpAddr;
use udp::Lane;

/// The receiving and sending ends of the media threads. Make it before the process gives up its rights.
#[derive(Debug)]
pub struct MediaSockets {
    pub(crate) threads: usize,
    /// One a thread, or none at all.
    pub(crate) lanes: Vec<Lane>,
    /// Why there are none, though there should be.
    pub(crate) trouble: Option<String>,
}

impl MediaSockets {
    /// As `[media]` says.
    pub fn prepare(config: &Config) -> Self {
        let media = &config.media;
        let threads = match media.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            set => set,
        };
        match media.steering {
            Steering::Off => Self::own(threads),
            Steering::Auto => Self::steered(media.address, (media.first_port, media.last_port), threads),
        }
    }

    /// A socket a port.
    pub fn own(threads: usize) -> Self {
        Self { threads, lanes: Vec::new(), trouble: None }
    }

    /// One socket a thread, if this process may; else a socket a port.
    pub fn steered(address: IpAddr, ports: (u16, u16), threads: usize) -> Self {
        let IpAddr::V4(address) = address else { return Self::own(threads) };
        match udp::Steering::attach(address, ports.0, ports.1, threads) {
            Ok(steering) => Self { threads, lanes: steering.into_lanes(), trouble: None },
            Err(error) => {
                let trouble = format!(
                    "media has a socket a port, which carries about half the calls, because its packets could not be \
                     steered to one socket a thread ({error}): that takes Linux 5.9 and, at the start, the capabilities \
                     CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW; `steering = \"off\"` in [media] accepts it"
                );
                Self { threads, lanes: Vec::new(), trouble: Some(trouble) }
            }
        }
    }

    /// Says in the log what it has come to.
    pub(crate) fn tell(&self) {
        match (&self.trouble, self.lanes.is_empty()) {
            (Some(trouble), _) => tracing::warn!("{trouble}"),
            (None, true) => tracing::info!(threads = self.threads, "media: a socket a port"),
            (None, false) => {
                tracing::info!(threads = self.threads, "media: packets are steered to one socket a thread")
            }
        }
    }
}
