//! `tonewall demo`: everything on this machine, offline.

mod caller;
mod once;

use crate::world::{Setting, World, own_media};
use crate::{crypto, print, runtime, stop, tell};
use anyhow::Context;
use caller::Story;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Play one whole call by itself, print one line of JSON and end; status 0 only if it was approved and nothing leaked.
    #[arg(long)]
    once: bool,
    /// Do not wait for a browser. Needs --once.
    #[arg(long, requires = "once")]
    headless: bool,
    /// What the caller does in the first call; later ones vary.
    #[arg(long, value_enum, default_value = "approve")]
    story: Story,
    /// How the caller's keys travel.
    #[arg(long, value_enum, default_value = "events")]
    keys: Keys,
    /// Where the desk is served; the default takes a free port.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: std::net::SocketAddr,
}

/// How keys travel.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Keys {
    /// RFC 4733 telephone-event.
    Events,
    /// SIP INFO.
    Info,
    /// Both at once for every key.
    Both,
    /// Tones in the sound.
    Tones,
}

impl From<Keys> for lab::phone::Transport {
    fn from(keys: Keys) -> Self {
        match keys {
            Keys::Events => Self::Events,
            Keys::Info => Self::Info,
            Keys::Both => Self::EventsAndInfo,
            Keys::Tones => Self::InBand,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    crypto();
    runtime()?.block_on(async {
        let stop = stop::signal_to_stop(false)?;
        let (listen, page) = (arguments.listen, !arguments.once);
        let setting = Setting { name: "demo", listen, media: own_media(), records: true, page };
        let world = World::start(setting).await.context("starting the demo")?;
        let transport = arguments.keys.into();
        if arguments.once {
            let result = once::play(&world, transport, arguments.headless).await;
            world.end().await;
            let report = result?;
            print(&report.to_string());
            return Ok(if report.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        tell(&welcome(&world));
        let kept = world.recordings();
        tokio::select! {
            result = caller::play(&world, transport, arguments.story) => result?,
            () = stop::stopped(stop) => {}
        }
        // The caller is only played, so nobody has to be waited for.
        world.hang_up().await;
        world.end().await;
        tell(&format!("The recordings are kept in {}; delete them when you like.", kept.display()));
        Ok(ExitCode::SUCCESS)
    })
}

fn welcome(world: &World) -> String {
    let telephone = world.page.as_ref().map(|page| {
        format!(
            "Or be the caller yourself, with this computer's microphone and keys. Open this in a second tab:\n\n  {}\n\n\
             While it is open, nobody else rings.\n",
            page.link()
        )
    });
    format!(
        "\nTonewall demo. Open this link, once, in a browser on this machine:\n\n  {}\n\n\
         A caller rings. Type an amount, secure the line, and watch the caller key a test card.\n\n{}\
         Recordings of the agent's side: {}\nCtrl-C ends the demo.\n",
        world.link(),
        telephone.unwrap_or_default(),
        world.recordings().display()
    )
}
