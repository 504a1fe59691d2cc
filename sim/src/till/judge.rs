//! When everything is over: the bank's own books against ours.

use super::Till;
use super::disk::{Row, State};
use gateway::Kind;
use serde_json::Value;
use std::collections::BTreeMap;

impl Till {
    pub(super) fn judge(&mut self) {
        let (method, path) = ("GET".to_owned(), "/v1/ledger".to_owned());
        let request = lab::acquirer::Request { method, path, headers: Vec::new(), body: Vec::new() };
        let (answer, _) = self.bank.handle(self.now, &request);
        let ledger: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let rows = |name: &str| ledger.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let charges = rows("charges");
        let mut at_bank: BTreeMap<String, Value> = BTreeMap::new();
        at_bank.extend(charges.iter().chain(&rows("operations")).map(|row| (text(row, "reference"), row.clone())));
        let mut broken = Vec::new();
        for row in self.disk.rows() {
            broken.extend(differs(row, at_bank.remove(&row.operation.attempt.to_string()).as_ref()));
        }
        broken.extend(at_bank.keys().map(|reference| format!("the bank knows {reference}, we do not")));
        let kept = charges.iter().filter(|row| text(row, "status") == "approved" && !is_back(row)).count();
        if kept > 1 {
            broken.push(format!("{kept} charges of one payment stand"));
        }
        if self.payment.as_ref().is_some_and(payment::Payment::holds_card) {
            broken.push("a card is held after all is over".to_owned());
        }
        self.report.broken.extend(broken);
    }
}

fn differs(row: &Row, at_bank: Option<&Value>) -> Option<String> {
    let minor = |row: &Value| row.get("amount").and_then(Value::as_i64).unwrap_or(-1);
    let agrees = match (&row.state, at_bank) {
        (State::Approved { amount, .. }, Some(found)) => {
            let whole = row.operation.kind == Kind::Authorize || row.operation.amount == Some(*amount);
            text(found, "status") == "approved" && minor(found) == amount.minor && whole
        }
        (State::Declined, Some(found)) => text(found, "status") == "declined",
        (State::Nothing, None) => true,
        _ => false,
    };
    (!agrees).then(|| {
        format!("{:?} {}: we say {:?}, the bank {at_bank:?}", row.operation.kind, row.operation.attempt, row.state)
    })
}

/// Was all of a charge given back?
fn is_back(row: &Value) -> bool {
    let number = |name: &str| row.get(name).and_then(Value::as_i64).unwrap_or(0);
    row.get("voided").and_then(Value::as_bool).unwrap_or(false)
        || (number("captured") > 0 && number("refunded") >= number("captured"))
}

fn text(row: &Value, name: &str) -> String {
    row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
