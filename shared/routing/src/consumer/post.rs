//! What an endpoint is owed.

use crate::{Endpoint, Entry, Event, Owed, Position};

/// One event for one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    pub position: Position,
    pub entry: &'a Entry,
    pub event: &'a Event,
}

/// What lies before an endpoint's cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog<'a> {
    pub deliveries: Vec<Delivery<'a>>,
    /// Where the cursor stands when all of them are done.
    pub end: Position,
    /// A filter holds events back. The cursor passes them for good: a filter that changes later does not bring them up.
    pub filtered: bool,
    /// An entry was committed under newer settings than the endpoint's; it and what follows are left out.
    pub settings_too_old: bool,
}

/// What of `entries`, a gapless stretch of a log that begins at `from` or before, is owed to the endpoint.
pub fn backlog<'a>(from: Position, entries: &'a [Entry], endpoint: &Endpoint) -> Backlog<'a> {
    let mut backlog = Backlog {
        end: from,
        ..Backlog::default()
    };
    for entry in entries.iter().filter(|entry| entry.slot >= from.slot) {
        match endpoint.is_owed(entry) {
            Owed::SettingsTooOld => {
                backlog.settings_too_old = true;
                break;
            }
            Owed::No => {}
            Owed::Yes => {
                for (place, event) in (0..).zip(&entry.events) {
                    let position = Position {
                        slot: entry.slot,
                        event: place,
                    };
                    if position < from {
                        continue;
                    }
                    match endpoint.wants(event.name()) {
                        true => backlog.deliveries.push(Delivery {
                            position,
                            entry,
                            event,
                        }),
                        false => backlog.filtered = true,
                    }
                }
            }
        }
        backlog.end = Position::slot(entry.slot + 1);
    }
    backlog
}
