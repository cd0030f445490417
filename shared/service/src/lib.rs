//! The use cases: receive, conversations, participants, messages, settings.
