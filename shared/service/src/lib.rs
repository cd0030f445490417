//! The use cases: receive a message; change conversations, participants, messages and settings.
//!
//! A use case gathers facts, lets `routing` decide, calls a pre-action webhook where the decision asks for it, commits,
//! and decides again where another change was first. It decides nothing itself. One loop does this: `carry_out`.
//!
//! The cast: [`App`] is what a use case needs to act; [`receive`](receive()) is a message's journey; the functions named
//! after a change are one REST change each; [`dispatch`] is what happens after a commit; [`Caller`] is the way to other
//! people's servers.

mod app;
pub mod attributes;
mod caller;
mod carry_out;
mod change;
mod clock;
mod config;
mod conversation_services;
mod conversations;
pub mod dispatch;
mod forward;
mod log_change_by_timer;
mod messages;
mod messaging_services;
mod participants;
mod pre_action;
mod receive;
mod replace_settings;
mod unreadable;
mod webhook_parameters;

pub use app::{App, PublicUrl};
pub use caller::Caller;
pub use change::{Asked, ChangeError};
pub use clock::Clock;
pub use config::{Config, ConfigError};
pub use conversation_services::{
    create_conversation_service, update_conversation_service, write_default_service,
};
pub use conversations::{create_conversation, delete_conversation, update_conversation};
pub use egress::{Allowed, ErrorChain};
pub use messages::{SYSTEM, delete_message, edit_message, post_message};
pub use messaging_services::{
    add_alpha_sender, add_pool_number, create_messaging_service, delete_messaging_service,
    remove_alpha_sender, remove_pool_number, update_messaging_service,
    write_default_messaging_service,
};
pub use participants::{add_participant, remove_participant, update_participant};
pub use pre_action::{EditFault, EditKey, InvalidEdit};
pub use receive::{RECEIVE_TIME, ReceiveError, Received, receive};
pub use replace_settings::{
    create_address_configuration, create_number, delete_address_configuration, delete_number,
    update_account, update_address_configuration, update_number,
};
pub use unreadable::journal_unreadable;
