use std::os::unix::fs::symlink;

use super::*;

fn fault(path: PathBuf) -> (String, String) {
    let error = Home::new(path).read("config.json").unwrap_err();
    assert_eq!(error.code(), "unusable_home");
    (error.to_string(), error.hint())
}

#[test]
fn an_empty_folder_is_made_private_and_used() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o755, 0o777, 0o750] {
        let home = Home::new(folder.path().join(format!("{mode:o}")));
        fs::create_dir(home.path()).unwrap();
        fs::set_permissions(home.path(), Permissions::from_mode(mode)).unwrap();
        assert_eq!(home.read("x").unwrap(), None);
        assert!(home.write_new("x", b"x").unwrap());
        assert_eq!(home.read("x").unwrap().unwrap(), b"x");
        assert_eq!(fs::metadata(home.path()).unwrap().mode() & 0o777, 0o700);
    }
}

#[test]
fn root_uses_a_volume_that_another_user_has_made() {
    if !geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path().join("volume"));
    fs::create_dir(home.path()).unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(home.path(), Some(12345), Some(12345)).unwrap();
    assert!(home.write_new("x", b"x").unwrap());
    assert_eq!(fs::metadata(home.path()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_folder_with_something_in_it_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path().to_owned());
    fs::write(folder.path().join("theirs"), "").unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(home.write("x", b"x"), Err(Error::Exposed { .. })));
    assert_eq!(fs::metadata(home.path()).unwrap().mode() & 0o777, 0o755);
}

#[test]
fn what_is_no_folder_is_named_with_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    symlink("nowhere", path("link")).unwrap();
    let (says, hint) = fault(path("link"));
    assert!(says.contains("it is a link to nowhere, which does not exist"), "{says}");
    assert!(hint.contains(&format!("mkdir -p -m 700 {}`", path("nowhere").display())), "{hint}");
    fs::write(path("file"), "").unwrap();
    assert!(fault(path("file")).0.contains("it is a file"));
    for literal in ["~/.coditect", "~"] {
        let (says, hint) = fault(literal.into());
        assert!(says.contains("~") && hint.contains("$HOME/"), "{says} {hint}");
    }
    // A link to a folder of one's own is as good as the folder.
    fs::create_dir(path("real")).unwrap();
    symlink("real", path("good")).unwrap();
    assert!(Home::new(path("good")).write_new("x", b"x").unwrap());
}

#[test]
fn without_hard_links_only_the_first_is_placed() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path().join("home"));
    for (content, placed) in [("first", true), ("second", false)] {
        let written = home.write_aside("x", content.as_bytes()).unwrap();
        assert_eq!(home.place_without_links(&written, &home.file("x")).is_ok(), placed);
    }
    assert_eq!(home.read("x").unwrap().unwrap(), b"first");
}
