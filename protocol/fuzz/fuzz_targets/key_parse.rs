//! Any text is answered, and what passes for a license key is the same key in its canonical form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::key::{LicenseKey, MAX_INPUT_LEN};

fuzz_target!(|text: &str| match LicenseKey::parse(text) {
    Ok(key) => {
        let canonical = key.to_string();
        assert!(text.len() <= MAX_INPUT_LEN);
        assert_eq!(LicenseKey::parse(&canonical).as_ref(), Ok(&key));
        assert!(!format!("{key:?}").contains(&canonical));
    }
    Err(error) => assert!(error.to_string().ends_with('.')),
});
