//! The promises that routing keeps, in every order of steps that a seed can give; and for each condition and each step of
//! a procedure, the promise that breaks without it.

#![expect(clippy::unwrap_used, reason = "a test may fail so")]

mod model;
mod support;

use std::collections::BTreeSet;
use std::ops::Range;

use model::{Broken, Kind, Mutant, Procedure, run, run_read};

/// Scenarios of the designed protocol; each takes a quarter of a millisecond unoptimized.
const SEEDS: u64 = 20_000;
/// Scenarios within which a mutant must break a promise: three times as many as the slowest mutant needs.
const SEEDS_UNTIL_BROKEN_MAX: u64 = 20_000;
/// Scenarios in which no promise breaks without a condition that others imply.
const SEEDS_IMPLIED: u64 = 3_000;
/// Scenarios in which consumers read the entries; each takes three quarters of a millisecond unoptimized.
const SEEDS_READ: u64 = 4_000;
/// Scenarios within which a mutant of the consumers must break a promise: three times as many as the slowest needs.
const SEEDS_READ_UNTIL_BROKEN_MAX: u64 = 16_000;
const SEEDS_READ_IMPLIED: u64 = 1_000;
/// Scenarios in which every kind of write occurs.
const SEEDS_KINDS: u64 = 1_000;

/// The conditions that promises depend on, and a word of the promise that breaks without each.
const NEEDED: [(Kind, &str); 11] = [
    (("Append", "Absent"), "exactly once"),
    (("Journal", "Absent"), "exactly once"),
    (("Claim", "Absent"), "one owner"),
    (("ClaimName", "Absent"), "unique names"),
    (("ClaimIdentity", "Absent"), "identities"),
    (("PutMetadata", "Version"), "state copy"),
    (
        ("DeleteMetadata", "Version"),
        "untrue event: ConversationRemoved",
    ),
    (
        ("PutParticipant", "Version"),
        "untrue event: ParticipantUpdated",
    ),
    (
        ("DeleteParticipant", "Version"),
        "untrue event: ParticipantRemoved",
    ),
    (("PutRevision", "Absent"), "untrue event: MessageUpdated"),
    (("PutRevision", "Version"), "untrue event: Message"),
];

/// The conditions that others of the same transaction imply, and how. They cost nothing, and they stay.
const IMPLIED: [(Kind, &str); 8] = [
    (
        ("Claim", "HeldBy"),
        "the slot after a header that holds the pair is free, so the binding still names its conversation",
    ),
    (
        ("Release", "HeldBy"),
        "as for a claim; and the participant's version shows that no change removed it before the read of the tail",
    ),
    (
        ("ReleaseName", "HeldBy"),
        "the metadata with the name has the version that the process read",
    ),
    (
        ("PutMetadata", "Absent"),
        "the SID of a new conversation is new; if its own request comes twice, slot 0 is not free",
    ),
    (
        ("PutParticipant", "Absent"),
        "the SID of a new participant is new; if its own request comes twice, the slot is not free",
    ),
    (
        ("PutWebhook", "Absent"),
        "as for the metadata of a new conversation",
    ),
    (
        ("SetState", "Exists"),
        "only a change with a terminal slot deletes metadata, and then the slot after the tail is not free",
    ),
    (
        ("Blank", "Exists"),
        "a purge deletes slots at the earliest a day after the terminal one, and then no further slot is free",
    ),
];

/// Writes without a condition: the slot that goes with them decides.
const UNCONDITIONAL: [Kind; 4] = [
    ("ReleaseIdentity", "None"),
    ("PutTimer", "None"),
    ("DeleteTimer", "None"),
    ("PutPurge", "None"),
];

/// Deviating procedures, and a word of the promise that each breaks.
const PROCEDURES: [(Procedure, &str); 7] = [
    (Procedure::OwnChangeNotRecognized, "never made twice"),
    (Procedure::DoubtForgotten, "refused is not made"),
    (Procedure::BindingReadWeakly, "bounded"),
    (Procedure::TailReadOnce, "bounded"),
    (
        Procedure::ForwardedBeforeJournaled,
        "before it is journaled",
    ),
    (Procedure::FactsKeptOverTheReply, "which holds nothing"),
    (Procedure::StateCopyNotCounted, "state copy"),
];

/// Deviating procedures of consumers, of the sweep and of the relay, and a word of the promise that each breaks.
const PROCEDURES_OF_CONSUMERS: [(Procedure, &str); 21] = [
    (Procedure::NoLastLook, "at once"),
    (Procedure::NoWakeAtTheEnd, "at once"),
    (Procedure::LastLookBeforeTheLeaseIsBack, "at once"),
    (Procedure::NoLookAfterPassingOver, "at once"),
    (Procedure::GapsPassedOver, "in order"),
    (Procedure::MovedFromAnywhere, "replays"),
    (Procedure::GenerationNotChecked, "of another generation"),
    (Procedure::MarkBeforeWake, "forgotten"),
    (Procedure::SweepUpToNow, "forgotten"),
    (Procedure::SweepLooksAtOneStretch, "forgotten"),
    (Procedure::DueClearedAtStart, "forgotten"),
    (Procedure::DueClearedBeforeTheEnd, "forgotten"),
    (Procedure::NoLease, "without a fault nothing twice"),
    (Procedure::LanesHoldUpOthers, "held up"),
    (Procedure::LanesWithoutDueNotLookedFor, "forgotten"),
    (Procedure::DeletedNotLookedFor, "unknown"),
    (Procedure::DeletedWaitsForEver, "unknown"),
    (Procedure::AlarmAfterTheNote, "alarm"),
    (Procedure::NoClaimBeforeTheCall, "sent twice"),
    (Procedure::ClaimRunsOut, "sent twice"),
    (Procedure::UnknownCountsAsNotAccepted, "sent twice"),
];

/// The steps of consumers that others imply, and how.
const IMPLIED_OF_CONSUMERS: [(Procedure, &str); 2] = [
    (
        Procedure::BeginningAtTheFirstSlot,
        "an entry from before the webhook names another generation or none, so its events are not owed",
    ),
    (
        Procedure::DueOfOthersCleared,
        "the look after the last move also finds the entries for which another run made the cursor due; the sweep \
         reads only changes that are older than any run, so the run has seen them; and a replay moves the cursor, so \
         the last move of the run fails",
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
