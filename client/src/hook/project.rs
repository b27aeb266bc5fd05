//! Which project an agent works on: the name of the folder that its repository is in, and nothing else of the path.
//!
//! A name that everybody who has cloned the repository has too, so that a team's records meet; the path above it would say
//! how people and customers are called. In a home folder, or at the root, there is no project.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use protocol::id::ProjectId;

/// No file that names a repository is longer.
const MAX_LINK: u64 = 4096;

/// The project of a folder.
pub(super) fn of(folder: &Path, persons_home: Option<&Path>) -> Option<ProjectId> {
    let is_project = |folder: &Path| folder.parent().is_some() && Some(folder) != persons_home;
    let repository = folder.ancestors().filter(|folder| is_project(folder)).find_map(repository);
    let root = repository.unwrap_or_else(|| folder.to_owned());
    let name = root.file_name()?.to_string_lossy().replace(char::is_control, " ");
    let end = name.char_indices().nth(ProjectId::MAX_CHARS).map_or(name.len(), |(end, _)| end);
    is_project(&root).then(|| ProjectId::parse(&name[..end]).ok())?
}

/// The folder of the repository that a folder is the root of; of a second working tree, that of the first.
fn repository(folder: &Path) -> Option<PathBuf> {
    let git = folder.join(".git");
    let found = fs::metadata(&git).ok()?;
    if found.is_file() {
        let mut text = String::new();
        File::open(&git).ok()?.take(MAX_LINK).read_to_string(&mut text).ok()?;
        if let Some((first, _)) = text.trim_start_matches("gitdir:").trim().split_once("/.git/worktrees/") {
            return Some(folder.join(first));
        }
    }
    Some(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_called_like_its_repository() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("ada");
        let inside = home.join("billing/src/deep");
        fs::create_dir_all(&inside).unwrap();
        let name = |folder: &Path| of(folder, Some(&home)).map(String::from);
        assert_eq!(name(&inside).as_deref(), Some("deep"), "without a repository");
        fs::create_dir(home.join("billing/.git")).unwrap();
        assert_eq!(name(&inside).as_deref(), Some("billing"));

        let tree = home.join("billing-fix");
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join(".git"), format!("gitdir: {}/billing/.git/worktrees/fix\n", home.display())).unwrap();
        assert_eq!(name(&tree).as_deref(), Some("billing"), "a second working tree");
    }

    #[test]
    fn a_home_folder_and_the_root_are_no_projects() {
        let home = Path::new("/nowhere/ada");
        assert_eq!(of(home, Some(home)), None);
        assert_eq!(of(Path::new("/"), None), None);
        assert_eq!(of(Path::new(""), None), None);
        assert_eq!(of(&home.join("a\nb"), Some(home)).map(String::from).as_deref(), Some("a b"));
        assert_eq!(of(&home.join("é".repeat(300)), Some(home)).unwrap().as_str().chars().count(), 128);
    }
}
