//! `tonewall check`: reads both files and says what is wrong, and what is right but weak.

use crate::{print, tell};
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn run(folder: &Path) -> anyhow::Result<ExitCode> {
    let cde = node::Config::load(&folder.join("cde.toml"));
    let office = console::Config::load(folder);
    for problem in [cde.as_ref().err().map(ToString::to_string), office.as_ref().err().map(ToString::to_string)] {
        problem.iter().for_each(|problem| tell(&format!("error: {problem}")));
    }
    let (Ok(cde), Ok(_)) = (cde, office) else { return Ok(ExitCode::FAILURE) };
    for warning in warnings(&cde) {
        print(&format!("warning: {warning}"));
    }
    print(&format!("{}: the configuration is usable", folder.display()));
    Ok(ExitCode::SUCCESS)
}

fn warnings(cde: &node::Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if cde.trunk.iter().any(|trunk| !trunk.address.0.is_loopback()) {
        warnings
            .push("trunks speak plain SIP over UDP and plain RTP: keys can be heard on the network between".to_owned());
    }
    if cde.route.is_empty() {
        warnings.push("there is no [[route]]: every call is refused with 404".to_owned());
    }
    if cde.merchant.is_empty() {
        warnings.push("there is no [[merchant]]: no payment can be taken".to_owned());
    }
    for gateway in cde.gateway.iter().filter(|gateway| gateway.kind == node::config::GatewayKind::Sandbox) {
        warnings.push(format!("gateway {} is the sandbox: it takes test cards only and moves no money", gateway.name));
    }
    warnings
}
