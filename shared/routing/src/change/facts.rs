//! The facts of a REST change, and the rules that hold for every change.

use jiff::Timestamp;

use crate::after_conflict::Next;
use crate::binding::Binding;
use crate::cause::{Cause, Fresh};
use crate::conflict::{Conflict, Found};
use crate::decision::Halt;
use crate::expiry::close_expired;
use crate::plan::{Plan, Write};
use crate::pre_action::PreActionReply;
use crate::refusal::Refusal;
use crate::settings::{Settings, Unread};
use crate::sid::{ConversationServiceSid, ConversationSid};
use crate::source::Source;
use crate::state::State;
use crate::tail::Tail;

/// A REST request, apart from its wish and from facts.
#[derive(Clone, Copy, Debug)]
pub struct ChangeRequest<'a> {
    /// The ids of the request, and when it began.
    pub fresh: &'a Fresh,
    /// When this decision is made. Closing times are compared with it, because a request can last longer than they do.
    pub now: Timestamp,
    /// The conversation service that the request's path names. `None`: the account's default service.
    pub service: Option<ConversationServiceSid>,
    /// The request wants no webhooks, neither before nor after the change.
    pub quiet: bool,
    /// The reply of the pre-action webhook, if it was called for this request.
    pub reply: Option<&'a PreActionReply>,
}

/// The facts that the decision on a change depends on, read strongly. `own` belongs to the kind of change.
#[derive(Clone, Debug)]
pub struct ChangeFacts<F> {
    pub settings: Settings,
    /// The newest entry of the conversation. `None`: there is no such log.
    pub tail: Option<Tail>,
    pub own: F,
    /// The claim that made the last plan fail.
    pub obstacle: Option<Obstacle>,
}

/// A claim that stands where a plan would make its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Another participant of the conversation has the identity.
    Identity,
    /// This conversation has the unique name.
    Name(ConversationSid),
    /// The binding of the key, and the newest entry of its conversation.
    Key(Binding, Option<Box<Tail>>),
}

impl<F> ChangeFacts<F> {
    pub fn new(settings: Settings, tail: Option<Tail>, own: F) -> ChangeFacts<F> {
        ChangeFacts {
            settings,
            tail,
            own,
            obstacle: None,
        }
    }

    /// Takes in why the plan of `writes` failed.
    pub fn learn(&mut self, conflict: Conflict, writes: &[Write]) -> Next {
        let own = self.tail.as_ref().map(|tail| tail.conversation);
        for (key, found) in conflict.found {
            let write = writes.iter().find(|write| write.key() == key);
            self.obstacle = match (write, found) {
                (Some(Write::ClaimIdentity { .. }), Found::Record) => Some(Obstacle::Identity),
                (Some(Write::ClaimName { .. }), Found::Name(holder)) if Some(holder) != own => {
                    Some(Obstacle::Name(holder))
                }
                (Some(Write::Claim { .. }), Found::Binding(binding)) => {
                    self.obstacle = Some(Obstacle::Key(binding, None));
                    return Next::ReadTail(binding.conversation);
                }
                _ => continue,
            };
            return Next::DecideAtOnce;
        }
        Next::Gather
    }

    /// Takes in the tail that [`ChangeFacts::learn`] asked for.
    pub fn learn_tail(&mut self, tail: Option<Tail>) {
        if let Some(Obstacle::Key(_, holder)) = &mut self.obstacle {
            *holder = tail.map(Box::new);
        }
    }

    /// The conversation's newest entry, if the request can see the conversation.
    pub(crate) fn visible(&self, request: &ChangeRequest) -> Result<&Tail, Halt> {
        self.service_exists(request)?;
        self.no_obstacle(request)?;
        let service = self.service(request);
        let visible = |tail: &&Tail| !tail.header.terminal && tail.header.service == service;
        let tail = self.tail.as_ref().filter(visible);
        tail.ok_or(Halt::Refuse(Refusal::NotFound))
    }

    /// The newest entry of a conversation that can be changed, and the cause of the change.
    pub(crate) fn changeable<'a>(
        &'a self,
        request: &ChangeRequest<'a>,
    ) -> Result<(&'a Tail, Cause<'a>), Halt> {
        let tail = self.visible(request)?;
        self.not_expired(tail, request)?;
        match tail.header.state {
            State::Closed => Err(Refusal::Closed.into()),
            State::Initializing => Err(Refusal::Initializing.into()),
            State::Active | State::Inactive => Ok((tail, self.cause(request)?)),
        }
    }

    pub(crate) fn cause<'a>(&'a self, request: &ChangeRequest<'a>) -> Result<Cause<'a>, Unread> {
        Ok(Cause {
            fresh: request.fresh,
            settings: self.settings.in_force(self.service(request))?,
            source: Source::Api,
            quiet: request.quiet,
        })
    }

    /// The conversation service of the request.
    fn service(&self, request: &ChangeRequest) -> ConversationServiceSid {
        let default = self.settings.account.default_service;
        request.service.unwrap_or(default)
    }

    /// Passes if the service of the request exists.
    pub(crate) fn service_exists(&self, request: &ChangeRequest) -> Result<(), Halt> {
        match self.settings.service(self.service(request))? {
            Some(_) => Ok(()),
            None => Err(Halt::Refuse(Refusal::NotFound)),
        }
    }

    /// Passes if no claim of another conversation or participant is known to be in the way.
    pub(crate) fn no_obstacle(&self, request: &ChangeRequest) -> Result<(), Halt> {
        match &self.obstacle {
            None => Ok(()),
            Some(Obstacle::Identity) => Err(Refusal::IdentityTaken.into()),
            Some(Obstacle::Name(holder)) => Err(Refusal::NameTaken(*holder).into()),
            Some(Obstacle::Key(binding, tail)) => {
                tail.iter()
                    .try_for_each(|tail| self.not_expired(tail, request))?;
                Err(Halt::Refuse(Refusal::KeyBound {
                    conversation: binding.conversation,
                    participant: binding.participant,
                    service: binding.service,
                }))
            }
        }
    }

    /// Passes if the closing time has not passed. The closing is no part of the change: it has its own source, and
    /// webhooks are called with it even if the request wants none.
    fn not_expired(&self, tail: &Tail, request: &ChangeRequest) -> Result<(), Halt> {
        let fresh = Fresh {
            now: request.now,
            change: request.fresh.closing,
            ..*request.fresh
        };
        let cause = Cause {
            fresh: &fresh,
            settings: self.settings.in_force(tail.header.service)?,
            source: Source::Timer,
            quiet: false,
        };
        match close_expired(tail, cause) {
            None => Ok(()),
            Some(plan) => Err(Halt::Close(Box::new(Plan::new(
                tail.conversation,
                plan.writes,
            )))),
        }
    }
}
