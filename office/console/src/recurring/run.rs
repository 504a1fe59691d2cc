//! The schedulers of this process: some workers that take payments on, and one that hands them out. While there is no
//! connection to the card side due payments wait; nobody is asked for money that could not be asked.

use super::door::ByDoor;
use super::watch::Change;
use super::{Pauses, Scheduler};
use crate::app::App;
use crate::clock::sample;
use crate::store::audit;
use recurring::Policy;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Payments that are taken at the same time.
const WORKERS: usize = 4;

/// Works until the process is to stop; what is being asked then is asked after by the next process.
pub(crate) async fn keep(app: Arc<App>) {
    if !app.config.recurring.enabled {
        return tracing::warn!("recurring payments are switched off in office.toml: none is taken");
    }
    let settings = &app.config.recurring;
    let ms = |seconds: u32| i64::from(seconds) * 1000;
    let scheduler = Arc::new(Scheduler {
        store: app.store.clone(),
        charge: ByDoor(app.clone()),
        policy: Policy { wait_hours: settings.retry_hours.clone() },
        pauses: Pauses {
            ask_ms: ms(settings.ask_again_s),
            try_ms: ms(settings.try_again_s),
            late_days_max: settings.late_days_max,
        },
        lease_ms: settings.lease_ms(),
    });
    let mut tasks = JoinSet::new();
    for worker in 0..WORKERS {
        tasks.spawn(work(app.clone(), scheduler.clone(), worker == 0));
    }
    while let Some(ended) = tasks.join_next().await {
        if ended.is_err() {
            tracing::error!("a scheduler of recurring payments ended by a fault");
        }
    }
}

async fn work(app: Arc<App>, scheduler: Arc<Scheduler<ByDoor>>, hands_out: bool) {
    let mut stop = app.stop.clone();
    let mut has_caught_up = false;
    while !*stop.borrow() {
        // A database that was restored from a backup learns with the records what was taken since, before it says what is late.
        has_caught_up |= app.hub(|hub| hub.is_caught_up());
        let done = turn(&app, &scheduler, hands_out && has_caught_up).await;
        if matches!(done, Ok(true)) {
            continue;
        }
        if let Err(error) = done {
            tracing::error!(%error, "recurring payments wait: the database does not do its part");
        }
        let pause = Duration::from_millis(app.config.recurring.poll_ms.max(10));
        // An error is the time that is over, which is what was waited for; or the process is ending.
        let _ = timeout(pause, stop.wait_for(|stop| *stop)).await;
    }
}

async fn turn(app: &App, scheduler: &Scheduler<ByDoor>, hands_out: bool) -> Result<bool, crate::StoreError> {
    // Before everything that the card side has to tell is stored, it might be asked for what it has told. Nor may that be stored only
    // after this has looked, which may wait for the database: a restore, of which it tells last, holds payments as the clock does.
    let has_caught_up = app.hub(|hub| hub.is_caught_up());
    let (now, is_right) = look(app).await?;
    if hands_out {
        app.counters.recurring_turn_ms.store(now, Ordering::Relaxed);
    }
    let prepared = hands_out && is_right && scheduler.prepare(now).await?;
    let may_ask = has_caught_up && app.hub(|hub| hub.is_caught_up());
    Ok((may_ask && scheduler.take_one(now, is_right).await?) || prepared)
}

/// The time, and whether it is plausible. What changes is written down before anybody acts on it.
async fn look(app: &App) -> Result<(i64, bool), crate::StoreError> {
    let now = sample();
    let (change, watch) = app.clock(|watch| (watch.look(&now, app.config.recurring.off_ms()), watch.clone()));
    let entry = |what, result| audit::Entry::system(now.wall_ms, what, result, "recurring");
    match change {
        Change::None => {}
        Change::Save => app.store.save_clock(&watch, None).await?,
        Change::Held(why) => {
            tracing::error!(why = why.as_str(), "recurring payments are held: is the clock of this machine right?");
            app.store.save_clock(&watch, Some(&entry("recurring_held", why.as_str()))).await?;
        }
        Change::Plausible => {
            tracing::info!("the clock of this machine is plausible again: recurring payments go on");
            app.store.save_clock(&watch, Some(&entry("recurring_goes_on", "plausible"))).await?;
        }
    }
    Ok((now.wall_ms, watch.held().is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::door::Door;
    use crate::recurring::tests::{LEASE_MS, START_MS, daily};
    use crate::recurring::watch::Doubt;
    use crate::store::recurring::Jobs;
    use crate::store::tests::sqlite;
    use tokio::sync::watch;

    /// A worker had looked before the restore was told of, waited for the database, and took a payment that was held by then.
    #[tokio::test]
    async fn whoever_has_looked_before_a_restore_was_told_of_takes_nothing() {
        let ((store, folder), new) = (sqlite().await, daily(1, 1500));
        store.add(START_MS, &new).await.unwrap();
        store.hand_out(START_MS + 24 * 60 * 60 * 1000, 7).await.unwrap();
        folder.make_due().await;
        let (_stop, stopping) = watch::channel(false);
        let store = Arc::new(store);
        let app = Arc::new(App::new(Config::default(), store.clone(), Door::new().0, stopping).unwrap());
        let scheduler = Scheduler {
            store: store.clone(),
            charge: ByDoor(app.clone()),
            policy: Policy::default(),
            pauses: Pauses::default(),
            lease_ms: LEASE_MS,
        };
        app.hub(|hub| hub.hello(0, Vec::new(), Vec::new()));
        let records = store.writer().begin().await.unwrap();
        let until_it_waits = async {
            while app.clock(|watch| watch.last.is_none()) {
                tokio::task::yield_now().await;
            }
            app.clock(|watch| watch.held = Some((0, Doubt::Restored)));
            app.hub(|hub| hub.caught_up());
            records.rollback().await.unwrap();
        };
        let (done, ()) = tokio::join!(turn(&app, &scheduler, false), until_it_waits);
        assert!(!done.unwrap());
        let tries = async || store.standing(new.id).await.unwrap().unwrap().due[0].tries;
        assert_eq!(tries().await, 0);
        assert!(!turn(&app, &scheduler, false).await.unwrap(), "held");
        app.clock(|watch| watch.held = None);
        assert!(turn(&app, &scheduler, false).await.unwrap(), "the control: then it is taken on");
        assert_eq!(tries().await, 1);
    }
}
