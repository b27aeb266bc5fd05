//! A project's id: its name, and a digest of its identity.
//!
//! The name is for people, as in `api@3f1b0c9d2e7a`. Two projects of one name have two digests, and two clones of one
//! repository have the same one. An id without a digest is one that a person has chosen, or an earlier version has made of the
//! folder's name.

use protocol::id::ProjectId;
use sha2::{Digest, Sha256};

use crate::text::{forms, nfc};

/// Between name and digest.
const SEPARATOR: char = '@';

/// Hex digits of the digest: enough for the projects of one organization.
const DIGEST_LEN: usize = 12;

/// The id of a project; none where its name has no character.
pub(crate) fn id(name: &str, identity: &str) -> Option<ProjectId> {
    let digest = Sha256::new_with_prefix("coditect project 1\n").chain_update(nfc(identity).as_bytes()).finalize();
    let name: String = cleaned(name).chars().take(ProjectId::MAX_CHARS - 1 - DIGEST_LEN).collect();
    let digest = hex::encode(digest);
    (!name.is_empty()).then(|| ProjectId::parse(format!("{name}{SEPARATOR}{}", &digest[..DIGEST_LEN])).ok())?
}

/// The id that a person has chosen for a project.
pub(crate) fn chosen(name: &str) -> Option<ProjectId> {
    let name: String = cleaned(name.trim()).chars().take(ProjectId::MAX_CHARS).collect();
    ProjectId::parse(name).ok()
}

/// A name in one normal form, without control characters.
fn cleaned(name: &str) -> String {
    nfc(name).replace(char::is_control, " ")
}

/// A project's name, for people.
///
/// ```
/// assert_eq!(local::project_name(&"api@3f1b0c9d2e7a".parse().unwrap()), "api");
/// assert_eq!(local::project_name(&"billing".parse().unwrap()), "billing");
/// ```
pub fn project_name(id: &ProjectId) -> &str {
    split(id.as_str()).map_or(id.as_str(), |(name, _)| name)
}

/// Reports whether a record of one project is to be found under another id: the same one, or its name.
pub(crate) fn is_found_under(id: &ProjectId, wanted: &ProjectId) -> bool {
    id == wanted || forms(wanted.as_str()).iter().any(|form| form == id.as_str() || form == project_name(id))
}

fn split(id: &str) -> Option<(&str, &str)> {
    let (name, digest) = id.rsplit_once(SEPARATOR)?;
    let is_digest = digest.len() == DIGEST_LEN && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_digest && !name.is_empty()).then_some((name, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_a_name_and_tells_identities_apart() {
        let (one, other) = (id("api", "github.com/one/api").unwrap(), id("api", "github.com/other/api").unwrap());
        assert_ne!(one, other);
        assert_eq!((project_name(&one), project_name(&other)), ("api", "api"));
        assert_eq!(one.as_str(), "api@d38b6a7ff97c", "an id is for ever");
        assert_eq!(id("cafe\u{301}", "x"), id("caf\u{e9}", "x"));
        assert_eq!(id("", "x"), None);
        assert_eq!(id(&"é".repeat(300), "x").unwrap().as_str().chars().count(), 128);
        assert_eq!(chosen(" bil\nling ").unwrap().as_str(), "bil ling");
        assert_eq!(chosen(" "), None);
    }

    #[test]
    fn a_name_finds_all_projects_of_that_name_and_an_id_only_its_own() {
        let wanted = |text: &str| text.parse::<ProjectId>().unwrap();
        let hashed = wanted("api@3f1b0c9d2e7a");
        assert!(is_found_under(&hashed, &wanted("api")) && is_found_under(&hashed, &hashed));
        assert!(is_found_under(&wanted("api"), &wanted("api")));
        assert!(!is_found_under(&hashed, &wanted("api@000000000000")));
        assert!(!is_found_under(&wanted("api"), &hashed));
        assert!(!is_found_under(&wanted("api@work"), &wanted("api")));
        assert!(is_found_under(&wanted("cafe\u{301}"), &wanted("caf\u{e9}")));
        assert!(is_found_under(&wanted("caf\u{e9}@3f1b0c9d2e7a"), &wanted("cafe\u{301}")));
    }
}
