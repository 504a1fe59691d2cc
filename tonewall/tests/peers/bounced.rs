//! A contact centre sends the caller to us to pay alone, and has them back with what became of it. PJSIP on both sides: the agent's
//! phone sends REFER with headers in the address, the caller's follows it.

use crate::baresip::{CARD, WAIT_MAX};
use crate::decoders::{Read, decode};
use crate::pjsip::Pjsip;
use crate::stage::{READY_MAX, Route, Setting, Stage, free_phone};
use crate::tools::signal;
use anyhow::Context;
use lab::desk::{Desk, text, wait_for};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;

const WANTED: &str = "X-Tonewall-Amount=4200&X-Tonewall-Reference=INV-77";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_is_sent_to_us_pays_alone_and_goes_back_with_the_result() -> anyhow::Result<()> {
    let (caller_at, centre_at) = (free_phone()?, free_phone()?);
    // The lane that every stage has; nobody calls on it.
    let route = Route { extension: "1001".to_owned(), caller: free_phone()?, agent: free_phone()? };
    let more = format!(
        "\n[[trunk]]\nname = \"centre\"\naddress = [\"{centre_at}\", \"{caller_at}\"]\n\
         [[route]]\nfrom = \"centre\"\nto = \"centre\"\nprefix = \"7900\"\nextension = \"1001\"\n\
         bounce = {{ merchant = \"main\", currency = \"GBP\", minor_max = 50000 }}\n"
    );
    let setting = Setting { ports: (20_800, 20_839), more, ..Setting::new(0, vec![route]) };
    let stage = Stage::start("bounced", setting).await?;
    let mut caller = Pjsip::start(&stage, "caller", caller_at, 20_840, ["udp", "plain"]).await?;
    let mut centre = Pjsip::start(&stage, "1001", centre_at, 20_860, ["udp", "plain"]).await?;
    let desk = stage.desk("1001").await?;
    caller.order(&format!("dial sip:1001@{centre_at}")).await?;
    centre.says("media active").await.context("speaking without us")?;
    caller.order("rfc2833 9").await?;
    centre.says("heard 9").await.context("the control: keys are heard there without us")?;

    centre.order(&format!("transfer sip:7900@{}?{WANTED}", stage.sip)).await?;
    let call = desk.wait_for_call("self_service", WAIT_MAX).await?;
    assert_eq!((text(&call, "/way"), text(&call, "/line")), ("bounced", "secured"));
    assert_eq!(call.pointer("/keys_cross_pbx"), Some(&true.into()));
    let payment = text(&call, "/payment/payment").to_owned();
    desk.wait_for_payment(&payment, &["capturing"], WAIT_MAX).await?;
    centre.order("hangup").await.ok();
    pay(&mut caller).await?;
    let log = centre.says("told X-Tonewall-Result: approved").await?;
    assert!(log.contains("told X-Tonewall-Reference: INV-77") && log.contains("told X-Tonewall-Last4: 4242"), "{log}");
    assert!(
        log.contains(&format!("told X-Tonewall-Payment: {payment}")) && log.contains("told User-to-User: "),
        "{log}"
    );
    desk.wait_for_call("talking", WAIT_MAX).await.context("the caller is back")?;
    let paid = desk.wait_for_payment(&payment, &["approved"], WAIT_MAX).await?;
    assert_eq!((text(&paid, "/card/last4"), text(&paid, "/reference")), ("4242", "INV-77"));
    assert_eq!(stage.ledger().await?.len(), 1);

    tokio::time::sleep(Duration::from_millis(500)).await;
    let log = centre.log()?;
    assert_eq!(log.matches("heard ").count(), 1, "the contact centre's phone tells of more than the open key:\n{log}");
    caller.quit().await?;
    let heard = centre.quit().await?;
    let nine = decode(&heard).await?;
    assert_eq!(nine, Read { multimon: String::new(), spandsp: String::new() });
    stage.passed();
    Ok(())
}

async fn pay(caller: &mut Pjsip) -> anyhow::Result<()> {
    for keys in CARD {
        caller.order(&format!("rfc2833 {keys}")).await?;
    }
    Ok(())
}

/// A bank that declines it (05).
const DECLINED: [&str; 3] = ["4000000000000002*", "1235", "123"];
/// Three times twenty seconds without a key, and some.
const SLOW_MAX: Duration = Duration::from_secs(90);

/// A contact centre and a caller who are both of PJSIP, at a number where callers pay alone.
struct Centre {
    stage: Stage,
    desk: Desk,
    caller: Pjsip,
    centre: Pjsip,
    centre_at: SocketAddr,
}

impl Centre {
    async fn start(name: &str, first_port: u16) -> anyhow::Result<Self> {
        let (caller_at, centre_at) = (free_phone()?, free_phone()?);
        let route = Route { extension: "1001".to_owned(), caller: free_phone()?, agent: free_phone()? };
        let more = format!(
            "\n[[trunk]]\nname = \"centre\"\naddress = [\"{centre_at}\", \"{caller_at}\"]\n\
             [[route]]\nfrom = \"centre\"\nto = \"centre\"\nprefix = \"7900\"\nextension = \"1001\"\n\
             bounce = {{ merchant = \"main\", currency = \"GBP\", minor_max = 50000 }}\n"
        );
        let setting = Setting { ports: (first_port, first_port + 39), more, ..Setting::new(0, vec![route]) };
        let stage = Stage::start(name, setting).await?;
        let caller = Pjsip::start(&stage, "caller", caller_at, first_port + 40, ["udp", "plain"]).await?;
        let centre = Pjsip::start(&stage, "1001", centre_at, first_port + 60, ["udp", "plain"]).await?;
        let desk = stage.desk("1001").await?;
        Ok(Self { stage, desk, caller, centre, centre_at })
    }

    /// The two speak without us, and then the caller is to go where they pay.
    async fn transfers(&mut self, wanted: &str) -> anyhow::Result<()> {
        let before = self.centre.log()?.matches("state CONFIRMED").count();
        self.caller.order(&format!("dial sip:1001@{}", self.centre_at)).await?;
        self.centre.says_times("state CONFIRMED", before + 1).await.context("speaking without us")?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.centre.order(&format!("transfer sip:7900@{}?{wanted}", self.stage.sip)).await
    }

    /// They do, and are asked for a card; says as which payment.
    async fn sends(&mut self, wanted: &str) -> anyhow::Result<String> {
        self.transfers(wanted).await?;
        let call = self.desk.wait_for_call("self_service", WAIT_MAX).await?;
        let payment = text(&call, "/payment/payment").to_owned();
        // The call is shown a moment before the payment is stored.
        wait_for(WAIT_MAX, "the payment's row", async || Ok(self.desk.payment(&payment).await.ok())).await?;
        self.desk.wait_for_payment(&payment, &["capturing"], WAIT_MAX).await?;
        self.centre.order("hangup").await?;
        Ok(payment)
    }

    /// The caller hangs up, and it is over.
    async fn over(&mut self) -> anyhow::Result<()> {
        self.caller.order("hangup").await?;
        wait_for(WAIT_MAX, "the end of the call", async || Ok(self.desk.calls().await?.is_empty().then_some(()))).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_declined_hangs_up_or_keys_nothing() -> anyhow::Result<()> {
    let mut world = Centre::start("bounced-not", 20_900).await?;
    let payment = world.sends("X-Tonewall-Amount=4200&X-Tonewall-Reference=NO-1").await?;
    for keys in DECLINED {
        world.caller.order(&format!("rfc2833 {keys}")).await?;
    }
    let log = world.centre.says("told X-Tonewall-Result: declined").await?;
    assert!(log.contains("told X-Tonewall-Reason: do_not_honor") && !log.contains("Auth-Code"), "{log}");
    // The caller is with the agent again: nothing more is tried with it.
    let ended = world.desk.wait_for_payment(&payment, &["declined", "cancelled"], WAIT_MAX).await?;
    assert!(ended.to_string().contains("do_not_honor"), "{ended}");
    world.over().await?;

    let payment = world.sends("X-Tonewall-Amount=4200&X-Tonewall-Reference=GONE-1").await?;
    world.caller.order("rfc2833 42424242").await?;
    world.over().await?;
    let left = world.desk.wait_for_payment(&payment, &["cancelled"], WAIT_MAX).await?;
    assert!(left.to_string().contains("bounce_ended"), "{left}");
    assert_eq!(world.centre.log()?.matches("told X-Tonewall-Result").count(), 1, "nobody is called back for them");

    let payment = world.sends("X-Tonewall-Amount=4200&X-Tonewall-Reference=SLOW-1").await?;
    world.desk.wait_for_payment(&payment, &["cancelled"], SLOW_MAX).await?;
    let log = world.centre.says("told X-Tonewall-Result: canceled").await?;
    assert!(log.contains("told X-Tonewall-Reason: too_slow") && !log.contains("approved"), "{log}");
    let ledger = world.stage.ledger().await?;
    assert_eq!(ledger.len(), 1, "only the first was sent: {ledger:?}");
    world.stage.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_order_is_refused_after_kill_9_whether_it_was_approved_or_in_flight() -> anyhow::Result<()> {
    let mut world = Centre::start("bounced-kill", 21_000).await?;
    world.sends(WANTED).await?;
    pay(&mut world.caller).await?;
    world.centre.says("told X-Tonewall-Result: approved").await?;
    world.over().await?;
    world.dies_and_is_asked_again(WANTED, 1, false).await.context("approved")?;

    world.stage.faults(json!({"delay_ms": 8_000, "next": ["delay"]})).await?;
    let wanted = "X-Tonewall-Amount=4300&X-Tonewall-Reference=INV-78";
    let payment = world.sends(wanted).await?;
    pay(&mut world.caller).await?;
    world.desk.wait_for_payment(&payment, &["authorizing"], WAIT_MAX).await?;
    world.dies_and_is_asked_again(wanted, 2, true).await.context("in flight")?;
    world.sends("X-Tonewall-Amount=4400&X-Tonewall-Reference=INV-79").await.context("the control: another is taken")?;
    let ledger = world.stage.ledger().await?;
    assert_eq!(ledger.len(), 2, "{ledger:?}");
    world.stage.passed();
    Ok(())
}

impl Centre {
    /// The cde is killed and comes again; the order is refused for the so many-th time.
    async fn dies_and_is_asked_again(
        &mut self,
        wanted: &str,
        times: usize,
        is_on_the_line: bool,
    ) -> anyhow::Result<()> {
        let before = self.stage.pid("cde").await?;
        signal("KILL", before);
        wait_for(READY_MAX, "another life", async || Ok((self.stage.pid("cde").await? != before).then_some(())))
            .await?;
        self.stage.ready().await?;
        if is_on_the_line {
            // For the caller alone the call goes on.
            self.caller.order("hangup").await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.transfers(wanted).await?;
        self.centre.says_times("transfer 403", times).await?;
        self.centre.order("hangup").await
    }
}
