use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::*;

/// A person's home folder with repositories in it.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn folder(&self, path: &str) -> PathBuf {
        fs::create_dir_all(self.at(path)).unwrap();
        self.at(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    /// Runs git itself, whose files are what is read.
    fn git(&self, folder: &str, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.folder(folder)).args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(arguments);
        git.env("HOME", self.0.path()).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"] {
            git.env_remove(name);
        }
        let output = git.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn repository(&self, path: &str, remote: Option<&str>) {
        self.git(path, &["init", "-q"]);
        self.git(path, &["commit", "-q", "--allow-empty", "-m", "first"]);
        if let Some(remote) = remote {
            self.git(path, &["remote", "add", "origin", remote]);
        }
    }

    #[track_caller]
    fn project(&self, path: &str) -> String {
        of(&self.at(path), Some(self.0.path())).map(String::from).unwrap_or_default()
    }
}

const API: &str = "git@github.com:acme/api.git";

#[test]
fn working_trees_of_a_bare_repository_are_one_project() {
    let disk = Disk::new();
    disk.repository("made/api", Some(API));
    disk.git("", &["clone", "-q", "--bare", "made/api", "work/api/.bare"]);
    disk.git("work/api/.bare", &["remote", "set-url", "origin", API]);
    disk.write("work/api/.git", "gitdir: ./.bare\n");
    disk.git("work/api", &["worktree", "add", "-q", "main-tree"]);
    disk.git("work/api", &["worktree", "add", "-q", "../fix"]);
    let expected = disk.project("made/api");
    assert!(expected.starts_with("api@"), "{expected}");
    for folder in ["work/api", "work/api/main-tree", "work/api/main-tree/src/deep", "work/fix", "work/api/.bare"] {
        assert_eq!(disk.project(folder), expected, "{folder}");
    }

    disk.git("work/api", &["remote", "remove", "origin"]);
    let local = disk.project("work/api/main-tree");
    assert!(local.starts_with("api@") && local != expected, "{local}");
    for folder in ["work/api", "work/fix", "work/api/.bare"] {
        assert_eq!(disk.project(folder), local, "without a remote: {folder}");
    }
}

#[test]
fn clones_are_one_project_and_two_customers_two() {
    let disk = Disk::new();
    disk.repository("work/api", Some("https://ada:secret@GitHub.com/acme/api"));
    disk.repository("work/api-2", Some(API));
    disk.repository("one/api", Some("git@github.com:one/api.git"));
    disk.repository("other/api", Some("git@github.com:other/api.git"));
    disk.repository("alone/api", None);
    disk.repository("alone too/api", None);
    assert_eq!(disk.project("work/api"), disk.project("work/api-2"));
    let projects = ["work/api", "one/api", "other/api", "alone/api", "alone too/api"].map(|path| disk.project(path));
    assert!(projects.iter().all(|project| project.starts_with("api@")), "{projects:?}");
    assert_eq!(projects.iter().collect::<std::collections::BTreeSet<_>>().len(), 5, "{projects:?}");
}

#[test]
fn a_clone_of_a_clone_is_the_first_ones_project() {
    let disk = Disk::new();
    disk.repository("api", None);
    disk.git("", &["clone", "-q", "api", "api-2"]);
    disk.git("", &["clone", "-q", "--bare", "api-2", "shared.git"]);
    disk.git("", &["clone", "-q", "shared", "elsewhere/api-3"]);
    let expected = disk.project("api");
    for clone in ["api-2", "shared.git", "elsewhere/api-3"] {
        assert_eq!(disk.project(clone), expected, "{clone}");
    }
    disk.git("api", &["remote", "add", "origin", API]);
    let shared = disk.project("api");
    assert_ne!(shared, expected);
    assert_eq!(disk.project("elsewhere/api-3"), shared);
    disk.git("api", &["remote", "set-url", "origin", "../api-2"]);
    assert!(disk.project("api").starts_with("api"), "a circle ends");
    disk.git("api", &["remote", "set-url", "origin", "/unmounted/disk/api.git"]);
    assert_eq!(disk.project("api-2"), disk.project("api"));
    assert!(disk.project("api").starts_with("api@"));
}

#[test]
fn a_submodule_is_a_project_of_its_own() {
    let disk = Disk::new();
    disk.repository("made/lib", None);
    disk.repository("app", Some("https://example.com/app"));
    let lib = disk.at("made/lib");
    disk.git(
        "app",
        &["-c", "protocol.file.allow=always", "submodule", "add", "-q", lib.to_str().unwrap(), "vendor/lib"],
    );
    assert_eq!(disk.project("app/vendor/lib"), disk.project("made/lib"));
    assert!(disk.project("app/vendor").starts_with("app@"));
}

#[test]
fn a_working_tree_that_git_forgot_still_names_its_repository() {
    let disk = Disk::new();
    disk.folder("billing/.git");
    disk.write("fix/.git", &format!("gitdir: {}/billing/.git/worktrees/fix\n", disk.0.path().display()));
    assert_eq!(disk.project("fix"), disk.project("billing/src"));
    assert!(disk.project("fix").starts_with("billing@"));
}

#[test]
fn abbreviations_and_includes_are_followed() {
    let disk = Disk::new();
    disk.repository("api", Some("gh:acme/api"));
    disk.write(".gitconfig", "[url \"https://github.com/\"]\n\tinsteadOf = gh:\n");
    disk.folder("other/.git");
    disk.write("other/.git/config", "[include]\npath = ../shared.config\n");
    disk.write("other/shared.config", "[remote \"origin\"]\nurl = https://github.com/acme/api\n");
    assert_eq!(disk.project("api"), disk.project("other"));
}

#[test]
fn settings_name_what_has_no_remote() {
    let disk = Disk::new();
    disk.repository("one", None);
    disk.write("one/.coditect.json", "\u{feff}{\"project\": \"Billing cafe\u{301}\"}");
    disk.write("plain/.coditect.json", "{\"project\": \"Billing caf\u{e9}\"}");
    assert_eq!(disk.project("one/src"), "Billing caf\u{e9}");
    assert_eq!(disk.project("plain/deep/er"), "Billing caf\u{e9}");
    let utf16: Vec<u8> = "\u{feff}{\"project\": \"Wide\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    disk.folder("wide");
    fs::write(disk.at("wide/.coditect.json"), utf16).unwrap();
    assert_eq!(disk.project("wide"), "Wide");
    disk.write("broken/.coditect.json", "{\"project\": 7");
    assert!(disk.project("broken").starts_with("broken@"));
    disk.git("one", &["remote", "add", "origin", API]);
    assert!(disk.project("one").starts_with("api@"), "the repository comes first");
    disk.repository("plain/inner", None);
    assert!(disk.project("plain/inner").starts_with("inner@"), "no name from above a repository");
}

#[test]
fn folders_without_a_repository_are_told_apart_and_links_are_not() {
    let disk = Disk::new();
    let (one, other) = (disk.project("one/notes"), disk.project("other/notes"));
    assert!(one.starts_with("notes@") && other.starts_with("notes@") && one != other);
    disk.folder("real/notes");
    std::os::unix::fs::symlink(disk.at("real"), disk.at("link")).unwrap();
    assert_eq!(disk.project("link/notes"), disk.project("real/notes"));
    let another = Disk::new();
    assert_eq!(another.project("one/notes"), one, "the same place in another home folder");
    assert_eq!(disk.project("caf\u{e9}"), disk.project("cafe\u{301}"), "however the file system writes it");
}

#[test]
fn a_home_folder_and_the_root_are_no_projects() {
    let home = Path::new("/nowhere/ada");
    assert_eq!(of(home, Some(home)), None);
    assert_eq!(of(Path::new("/"), None), None);
    assert_eq!(of(Path::new(""), None), None);
    let name = |folder: &Path| of(folder, Some(home)).map(|id| project::project_name(&id).to_owned());
    assert_eq!(name(&home.join("a\nb")).as_deref(), Some("a b"));
    assert_eq!(of(&home.join("é".repeat(300)), Some(home)).unwrap().as_str().chars().count(), 128);
}
