//! Mutants of the consumers: they change the arguments or the result of a shipped decision.

use routing::{
    Consumer, Cursor, CursorAssignment, CursorCondition, CursorWrite, Entry, Look, OutboundState,
    Owed, PostWebhook, SettingsScope, Then,
};

use super::Procedure;

/// A write of a cursor.
pub(crate) fn write(mut write: CursorWrite, procedure: Procedure) -> CursorWrite {
    // Only the last move of a run has another write to fall back on.
    if procedure == Procedure::DueOfOthersCleared
        && let Some(but_due) = &write.instead
    {
        write.condition = but_due.condition.clone();
    }
    if procedure == Procedure::DueClearedAtStart
        && let Some(CursorCondition::LeasedTo(_)) = write.repeated
    {
        write.assignments.push(CursorAssignment::NoDue);
    }
    write.condition = condition(write.condition, procedure);
    if let Some(instead) = write.instead {
        write.instead = Some(Box::new(self::write(*instead, procedure)));
    }
    write
}

fn condition(whole: CursorCondition, procedure: Procedure) -> CursorCondition {
    let always = CursorCondition::All(Vec::new());
    match whole {
        CursorCondition::All(all) => {
            let held = all
                .iter()
                .any(|part| matches!(part, CursorCondition::LeasedTo(_)));
            let from_anywhere = held && procedure == Procedure::MovedFromAnywhere;
            let parts = all.into_iter();
            let parts =
                parts.filter(|part| !(from_anywhere && matches!(part, CursorCondition::At(_))));
            CursorCondition::All(parts.map(|part| condition(part, procedure)).collect())
        }
        CursorCondition::Any(any) => {
            let parts = any.into_iter();
            CursorCondition::Any(parts.map(|part| condition(part, procedure)).collect())
        }
        CursorCondition::Free(_) | CursorCondition::LeasedTo(_)
            if procedure == Procedure::NoLease =>
        {
            always
        }
        CursorCondition::DueAfter(_) if procedure == Procedure::LanesHoldUpOthers => {
            CursorCondition::Any(Vec::new())
        }
        other => other,
    }
}

/// The content of a look.
pub(crate) fn look(look: &mut Look, procedure: Procedure) {
    if procedure == Procedure::NoLease {
        for (_, cursor) in &mut look.cursors {
            cursor.lease = None;
        }
    }
    if procedure == Procedure::BeginningAtTheFirstSlot {
        let posts = look.newest.iter_mut();
        for post in posts.filter_map(|entry| entry.header.post.as_mut()) {
            post.since = 0;
        }
    }
}

/// A cursor as the search for what lags finds it.
pub(crate) fn lagging_cursor(cursor: &mut Cursor, procedure: Procedure) {
    if procedure == Procedure::LanesWithoutDueNotLookedFor && cursor.due.is_none() {
        cursor.lanes.clear();
    }
}

/// The entries that a consumer has read.
pub(crate) fn entries(
    mut entries: Vec<Entry>,
    consumer: Consumer,
    look: &Look,
    procedure: Procedure,
) -> Vec<Entry> {
    if let (Consumer::Post(scope), Procedure::GenerationNotChecked) = (consumer, procedure)
        && let Some(endpoint) = look.endpoint(scope)
    {
        for entry in &mut entries {
            entry.quiet = false;
            entry.header.post = Some(PostWebhook {
                scope: SettingsScope::Account,
                generation: endpoint.generation,
                since: 0,
            });
            assert_eq!(endpoint.is_owed(entry), Owed::Yes);
        }
    }
    entries
}

/// The step after a consumer has passed over entries that owe nothing.
pub(crate) fn after_passing_over(then: Then, procedure: Procedure) -> Then {
    match procedure {
        Procedure::NoLookAfterPassingOver => Then::Stop,
        _ => then,
    }
}

/// The record of a message that was deleted.
pub(crate) fn found_deleted(
    found: Option<OutboundState>,
    procedure: Procedure,
) -> Option<OutboundState> {
    match found? {
        OutboundState::Sending { .. } if procedure == Procedure::DeletedNotLookedFor => None,
        OutboundState::Waiting if procedure == Procedure::DeletedWaitsForEver => None,
        found => Some(found),
    }
}
