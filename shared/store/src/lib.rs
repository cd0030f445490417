//! The one table: keys, items, facts, commit.
