//! The promises that routing keeps, in every order of steps that a seed can give; and the promise that breaks without a
//! condition or a step of the procedure.

#![expect(clippy::unwrap_used, reason = "a test may fail so")]

mod model;
mod support;

use std::collections::BTreeSet;
use std::ops::Range;

use model::{Broken, Kind, Mutant, Procedure, run, run_read};

/// Scenarios of the designed protocol; each takes a quarter of a millisecond unoptimized.
const SEEDS: u64 = 20_000;
/// Scenarios within which a mutant must break a promise: three times what the slowest takes.
const SEEDS_UNTIL_BROKEN_MAX: u64 = 20_000;
/// Scenarios in which nothing breaks where a condition is left out that others imply.
const SEEDS_IMPLIED: u64 = 3_000;
/// Scenarios in which consumers read what is written; each takes three quarters of a millisecond unoptimized.
const SEEDS_READ: u64 = 4_000;
/// Scenarios within which a mutant of the consumers must break a promise: three times what the slowest takes.
const SEEDS_READ_UNTIL_BROKEN_MAX: u64 = 16_000;
const SEEDS_READ_IMPLIED: u64 = 1_000;
/// Scenarios in which every kind of write occurs.
const SEEDS_KINDS: u64 = 1_000;

/// Conditions that promises depend on, and a word of one that breaks without it.
const NEEDED: [(Kind, &str); 11] = [
    (("Append", "Absent"), "exactly once"),
    (("Journal", "Absent"), "exactly once"),
    (("Claim", "Absent"), "one owner"),
    (("ClaimName", "Absent"), "unique names"),
    (("ClaimIdentity", "Absent"), "identities"),
    (("PutMetadata", "Version"), "state copy"),
    (
        ("DeleteMetadata", "Version"),
        "tells what was not so: ConversationRemoved",
    ),
    (
        ("PutParticipant", "Version"),
        "tells what was not so: ParticipantUpdated",
    ),
    (
        ("DeleteParticipant", "Version"),
        "tells what was not so: ParticipantRemoved",
    ),
    (
        ("PutRevision", "Absent"),
        "tells what was not so: MessageUpdated",
    ),
    (("PutRevision", "Version"), "tells what was not so: Message"),
];

/// Conditions that others of the same transaction imply, and how. They cost nothing, and they stay.
const IMPLIED: [(Kind, &str); 8] = [
    (
        ("Claim", "HeldBy"),
        "the slot after a header that holds the pair is free, so the binding still names its conversation",
    ),
    (
        ("Release", "HeldBy"),
        "as for a claim; and a participant's version says that it was not removed before the tail was read",
    ),
    (
        ("ReleaseName", "HeldBy"),
        "the metadata that has the name is of the version that was read",
    ),
    (
        ("PutMetadata", "Absent"),
        "a new conversation's SID is new, and where its own request comes twice, slot 0 is taken",
    ),
    (
        ("PutParticipant", "Absent"),
        "a new participant's SID is new, and where its own request comes twice, the slot is taken",
    ),
    (
        ("PutWebhook", "Absent"),
        "as for the metadata of a new conversation",
    ),
    (
        ("SetState", "Exists"),
        "metadata goes only with a terminal slot, and then the slot after the tail is taken",
    ),
    (
        ("Blank", "Exists"),
        "no slot goes before a day after the terminal one, and then no further slot is free",
    ),
];

/// Writes without a condition: the slot that goes with them decides.
const UNCONDITIONAL: [Kind; 4] = [
    ("ReleaseIdentity", "None"),
    ("PutTimer", "None"),
    ("DeleteTimer", "None"),
    ("PutPurge", "None"),
];

/// Procedures that are not as designed, and of what each breaks a word.
const PROCEDURES: [(Procedure, &str); 7] = [
    (Procedure::OwnChangeNotRecognized, "never made twice"),
    (Procedure::DoubtForgotten, "refused is not made"),
    (Procedure::BindingReadWeakly, "bounded"),
    (Procedure::TailReadOnce, "bounded"),
    (
        Procedure::ForwardedBeforeJournaled,
        "before it is journaled",
    ),
    (Procedure::RejectionNotChecked, "which holds nothing"),
    (Procedure::StateCopyNotCounted, "state copy"),
];

/// Procedures of consumers, of the sweep and of the relay that are not as designed, and of what each breaks a word.
const PROCEDURES_OF_CONSUMERS: [(Procedure, &str); 21] = [
    (Procedure::NoLastLook, "at once"),
    (Procedure::NoWakeAtTheEnd, "at once"),
    (Procedure::LastLookBeforeTheLeaseIsBack, "at once"),
    (Procedure::NoLookAfterPassingOver, "at once"),
    (Procedure::GapsPassedOver, "in order"),
    (Procedure::MovedFromAnywhere, "replays"),
    (Procedure::EverythingIsHeard, "told what is not its own"),
    (Procedure::MarkBeforeWake, "forgotten"),
    (Procedure::SweepUpToNow, "forgotten"),
    (Procedure::SweepLooksAtOneStretch, "forgotten"),
    (Procedure::DueClearedAtStart, "forgotten"),
    (Procedure::DueClearedBeforeTheEnd, "forgotten"),
    (Procedure::NoLease, "without a fault nothing twice"),
    (Procedure::LanesHoldUpOthers, "held up"),
    (Procedure::LanesWithoutDueNotLookedFor, "forgotten"),
    (Procedure::DeletedIsForgotten, "unknown"),
    (Procedure::DeletedWaitsForEver, "unknown"),
    (Procedure::AlarmAfterTheNote, "alarm"),
    (Procedure::NoClaimBeforeTheCall, "sent twice"),
    (Procedure::ClaimRunsOut, "sent twice"),
    (Procedure::UnknownIsNotTaken, "sent twice"),
];

/// Steps of consumers that others imply, and how.
const IMPLIED_OF_CONSUMERS: [(Procedure, &str); 2] = [
    (
        Procedure::BeginningAtTheFirstSlot,
        "an entry of before the webhook names another generation, or none, and is not heard",
    ),
    (
        Procedure::DueOfOthersCleared,
        "what another run saw before it made the cursor due, the look after the last move finds too; what the sweep \
         passes by is older than any run, which has seen it; and a replay moves the cursor, and then the run's last \
         move does not happen",
    ),
];

#[test]
fn every_promise_holds_in_every_interleaving() {
    check_holds(replayed().unwrap_or(0..SEEDS), Mutant::default());
}

#[test]
fn every_promise_of_consumers_holds_in_every_interleaving() {
    check_read_holds(replayed().unwrap_or(0..SEEDS_READ), Mutant::default());
}

#[test]
fn a_promise_breaks_without_any_step_of_the_consumers() {
    for (procedure, promise) in PROCEDURES_OF_CONSUMERS {
        let mutant = otherwise(procedure);
        let breaks = |seed| {
            let broken = run_read(seed, mutant, false).err();
            broken.is_some_and(|broken| broken.contains(promise))
        };
        assert!(
            (0..SEEDS_READ_UNTIL_BROKEN_MAX).any(breaks),
            "{mutant:?} does not break {promise:?} within {SEEDS_READ_UNTIL_BROKEN_MAX} seeds"
        );
    }
}

#[test]
fn no_promise_breaks_without_a_step_of_the_consumers_that_others_imply() {
    for (procedure, _) in IMPLIED_OF_CONSUMERS {
        check_read_holds(0..SEEDS_READ_IMPLIED, otherwise(procedure));
    }
}

#[test]
fn a_promise_breaks_without_any_condition_that_no_other_implies() {
    for (kind, promise) in NEEDED {
        check_breaks(off(kind), promise);
    }
}

#[test]
fn no_promise_breaks_without_a_condition_that_others_imply() {
    for (kind, _) in IMPLIED {
        check_holds(0..SEEDS_IMPLIED, off(kind));
    }
}

#[test]
fn a_promise_breaks_without_any_step_of_the_procedure() {
    for (procedure, broken) in PROCEDURES {
        check_breaks(otherwise(procedure), broken);
    }
}

#[test]
fn every_kind_of_write_that_a_plan_holds_is_listed_above() {
    let (needed, implied) = (NEEDED.map(|(kind, _)| kind), IMPLIED.map(|(kind, _)| kind));
    let listed: BTreeSet<Kind> = [&needed[..], &implied, &UNCONDITIONAL]
        .concat()
        .into_iter()
        .collect();
    let occur: BTreeSet<Kind> = (0..SEEDS_KINDS)
        .flat_map(|seed| run(seed, Mutant::default(), false).unwrap())
        .collect();
    assert_eq!(occur, listed);
}

fn replayed() -> Option<Range<u64>> {
    let seed = std::env::var("CROSSPOINT_SEED").ok()?;
    let seed = seed.parse::<u64>().unwrap();
    Some(seed..seed + 1)
}

fn otherwise(procedure: Procedure) -> Mutant {
    Mutant {
        procedure,
        ..Mutant::default()
    }
}

fn off(kind: Kind) -> Mutant {
    Mutant {
        off: Some(kind),
        ..Mutant::default()
    }
}

fn check_holds(seeds: Range<u64>, mutant: Mutant) {
    if let Some((seed, _)) = broken_by(seeds, mutant).next() {
        let broken = run(seed, mutant, true).unwrap_err();
        panic!("CROSSPOINT_SEED={seed} with {mutant:?}: {broken}");
    }
}

fn check_read_holds(mut seeds: Range<u64>, mutant: Mutant) {
    if let Some(seed) = seeds.find(|seed| run_read(*seed, mutant, false).is_err()) {
        let broken = run_read(seed, mutant, true).unwrap_err();
        panic!("CROSSPOINT_SEED={seed} with {mutant:?}, consumers: {broken}");
    }
}

fn check_breaks(mutant: Mutant, promise: &str) {
    let found =
        broken_by(0..SEEDS_UNTIL_BROKEN_MAX, mutant).any(|(_, broken)| broken.contains(promise));
    assert!(
        found,
        "{mutant:?} does not break {promise:?} within {SEEDS_UNTIL_BROKEN_MAX} seeds"
    );
}

fn broken_by(seeds: Range<u64>, mutant: Mutant) -> impl Iterator<Item = (u64, Broken)> {
    seeds.filter_map(move |seed| Some((seed, run(seed, mutant, false).err()?)))
}
