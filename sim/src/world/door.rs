//! The door: lines both ways, in order, until the connection breaks; and what each side says when they meet again.

use super::charge::Write;
use super::{Happening, World};
use crate::oracle::Promise;
use std::time::Instant;
use wire::{Event, FromCde, FromOffice, Record};

/// One line on its way.
pub(super) struct Line {
    connection: u32,
    to_office: bool,
    bytes: Vec<u8>,
}

/// The connection that stands, if any.
#[derive(Default)]
pub(super) struct Door {
    connection: u32,
    up: bool,
    /// For each direction: lines said, lines taken, and when the last one arrives.
    office: Way,
    cde: Way,
    /// The newest record that was sent on this connection; none before the office has said what it has.
    sent: Option<u64>,
    caught_up: bool,
}

#[derive(Default)]
struct Way {
    said: u64,
    taken: u64,
    arrives: Option<Instant>,
}

impl Door {
    pub(super) fn broken(&mut self) {
        self.up = false;
    }

    pub(super) fn is_up(&self) -> bool {
        self.up
    }
}

impl World {
    pub(super) fn connect_door(&mut self) {
        let down = self.is_down(crate::plan::Side::Cde) || self.is_down(crate::plan::Side::Office);
        if down || self.door.up {
            return;
        }
        self.door = Door { connection: self.door.connection + 1, up: true, ..Door::default() };
        let calls = self.cde.as_ref().map(|cde| cde.board.snapshots()).unwrap_or_default();
        let journal = self.journal.id;
        self.say_to_office(&FromCde::Hello { journal, calls, warnings: Vec::new() });
        let acknowledged = self.stored.number();
        self.say_to_cde(&FromOffice::Hello { journal: Some(journal), acknowledged });
        self.resend_commands();
    }

    pub(super) fn break_door(&mut self) {
        self.door.broken();
        let again = self.dice.ms(50, 2_000);
        self.after(again, Happening::Connect);
    }

    pub(super) fn say_to_office(&mut self, word: &FromCde) {
        if !self.door.up {
            return;
        }
        self.door.office.said += 1;
        match wire::encode(self.door.office.said, word) {
            Ok(bytes) => {
                self.oracle.written("on the door", &bytes);
                self.send_line(true, bytes);
            }
            Err(error) => self.oracle.broken(Promise::RecordsArrive, format!("a word cannot be said: {error}")),
        }
    }

    pub(super) fn say_to_cde(&mut self, word: &FromOffice) {
        if !self.door.up {
            return;
        }
        self.door.cde.said += 1;
        match wire::encode(self.door.cde.said, word) {
            Ok(bytes) => self.send_line(false, bytes),
            Err(error) => self.oracle.broken(Promise::CommandsAreAnswered, format!("a word cannot be said: {error}")),
        }
    }

    fn send_line(&mut self, to_office: bool, bytes: Vec<u8>) {
        let travel = self.dice.ms(0, 8);
        let way = if to_office { &mut self.door.office } else { &mut self.door.cde };
        let at = (self.now + travel).max(way.arrives.unwrap_or(self.now));
        way.arrives = Some(at);
        let connection = self.door.connection;
        self.at(at, Happening::Line(Line { connection, to_office, bytes }));
    }

    pub(super) fn deliver_line(&mut self, line: &Line) {
        if !self.door.up || line.connection != self.door.connection {
            return;
        }
        let way = if line.to_office { &mut self.door.office } else { &mut self.door.cde };
        way.taken += 1;
        let number = way.taken;
        let understood = if line.to_office {
            wire::decode(number, &line.bytes).map(|word| self.office_hears(word))
        } else {
            wire::decode(number, &line.bytes).map(|word| self.cde_hears(word))
        };
        if let Err(error) = understood {
            self.oracle.broken(Promise::RecordsArrive, format!("the door is not understood: {error}"));
        }
    }

    fn cde_hears(&mut self, word: FromOffice) {
        match word {
            FromOffice::Hello { acknowledged, .. } => {
                self.write(Write::Acknowledge(acknowledged));
                self.door.sent = Some(acknowledged);
            }
            FromOffice::Command(command) => {
                if let Some(cde) = &mut self.cde {
                    cde.board.handle_command(self.now, &command);
                }
            }
            FromOffice::Ack { number } => self.write(Write::Acknowledge(number)),
            FromOffice::Ping => {}
        }
    }

    /// What is on the disk and was not yet said.
    pub(super) fn send_records(&mut self) {
        let Some(sent) = self.door.sent.filter(|_| self.door.up && self.cde.is_some()) else { return };
        if sent < self.journal.newest {
            let records: Vec<Record> = self.journal.after(sent).cloned().collect();
            self.door.sent = Some(self.journal.newest);
            records.into_iter().for_each(|record| self.say_to_office(&FromCde::Record(record)));
        }
        if !std::mem::replace(&mut self.door.caught_up, true) {
            self.say_to_office(&FromCde::CaughtUp);
        }
    }

    fn office_hears(&mut self, word: FromCde) {
        match word {
            FromCde::Hello { calls, .. } => {
                if let Some(office) = &mut self.office {
                    office.calls = calls.into_iter().map(|call| (call.call, call)).collect();
                }
            }
            FromCde::Event(Event::CommandEnded { id, .. }) => self.command_ended(id),
            FromCde::Event(event) => {
                if let Some(office) = &mut self.office {
                    office.see(event);
                }
            }
            FromCde::Record(record) => self.store(&record),
            FromCde::CaughtUp | FromCde::Ping => {}
        }
    }
}
