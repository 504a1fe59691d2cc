//! RTCP with a phone that is not ours: a caller who has a port of its own for it, and an agent who shares RTP's.

use crate::baresip::Baresip;
use crate::capture::{self, Capture, Report};
use crate::stage::{Route, Setting, Stage, free_phone};
use anyhow::Context;
use lab::desk::text;
use std::time::Duration;

const WAIT_MAX: Duration = Duration::from_secs(20);
/// Both sides have answered a report by then: ours come after 3.75 and 7.5 s more at the latest, baresip's every 5 s.
const TALK: Duration = Duration::from_secs(14);
/// Those of the call and of both phones.
const PORTS: std::ops::Range<u16> = 11_500..11_700;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_and_we_report_to_each_other_on_one_port_and_on_two() -> anyhow::Result<()> {
    let (caller, agent) = (free_phone()?, free_phone()?);
    let route = Route { extension: "1001".to_owned(), caller, agent };
    let stage = Stage::start("rtcp", Setting::new(15, vec![route])).await?;
    let folder = stage.folder.path();
    let mut caller = Baresip::start(folder, "caller", caller, "11600-11649", "").await?;
    let shares = "11650-11699\nrtcp_mux yes";
    let agent = Baresip::start(folder, "1001", agent, shares, ";answermode=auto").await?;
    let desk = stage.desk("1001").await?;
    let capture = Capture::start(folder, "rtcp", &PORTS.collect::<Vec<_>>()).await?;
    caller.order("dial", &format!("sip:02079460018@{}", stage.sip)).await?;
    caller.says("Call established").await.context("calling")?;
    agent.says("RTP/RTCP multiplexing enabled").await?;
    let call = desk.wait_for_call("talking", WAIT_MAX).await?;
    desk.start_payment(text(&call, "/call"), 4200, "GBP").await?;
    desk.line(text(&call, "/call"), "secure").await?;
    tokio::time::sleep(TALK).await;
    caller.order("hangup", "").await?;
    agent.says("session closed").await?;
    if let Some(capture) = capture {
        judge(&capture::reports(&capture.end().await?).await?);
    }
    stage.passed();
    Ok(())
}

/// Each side has reported to the other, from and to the ports that were agreed on, and answered what it was told.
fn judge(reports: &[Report]) {
    let (ours, theirs): (Vec<&Report>, Vec<&Report>) = reports.iter().partition(|report| report.from < 11_600);
    let to_caller = |report: &Report| (11_600..11_650).contains(&report.to.max(report.from));
    for (side, odd) in [("caller", 1), ("agent", 0)] {
        let of_side = |all: &[&Report]| -> Vec<String> {
            let all = all.iter().filter(|report| to_caller(report) == (side == "caller"));
            let all = all.inspect(|report| assert_eq!((report.from % 2, report.to % 2), (odd, odd), "{report:?}"));
            all.filter(|report| report.answers).map(|report| report.types.clone()).collect()
        };
        assert!(of_side(&theirs).iter().any(|types| types == "200,202"), "{side}: {reports:?}");
        let ours = of_side(&ours);
        assert!(ours.first().is_some_and(|types| types == "200,202"), "{side}: {reports:?}");
        assert!(ours.last().is_some_and(|types| types == "200,202,203"), "{side} was told no end: {reports:?}");
    }
}
