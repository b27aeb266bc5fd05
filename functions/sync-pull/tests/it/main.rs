//! What `sync-pull` does, seen from outside.
