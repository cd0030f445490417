//! Every promise of DESIGN §3 that routing keeps, in any order of steps that a seed can tell; and what breaks where a
//! condition or a step of the procedure is left out.

#![expect(clippy::unwrap_used, reason = "a test may fail so")]

mod model;
mod support;

use std::collections::BTreeSet;
use std::ops::Range;

use model::{Broken, Kind, Mutant, Procedure, run};

/// Scenarios of the designed protocol; each takes a quarter of a millisecond unoptimized.
const SEEDS: u64 = 20_000;
/// Scenarios within which a mutant must break a promise: three times what the slowest takes.
const SEEDS_UNTIL_BROKEN_MAX: u64 = 20_000;
/// Scenarios in which nothing breaks where a condition is left out that others imply.
const SEEDS_IMPLIED: u64 = 3_000;
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
const PROCEDURES: [(Procedure, &str); 5] = [
    (Procedure::OwnChangeNotRecognized, "never made twice"),
    (Procedure::BindingReadWeakly, "bounded"),
    (Procedure::TailReadOnce, "bounded"),
    (
        Procedure::ForwardedBeforeJournaled,
        "before it is journaled",
    ),
    (Procedure::StateCopyNotCounted, "state copy"),
];

#[test]
fn every_promise_holds_in_every_interleaving() {
    let replayed = std::env::var("CROSSPOINT_SEED").ok();
    let seeds = match replayed.map(|seed| seed.parse::<u64>().unwrap()) {
        Some(seed) => seed..seed + 1,
        None => 0..SEEDS,
    };
    check_holds(seeds, Mutant::default());
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
        let mutant = Mutant {
            procedure,
            ..Mutant::default()
        };
        check_breaks(mutant, broken);
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
