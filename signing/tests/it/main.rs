//! Signing against Google's wire format, PEM files of both kinds, and the table of published keys. The `openssl` command
//! line verifies the signatures.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop where it is")]

mod emulator;
mod kms;
mod openssl;
mod pem_file;
mod token_signer;
