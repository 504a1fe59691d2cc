//! The telephone in a web page, by which a person is the demo's caller: a trunk of pages with one phone, and its password.

use super::{EXTENSION, NUMBER, free_tcp};
use anyhow::Context;
use lab::web_phone::{Account, Bound};
use std::net::SocketAddr;
use tokio::sync::watch;

/// What it signs in with, and what the desk shows: a number of nobody (Ofcom's, for films).
const NAME: &str = "+447700900155";

/// A phone whose page is not served yet.
pub(super) struct Phone {
    bound: Bound,
    /// Where Tonewall listens for it.
    sip: SocketAddr,
    account: Account,
}

impl Phone {
    pub(super) async fn new() -> anyhow::Result<Self> {
        let bound = Bound::new().await.context("the page of the telephone")?;
        let sip = free_tcp()?;
        let password = lab::line::random_seed().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let account =
            Account { url: format!("ws://{sip}"), user: NAME.to_owned(), password, number: NUMBER.to_owned() };
        Ok(Self { bound, sip, account })
    }

    /// Its part of `[sip]`.
    pub(super) fn listens(&self) -> String {
        format!("listen_ws = \"{}\"\nws_origins = [\"http://{}\"]\n", self.sip, self.bound.address())
    }

    /// Its trunk, itself and its route.
    pub(super) fn trunk(&self) -> String {
        format!(
            "\n[[trunk]]\nname = \"person\"\ntransport = \"ws\"\n\n\
             [[phone]]\nname = \"{NAME}\"\ntrunk = \"person\"\npassword = \"{}\"\ndigest = \"legacy\"\n\n\
             [[route]]\nfrom = \"person\"\nto = \"pbx\"\nextension = \"{EXTENSION}\"\n",
            self.account.password
        )
    }

    pub(super) fn serve(self) -> Page {
        Page { address: self.bound.address(), tabs: self.bound.serve(self.account) }
    }
}

/// The page.
pub(crate) struct Page {
    address: SocketAddr,
    tabs: watch::Receiver<usize>,
}

impl Page {
    pub(crate) fn link(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many tabs have it open, now and whenever that changes.
    pub(crate) fn tabs(&self) -> watch::Receiver<usize> {
        self.tabs.clone()
    }
}
