//! The table evaluates a cursor's write as `CursorWrite::apply` does: every condition and every assignment, on every kind
//! of cursor. So the model, which applies the values, stands for the table.

use std::time::Duration;

use jiff::Timestamp;
use routing::{
    Consumer, ConversationSid, Cursor, CursorAssignment, CursorCondition, CursorWrite, Lane, Lease,
    Position, Recipient,
};
use store::Deadline;
use tests::system::{ADA, TestSystem};

on_both_engines!(a_cursors_write_means_in_the_table_what_it_means_as_a_value);

const ME: [u8; 16] = [1; 16];
const ANOTHER: [u8; 16] = [2; 16];

/// Longer than the test lasts.
const TIME: Duration = Duration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).expect("a time")
}

async fn a_cursors_write_means_in_the_table_what_it_means_as_a_value(system: TestSystem) {
    let writes = || {
        let conditions = conditions().into_iter();
        let some = vec![
            CursorAssignment::NextIfAbsent(Position::default()),
            CursorAssignment::Failures(9),
        ];
        let by_condition = conditions.map(move |condition| write(condition, some.clone()));
        let any =
            || CursorCondition::Any(vec![CursorCondition::Absent, CursorCondition::Free(at(99))]);
        let by_assignment = assignments().into_iter().map(move |one| write(any(), one));
        by_condition.chain(by_assignment)
    };
    let mut number = 0;
    for found in cursors() {
        for write in writes() {
            number += 1;
            let sid = ConversationSid::parse(&format!("CH{number:032x}")).expect("a SID");
            if let Some(found) = &found {
                let make = self::write(CursorCondition::Absent, whole(found));
                let made = cursor_after(&system, sid, &make).await;
                assert_eq!(made.as_ref(), Some(found));
            }
            let expected = write.condition.holds(found.as_ref());
            let expected = expected.then(|| write.apply(found.clone()));
            let written = cursor_after(&system, sid, &write).await;
            assert_eq!(written, expected, "{found:?}, {write:?}");
        }
    }
}

async fn cursor_after(
    system: &TestSystem,
    conversation: ConversationSid,
    write: &CursorWrite,
) -> Option<Cursor> {
    let (store, deadline) = (&system.app.store, Deadline::after(TIME));
    let written = store.cursor_write(conversation, Consumer::Relay, write, deadline);
    written.await.expect("a write")
}

fn write(condition: CursorCondition, assignments: Vec<CursorAssignment>) -> CursorWrite {
    CursorWrite {
        purpose: "test a write",
        condition,
        assignments,
        repeated: None,
        instead: None,
    }
}

fn lease(owner: [u8; 16], until_s: i64) -> Lease {
    Lease {
        owner,
        until: at(until_s),
    }
}

fn lane() -> Lane {
    Lane {
        recipient: Recipient::Number(ADA.parse().expect("an address")),
        slot: 2,
        due: at(30),
        failures: 1,
    }
}

fn position(slot: u64, event: u64) -> Position {
    Position { slot, event }
}

/// No cursor, and cursors with or without lease, due time and lanes.
fn cursors() -> Vec<Option<Cursor>> {
    let plain = Cursor {
        next: position(3, 1),
        ..Cursor::default()
    };
    vec![
        None,
        Some(plain.clone()),
        Some(Cursor {
            due: Some(at(20)),
            failures: 2,
            ..plain.clone()
        }),
        Some(Cursor {
            lease: Some(lease(ME, 50)),
            lanes: vec![lane()],
            ..plain.clone()
        }),
        Some(Cursor {
            lease: Some(lease(ANOTHER, 50)),
            due: Some(at(40)),
            ..plain
        }),
    ]
}

/// The assignments that make a cursor.
fn whole(cursor: &Cursor) -> Vec<CursorAssignment> {
    let mut all = vec![
        CursorAssignment::Next(cursor.next),
        CursorAssignment::Failures(cursor.failures),
        CursorAssignment::Lanes(cursor.lanes.clone()),
    ];
    all.extend(cursor.lease.map(CursorAssignment::Lease));
    all.extend(cursor.due.map(CursorAssignment::Due));
    all
}

fn conditions() -> Vec<CursorCondition> {
    use CursorCondition::*;
    vec![
        Absent,
        At(position(3, 1)),
        At(position(3, 0)),
        At(position(4, 1)),
        Free(at(49)),
        Free(at(50)),
        LeasedTo(ME),
        LeasedTo(ANOTHER),
        NoDue,
        DueIs(at(20)),
        DueIs(at(21)),
        DueBy(at(19)),
        DueBy(at(20)),
        DueAfter(at(20)),
        DueAfter(at(39)),
        All(vec![At(position(3, 1)), LeasedTo(ME), NoDue]),
        All(vec![At(position(3, 1)), Any(vec![NoDue, DueBy(at(20))])]),
        Any(vec![Absent, All(vec![Free(at(10)), DueAfter(at(10))])]),
        Any(vec![All(vec![NoDue, LeasedTo(ME)]), DueIs(at(40))]),
    ]
}

fn assignments() -> Vec<Vec<CursorAssignment>> {
    use CursorAssignment::*;
    vec![
        vec![Next(position(7, 2))],
        vec![NextIfAbsent(position(7, 2)), Due(at(60))],
        vec![Next(position(7, 0)), Failures(4)],
        vec![Next(position(7, 0)), Lanes(vec![lane()])],
        vec![Next(position(7, 0)), Lanes(Vec::new())],
        vec![Next(position(7, 0)), Lease(lease(ME, 90))],
        vec![Next(position(7, 0)), NoLease],
        vec![Next(position(7, 0)), NoDue, NoLease],
    ]
}
