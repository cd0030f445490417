//! Timers: an idle conversation becomes inactive, and a conversation past its closing time closes. The first change that
//! meets such a conversation makes the entry.

use crate::cause::Cause;
use crate::draft::{Draft, tail_after};
use crate::header::Header;
use crate::plan::{Plan, Write};
use crate::state::{Reason, State};
use crate::tail::Tail;

/// Closes the conversation (Reason `TIMER`) if its closing time has passed. The outcome is its tail afterwards.
pub fn close_expired(tail: &Tail, cause: Cause) -> Option<Plan<Tail>> {
    tail.header.expired(cause.fresh.now).then(|| {
        let writes = expiry(tail, cause);
        Plan::new(tail_after(&writes), writes)
    })
}

/// Makes an active conversation inactive (Reason `TIMER`) if its inactive time has passed. The outcome is its tail
/// afterwards.
pub fn park_idle(tail: &Tail, cause: Cause) -> Option<Plan<Tail>> {
    let Header {
        state,
        timers,
        last_activity,
        ..
    } = &tail.header;
    let due = timers.date_inactive(*state, *last_activity)?;
    (due <= cause.fresh.now).then(|| {
        let mut draft = Draft::after(cause, tail);
        let mut writes = draft.set_state(State::Inactive, Reason::Timer);
        writes.extend(draft.state_copy());
        writes.extend(draft.timer());
        writes.push(draft.finish());
        Plan::new(tail_after(&writes), writes)
    })
}

/// The writes that close an expired conversation and release every key of its header.
pub(crate) fn expiry(tail: &Tail, cause: Cause) -> Vec<Write> {
    let mut draft = Draft::after(cause, tail);
    let mut writes = draft.set_state(State::Closed, Reason::Timer);
    writes.extend(draft.state_copy());
    writes.extend(draft.timer());
    writes.push(draft.finish());
    writes
}
