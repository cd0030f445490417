//! The states of a conversation and the legal transitions between them.

/// `initializing` → `active` ⇄ `inactive` → `closed`. A conversation holds its pairs until it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Being assembled by the system; refuses changes.
    Initializing,
    Active,
    /// Parked; a message makes it active again.
    Inactive,
    /// Final.
    Closed,
}

impl State {
    pub const ALL: [State; 4] = [
        State::Initializing,
        State::Active,
        State::Inactive,
        State::Closed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            State::Initializing => "initializing",
            State::Active => "active",
            State::Inactive => "inactive",
            State::Closed => "closed",
        }
    }

    /// Case-insensitive, as all enumerations of the API are.
    pub fn parse(text: &str) -> Option<State> {
        State::ALL
            .into_iter()
            .find(|state| state.as_str().eq_ignore_ascii_case(text))
    }

    /// Whether a conversation may go from this state to `to`. No other code knows.
    pub fn to(self, to: State, reason: Reason) -> Transition {
        use State::*;
        match (self, to, reason) {
            (Closed, _, _) => Transition::Final,
            (Initializing, Active, Reason::Event) | (Initializing, Closed, _) => Transition::Change,
            (Initializing, _, _) | (_, Initializing, _) => Transition::Forbidden,
            (Active, Active, _) | (Inactive, Inactive, _) => Transition::Same,
            (Active, Inactive | Closed, _) | (Inactive, Active | Closed, _) => Transition::Change,
        }
    }
}

/// Why a state changed, in the words of `onConversationStateUpdated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    Api,
    Timer,
    Event,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Api => "API",
            Reason::Timer => "TIMER",
            Reason::Event => "EVENT",
        }
    }
}

/// The result of [`State::to`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    Change,
    /// The conversation is in that state already: no change, no event.
    Same,
    /// Closed is final.
    Final,
    /// Only the system may make this change.
    Forbidden,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transition_is_decided() {
        use State::*;
        use Transition::*;
        // From, to, by REST, by timer, by event.
        let table = [
            (Initializing, Initializing, Forbidden, Forbidden, Forbidden),
            (Initializing, Active, Forbidden, Forbidden, Change),
            (Initializing, Inactive, Forbidden, Forbidden, Forbidden),
            (Initializing, Closed, Change, Change, Change),
            (Active, Initializing, Forbidden, Forbidden, Forbidden),
            (Active, Active, Same, Same, Same),
            (Active, Inactive, Change, Change, Change),
            (Active, Closed, Change, Change, Change),
            (Inactive, Initializing, Forbidden, Forbidden, Forbidden),
            (Inactive, Active, Change, Change, Change),
            (Inactive, Inactive, Same, Same, Same),
            (Inactive, Closed, Change, Change, Change),
            (Closed, Initializing, Final, Final, Final),
            (Closed, Active, Final, Final, Final),
            (Closed, Inactive, Final, Final, Final),
            (Closed, Closed, Final, Final, Final),
        ];
        assert_eq!(table.len(), State::ALL.len() * State::ALL.len());
        for (from, to, api, timer, event) in table {
            for (reason, expected) in [
                (Reason::Api, api),
                (Reason::Timer, timer),
                (Reason::Event, event),
            ] {
                assert_eq!(
                    from.to(to, reason),
                    expected,
                    "{from:?} to {to:?} by {reason:?}"
                );
            }
        }
    }

    #[test]
    fn a_state_is_read_in_any_case() {
        assert_eq!(State::parse("AcTive"), Some(State::Active));
        assert_eq!(State::parse("open"), None);
    }
}
