//! What of an event concerns us, whichever API version wrote it.
