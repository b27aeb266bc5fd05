//! Passwords of the functions' database roles. The migrations make the roles, without passwords; no role can log in before
//! this.

use std::collections::BTreeMap;

use common::{Setup, config};
use postgres_protocol::password::scram_sha_256;

use crate::ops_context::OpsContext;
use crate::printer::{Failure, Output};

/// Role → password, of `ROLE_PASSWORDS`.
pub type Passwords = BTreeMap<String, String>;

/// Minimum length of a password: shorter ones could be guessed from the verifier that the server keeps.
const PASSWORD_MIN_BYTES: usize = 16;

/// Reads `ROLE_PASSWORDS`.
pub fn passwords_from_setup(setup: &mut Setup) -> Option<Passwords> {
    setup.required(&config::ROLE_PASSWORDS, passwords)
}

/// Parses `ROLE_PASSWORDS`.
///
/// # Errors
/// A sentence for the mistake's list, without any password.
fn passwords(value: &str) -> Result<Passwords, String> {
    let passwords: Passwords =
        serde_json::from_str(value).map_err(|_| "must be a JSON object, role → password".to_owned())?;
    let is_function = |role: &str| {
        role != "coditect_owner"
            && role
                .strip_prefix("coditect_")
                .is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    };
    match passwords.iter().find(|(role, password)| !is_function(role) || password.len() < PASSWORD_MIN_BYTES) {
        Some((role, _)) if !is_function(role) => Err(format!("{role} is no function's role")),
        Some((role, _)) => Err(format!("the password of {role} is shorter than {PASSWORD_MIN_BYTES} characters")),
        None => Ok(passwords),
    }
}

/// Sets the roles' passwords. The server receives the SCRAM verifiers that it stores, so that no password is in its log.
///
/// # Errors
/// When a role isn't there, or the database doesn't answer.
pub async fn set_passwords(ops: &OpsContext, passwords: &Passwords) -> Result<Output, Failure> {
    for (role, password) in passwords {
        // A utility statement takes no parameters; both were checked, or are made of base64.
        let sql =
            format!(r#"/* role_password */ alter role "{role}" password '{}'"#, scram_sha_256(password.as_bytes()));
        ops.db.outside_tenants((&sql, &[])).await?;
    }
    Ok(Output::Message(format!("{} roles have their passwords.", passwords.len())))
}
