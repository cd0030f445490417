//! The promises, through the real doors, on a real DynamoDB engine: every test runs on DynamoDB Local and on the
//! embedded engine.

#[macro_use]
extern crate tests;

mod bad_input;
mod bindings;
mod budget;
mod faults;
mod forward;
mod inside;
mod journey;
mod pages;
mod paths;
mod pre_action;
mod races;
mod rest_conversations;
mod rest_messages;
mod rest_messaging_services;
mod rest_participants;
mod rest_services;
mod rest_settings;
mod unreadable;
