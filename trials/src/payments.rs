//! Payments by the hundred thousand at banks that break, and a cde that is killed all the while.
//!
//! Everything is real but the people: the program as it runs, its journal on disk, HTTP to the sandbox acquirer, charges that
//! come in by the pay connector, and the door, at which this trial is the office. What the agents were told, what the office
//! was told and what stands in the banks' books must be the same ([`oracle`]).
//!
//! The whole goes in rounds. In a round agents take payments, the process is killed again and again, and at the end the
//! banks cannot be reached; from the moment at which they can, everything that is unknown must be settled in
//! [`SETTLED_MAX`].

#![expect(clippy::disallowed_methods, reason = "who measures time needs a clock")]

mod agent;
mod bank;
mod cde;
mod office;
mod oracle;

use crate::dice::Dice;
use agent::{Agents, Invoice};
use anyhow::{Context, ensure};
use bank::Bank;
use cde::Cde;
use office::Office;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How soon after its gateway can be reached every outcome must be known.
const SETTLED_MAX: Duration = Duration::from_secs(60);
/// What is given back takes a void after that.
const GIVEN_BACK_MAX: Duration = Duration::from_secs(120);
/// At the end of a round nobody answers at the banks.
const OUTAGE: Duration = Duration::from_secs(2);
/// Agents of each shop.
const AGENTS: usize = 24;
/// A kill waits no longer for the payments before it.
const KILL_WAIT: Duration = Duration::from_secs(20);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many payments.
    #[arg(long, default_value_t = 100_000)]
    payments: usize,
    /// How often the cde is killed.
    #[arg(long, default_value_t = 1_000)]
    kills: usize,
    /// Payments of a round.
    #[arg(long, default_value_t = 5_000)]
    round: usize,
    /// At which banks; `keyed` and `keyless` if none is named.
    #[arg(long, value_enum)]
    at: Vec<Shop>,
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Agents that lose their answer order a new charge. This must be found out.
    #[arg(long)]
    naive: bool,
    /// The program with `cde`.
    #[arg(long, default_value = "target/debug/tonewall", value_name = "FILE")]
    tonewall: PathBuf,
}

/// Who takes money, and at which bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shop {
    /// A bank that knows an idempotency key again. Approvals that come late are kept.
    Keyed,
    /// One that executes whatever it is sent. Approvals that come late are given back.
    Keyless,
    /// The sandbox's Stripe-shaped face, by the adapter for Stripe. Approvals that come late are kept.
    Stripe,
}

impl Shop {
    const USUAL: [Self; 2] = [Self::Keyed, Self::Keyless];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Keyed => "keyed",
            Self::Keyless => "keyless",
            Self::Stripe => "stripe",
        }
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    // An error means that it is installed already.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(trial(options)).with_context(|| format!("seed {}", options.seed))
}

async fn trial(options: &Options) -> anyhow::Result<()> {
    let shops: Vec<Shop> = if options.at.is_empty() { Shop::USUAL.to_vec() } else { options.at.clone() };
    let mut dice = Dice::new(options.seed);
    let mut banks = Vec::new();
    for shop in &shops {
        banks.push(Bank::open(*shop).await?);
    }
    let mut cde = Cde::prepare(&options.tonewall, &banks)?;
    for bank in &mut banks {
        bank.tell_webhooks(cde.inbound).await?;
    }
    let office = Office::begin(cde.door());
    let agents = Arc::new(Agents::new(cde.inbound, options.naive)?);
    let (began, mut slowest, mut left, mut kills) = (Instant::now(), Duration::ZERO, options.payments, 0);
    let mut next = 0;
    while left > 0 {
        let count = left.min(options.round);
        left -= count;
        let kills_of_round = (options.kills * (options.payments - left) / options.payments) - kills;
        let invoices: Vec<Invoice> =
            (next..next + count).map(|n| Invoice::new(n, shops[n % shops.len()], &mut dice)).collect();
        next += count;
        let round = Round { banks: &mut banks, cde: &mut cde, office: &office, agents: &agents, dice: &mut dice };
        let settled = round.play(invoices, kills_of_round, options.seed.wrapping_add(next as u64)).await?;
        (kills, slowest) = (kills + kills_of_round, slowest.max(settled));
        println!(
            "{next} payments, {kills} kills, {:.0} s, settled {:.1} s after the banks could be reached; {}",
            began.elapsed().as_secs_f64(),
            settled.as_secs_f64(),
            judge(&banks, &office, &agents, &mut cde).await?
        );
    }
    let log = cde.log();
    println!(
        "{} payments, {} kills in {:.0} s; in flight at a kill: {}; told by a webhook first: {}; slowest settled after {:.1} s",
        options.payments,
        cde.kills,
        began.elapsed().as_secs_f64(),
        log.matches("the outcome of an attempt was not known").count(),
        log.matches("a webhook says how it ended").count(),
        slowest.as_secs_f64(),
    );
    ensure!(!log.contains("panicked"), "it panicked: {}", cde.keep());
    ensure!(slowest <= SETTLED_MAX, "an outcome was known only after {:.1} s", slowest.as_secs_f64());
    Ok(())
}

/// What was found so far; an error where anything was.
async fn judge(banks: &[Bank], office: &Office, agents: &Agents, cde: &mut Cde) -> anyhow::Result<oracle::Judged> {
    let judged = oracle::judge(banks, office, agents).await?;
    ensure!(judged.is_good(), "{judged}\n{}what is left lies in {}", judged.findings(), cde.keep());
    Ok(judged)
}

struct Round<'a> {
    banks: &'a mut [Bank],
    cde: &'a mut Cde,
    office: &'a Office,
    agents: &'a Arc<Agents>,
    dice: &'a mut Dice,
}

impl Round<'_> {
    /// How long after the banks could be reached the last outcome was known.
    async fn play(self, invoices: Vec<Invoice>, kills: usize, seed: u64) -> anyhow::Result<Duration> {
        let Self { banks, cde, office, agents, dice } = self;
        for bank in banks.iter() {
            bank.break_down(seed).await?;
        }
        cde.start().await?;
        let count = invoices.len();
        let ways = agents.begin(invoices, count.div_ceil(kills + 1), AGENTS * banks.len());
        for kill in 0..kills {
            let enough = agents.done_at_least(count * kill / (kills + 1) + dice.pick(count / (kills + 1) + 1));
            // One that is reached late, because much waits, is a kill as well.
            let _ = tokio::time::timeout(KILL_WAIT, enough).await;
            tokio::time::sleep(Duration::from_millis(dice.pick(60) as u64)).await;
            cde.kill()?;
            agents.allow_one_more();
            cde.spawn()?;
            if dice.pick(10) == 0 {
                // Also while it is still starting: it counts, and is started again.
                tokio::time::sleep(Duration::from_millis(dice.pick(150) as u64)).await;
                cde.kill_and_spawn()?;
            }
            cde.ready().await?;
        }
        agents.allow_all();
        ways.wait().await?;
        banks.iter_mut().for_each(Bank::close);
        tokio::time::sleep(OUTAGE).await;
        for bank in banks.iter_mut() {
            bank.reopen().await?;
            bank.mend().await?;
        }
        let reachable = Instant::now();
        agents.settle(GIVEN_BACK_MAX).await?;
        office.wait_until_settled(reachable + GIVEN_BACK_MAX).await;
        Ok(office.newest_outcome().map_or(Duration::ZERO, |at| at.saturating_duration_since(reachable)))
    }
}
