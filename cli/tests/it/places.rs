//! Locations of the home folder, and file systems that lack features.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use coditect::Config;

use crate::cloud::Cloud;
use crate::machine::{Machine, Printed, at_time, copy, expect};

/// A library that makes hard links and the flush of folders fail, as on file systems that have neither.
static POOR: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("coditect-poor-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (source, library) = (folder.join("poor.c"), folder.join("poor.so"));
    let code = r"
        #include <errno.h>
        #include <sys/stat.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        int link(const char *a, const char *b) { errno = EPERM; return -1; }
        int linkat(int a, const char *b, int c, const char *d, int e) { errno = EPERM; return -1; }
        int fsync(int fd) {
            struct stat found;
            if (fstat(fd, &found) == 0 && S_ISDIR(found.st_mode)) { errno = EINVAL; return -1; }
            return syscall(SYS_fsync, fd);
        }";
    fs::write(&source, code).unwrap();
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status().unwrap();
    assert!(made.success());
    library
});

#[test]
fn a_file_system_without_hard_links_and_folder_flushes_is_used_and_named() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url).with("LD_PRELOAD", POOR.as_os_str());
    for arguments in [
        &["init"][..],
        &["activate", &machine.key.to_string()],
        &["config", "set", "sync", "on"],
        &["task", "add", "Write it down"],
        &["sync"],
        &["run", "true"],
    ] {
        let printed = machine.coditect(arguments);
        assert_eq!((printed.code, printed.stderr.as_str()), (0, ""), "{arguments:?}: {printed:?}");
    }
    let printed = machine.coditect(&["doctor"]);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(printed.stdout.contains("?    home"), "{printed:?}");
    for lack in ["no hard links", "no way to write folders through"] {
        assert!(printed.stdout.contains(lack), "{lack}: {printed:?}");
    }
}

#[test]
fn an_empty_folder_that_others_can_read_is_made_private() {
    let machine = Machine::new("https://cloud.example");
    fs::remove_dir_all(machine.home()).unwrap();
    fs::create_dir(machine.home()).unwrap();
    fs::set_permissions(machine.home(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(machine.coditect(&["status"]).code, 0, "a look needs none");
    assert_eq!(machine.coditect(&["task", "add", "Write it down"]).code, 0);
    assert_eq!(fs::metadata(machine.home()).unwrap().permissions().mode() & 0o777, 0o700);
}

/// Makes a dangling link and a file, neither of which can be a home; returns each with its error message.
fn impossible_homes(folder: &Path) -> [(PathBuf, &'static str); 2] {
    symlink("nowhere", folder.join("link")).unwrap();
    fs::write(folder.join("file"), "").unwrap();
    [(folder.join("link"), "is a link to nowhere, which does not exist"), (folder.join("file"), "it is a file")]
}

#[test]
fn what_cannot_be_a_home_is_named() {
    let machine = Machine::new("https://cloud.example");
    let folder = machine.folder().to_owned();
    let [link, file] = impossible_homes(&folder);
    let tilde = (PathBuf::from("~/.coditect"), "no shell has put your own folder in the place of the ~");
    for ((home, says), hint) in [(link, "mkdir -p -m 700"), (file, "CODITECT_HOME"), (tilde, "$HOME/.coditect")] {
        for arguments in [&["config", "list"][..], &["task", "add", "x"], &["init"], &["status"]] {
            let output = machine.command(arguments).current_dir(&folder).env("CODITECT_HOME", &home).output().unwrap();
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
            assert!(text.contains(says) && text.contains(hint), "{arguments:?}: {text}");
        }
    }
    assert!(!folder.join("~").exists());
}

#[test]
fn doctor_says_of_a_home_what_the_commands_say() {
    let machine = Machine::new("https://cloud.example");
    let [link, file] = impossible_homes(machine.folder());
    for ((home, says), hint) in [(link, "mkdir -p -m 700"), (file, "`mv ")] {
        let output = machine.command(&["doctor"]).env("CODITECT_HOME", &home).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.starts_with("ok   version") && text.contains("\nBAD  home"), "{text}");
        assert!(text.contains(says) && text.contains(hint) && !text.contains("chmod"), "{text}");
        let fix = machine.command(&["doctor", "--fix"]).env("CODITECT_HOME", &home).output().unwrap();
        assert_eq!(fix.status.code(), Some(2), "{fix:?}");
        assert!(String::from_utf8(fix.stderr).unwrap().contains(says));
    }
}

#[test]
fn a_path_is_one_line_whatever_is_in_its_name() {
    let machine = Machine::new("https://cloud.example");
    let home = machine.folder().join("h\nhint: \u{1b}[2J");
    let home = home.to_str().unwrap();
    for arguments in [
        &["init"][..],
        &["init"],
        &["man", "--output", home],
        &["hook", "install", "--settings", &format!("{home}/settings.json")],
        &["hook", "install", "--settings", "/proc/\nhint: \u{1b}[2J"],
        &["--home", "/proc/\nhint: \u{1b}[2J", "config", "set", "sync", "on"],
    ] {
        let output = machine.command(arguments).env("CODITECT_HOME", home).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(text.contains("\\nhint: \\u{1b}[2J"), "{arguments:?}: {text}");
        assert!(!text.contains('\u{1b}') && text.matches("\nhint: ").count() < 2, "{arguments:?}: {text}");
    }
}

#[test]
fn neither_a_name_that_is_not_utf8_nor_a_clock_beyond_the_calendar_is_a_crash() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    assert_eq!(machine.coditect(&["config", "set", "sync", "on"]).code, 0);
    let odd = machine.folder().join(std::ffi::OsString::from_vec(b"h\xff me".to_vec()));
    fs::create_dir(&odd).unwrap();
    copy(&machine.home(), &odd);
    let key = machine.key.to_string();
    for arguments in [
        &["init", "--json"][..],
        &["status", "--json"],
        &["activate", &key],
        &["config", "set", "cloud-url", &cloud.url],
        &["task", "add", "Write it down"],
        &["task", "list", "--json"],
        &["run", "true"],
        &["sync"],
        &["doctor", "--json"],
        &["hook", "status", "--json"],
        &["validate"],
        &["seat", "list"],
        &["self", "update", "--check"],
        &["telemetry", "status"],
    ] {
        let odd = machine.command(arguments).env("CODITECT_HOME", odd.join("home")).output().unwrap();
        let mut before = machine.command(arguments);
        let before = at_time(&mut before, "1969-06-15 12:00:00").output().unwrap();
        let mut after = machine.command(arguments);
        let after = at_time(&mut after, "+9000y").output().unwrap();
        for (output, why) in [(odd, "a name"), (before, "an early clock"), (after, "a late clock")] {
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.code().is_some_and(|code| code < 2 || code == 2 && !text.contains("mistake of")),
                "{text}"
            );
            assert!(!text.contains("panicked") && !text.contains("mistake"), "{why}: {arguments:?}: {text}");
        }
    }
    let pages = odd.join("pages");
    for option in ["--quiet", "--json"] {
        let arguments = [OsStr::new(option), OsStr::new("man"), OsStr::new("--output"), pages.as_os_str()];
        let output = machine.command(&arguments).output().unwrap();
        assert!(output.status.success() && pages.join("coditect.1").exists(), "{output:?}");
    }
}

/// As root, a command in another user's home does not go through that user's links.
#[test]
fn root_follows_no_link_that_another_user_has_made() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let aside = machine.folder().join("aside");
    fs::create_dir(&aside).unwrap();
    let lead = |name: &str, to: &Path| {
        let path = machine.home().join(name);
        let _ = fs::remove_file(&path);
        symlink(to, &path).unwrap();
        assert!(Command::new("chown").args(["-h", "nobody"]).arg(&path).status().unwrap().success());
        path
    };
    for (name, arguments) in [
        ("config.lock", &["config", "set", "sync", "on"][..]),
        ("sessions.db", &["task", "add", "x"]),
        ("seats.lock", &["run", "true"]),
        ("config.json", &["config", "set", "sync", "on"]),
        ("license", &["validate"]),
    ] {
        let target = aside.join(name);
        let link = lead(name, &target);
        let printed = machine.coditect(arguments);
        assert!(!target.exists(), "{name}: {printed:?}");
        assert!(printed.stderr.contains("it is a link that nobody has made"), "{name}: {printed:?}");
        fs::remove_file(link).unwrap();
    }
    let link = lead("profiles", &aside);
    let printed = machine.coditect(&["--profile", "work", "task", "add", "x"]);
    assert!(printed.stderr.contains("profiles cannot be used: it is a link that nobody has made"), "{printed:?}");
    assert!(!aside.join("work").exists());
    fs::remove_file(link).unwrap();
}

fn chown(owner: &str, path: &Path) {
    assert!(Command::new("chown").args(["-R", owner]).arg(path).status().unwrap().success());
}

fn chmod(mode: u32, path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs the binary as another user than root.
fn as_nobody(machine: &Machine, arguments: &[&str]) -> Printed {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--clear-groups"]).arg(env!("CARGO_BIN_EXE_coditect")).args(arguments);
    machine.surround(&mut command);
    machine.printed(command.current_dir("/").output().unwrap())
}

/// A machine of the user nobody with a task. `None` without root, who alone can give files away, and where the binary is in a
/// folder that no other user can enter.
fn machine_of_nobody() -> Option<Machine> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let machine = Machine::new("https://cloud.example");
    assert_eq!(machine.coditect(&["task", "add", "Write it down", "--id", "x"]).code, 0);
    chown("nobody", machine.folder());
    (as_nobody(&machine, &["config", "list"]).code == 0).then_some(machine)
}

/// The folder cannot be read, so it counts as neither empty nor new.
#[test]
fn a_home_that_cannot_be_entered_is_an_error_for_all_that_read_it() {
    let Some(machine) = machine_of_nobody() else { return };
    let each_says = |profile: &[&str], says: &str, hint: &str| {
        for arguments in [
            &["task", "list"][..],
            &["decisions"],
            &["--json", "task", "list"],
            &["sync", "log"],
            &["sync", "status"],
            &["search", "Write"],
            &["task", "show", "x"],
            &["status"],
            &["config", "list"],
            &["task", "add", "y"],
            &["hook", "status"],
        ] {
            let printed = as_nobody(&machine, &[profile, arguments].concat());
            let text = (printed.stdout.clone() + &printed.stderr).replace("\\\"", "\"");
            assert_eq!(printed.code, 2, "{arguments:?}: {printed:?}");
            assert!(text.contains(says) && text.contains(hint), "{arguments:?}: {printed:?}");
        }
        let doctor = as_nobody(&machine, &[profile, &["doctor"]].concat());
        assert!(doctor.stdout.contains("BAD  home") && doctor.stdout.contains(hint), "{doctor:?}");
    };
    // A whole user's folder is not to be given away for this.
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let root = users.lines().find(|user| user.split(':').nth(2) == Some("0")).unwrap();
    let below = format!("{}/nothing", root.split(':').nth(5).unwrap());
    let printed = as_nobody(&machine, &["--home", &below, "task", "add", "y"]);
    assert!(printed.code == 2 && !printed.stderr.contains("chown"), "{printed:?}");
    chown("root", &machine.home());
    each_says(&[], "{home} belongs to root.", "`sudo chown -R \"$(id -un)\" {home}");
    chown("nobody", &machine.home());
    for mode in [0o000, 0o600] {
        chmod(mode, &machine.home());
        each_says(&[], "cannot be used: Permission denied", "`chmod u+rwx {home}` lets you in again.");
    }
    chmod(0o700, &machine.home());
    let profiles = machine.home().join("profiles");
    fs::create_dir(&profiles).unwrap();
    chmod(0o700, &profiles);
    each_says(
        &["--profile", "work"],
        "{home}/profiles belongs to root.",
        "`sudo chown -R \"$(id -un)\" {home}/profiles`",
    );
    fs::remove_dir(&profiles).unwrap();
    assert!(as_nobody(&machine, &["task", "list"]).stdout.contains("Write it down"));
}

#[test]
fn doctor_names_files_that_their_owner_may_not_use() {
    let Some(machine) = machine_of_nobody() else { return };
    for (file, mode) in [("sessions.db", 0o400), ("config.json", 0o200)] {
        fs::write(machine.home().join("config.json"), "{}").unwrap();
        chown("nobody", &machine.home());
        let path = machine.home().join(file);
        chmod(mode, &path);
        let doctor = as_nobody(&machine, &["doctor"]);
        let hint = format!("`chmod u+rw {{home}}/{file}` lets you use it again.");
        assert!(doctor.stdout.contains("BAD  home") && doctor.stdout.contains(&hint), "{doctor:?}");
        chmod(0o600, &path);
    }
}

#[test]
fn what_sudo_has_left_is_named_with_its_owner() {
    let Some(machine) = machine_of_nobody() else { return };
    let as_nobody = |arguments: &[&str]| as_nobody(&machine, arguments);
    let db = ["sessions.db", "sessions.db-wal", "config.json"];
    for name in db {
        let path = machine.home().join(name);
        if path.exists() {
            chown("root", &path);
        }
    }
    let printed = as_nobody(&["config", "list"]);
    assert!(printed.stderr.contains("{home}/config.json belongs to root."), "{printed:?}");
    assert!(printed.stderr.contains("`sudo chown -R \"$(id -un)\" {home}/config.json` makes it yours"), "{printed:?}");
    let printed = as_nobody(&["task", "list"]);
    assert!(printed.stderr.contains("sessions.db") && printed.stderr.contains("belongs to root"), "{printed:?}");
    let printed = as_nobody(&["doctor"]);
    assert!(printed.stdout.contains("BAD  home") && printed.stdout.contains("belongs to root"), "{printed:?}");
    assert!(printed.stdout.contains("`sudo chown -R \"$(id -un)\" {home}"), "{printed:?}");
}

#[test]
fn of_forty_settings_at_once_none_is_lost() {
    let machine = Machine::new("https://cloud.example");
    for _ in 0..10 {
        let config = || Config::open(Some(machine.home())).unwrap();
        config().set_sync(false).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| config().set_sync(true).unwrap());
            scope.spawn(|| config().set_cloud_url(&"https://other.example".parse().unwrap()).unwrap());
        });
        assert!(config().sync().unwrap());
        assert_eq!(config().cloud_url().unwrap().as_str(), "https://other.example");
        config().unset_cloud_url().unwrap();
    }
    let settings = machine.folder().join(".claude/settings.json");
    let homes = [machine.home(), machine.folder().join("other")];
    std::thread::scope(|scope| {
        for home in &homes {
            let settings = &settings;
            scope.spawn(move || {
                let hook = coditect::hook::AgentHook::open(Some(home.clone())).unwrap();
                for n in 0..20 {
                    let file = settings.with_file_name(format!("settings-{n}.json"));
                    hook.settings(file).install(&format!("coditect --home {} hook task-plan", home.display())).unwrap();
                }
            });
        }
    });
    for home in homes {
        assert_eq!(coditect::hook::AgentHook::open(Some(home)).unwrap().installed().unwrap().len(), 20);
    }
    expect(&machine.coditect(&["config", "get", "sync"]), 0, "on\n", "");
}
