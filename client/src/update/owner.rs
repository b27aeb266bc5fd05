//! Finds the package manager that installed this program, and that also updates it.

use std::path::Path;
use std::process::{Command, Stdio};

/// A package manager.
pub(super) struct Owner {
    pub(super) name: &'static str,
    /// The command that updates this program.
    pub(super) command: String,
}

/// Folders of package managers, with the manager's name and the command that updates this program.
const FOLDERS: [(&str, &str, &str); 6] = [
    ("/Cellar/", "Homebrew", "brew upgrade coditect"),
    ("/nix/store/", "Nix", "nix profile upgrade coditect"),
    ("/.cargo/bin/", "cargo", "cargo install coditect"),
    ("/scoop/apps/", "Scoop", "scoop update coditect"),
    ("/snap/", "snap", "sudo snap refresh coditect"),
    ("/site-packages/", "pip", "pip install --upgrade coditect-license"),
];

/// Returns the package manager of a program. The path is that of the file itself, and not of a link to it.
pub(super) fn of(program: &Path) -> Option<Owner> {
    let path = program.to_string_lossy().replace('\\', "/");
    let folder = FOLDERS.iter().find(|(folder, ..)| path.contains(folder));
    if let Some((_, name, command)) = folder {
        return Some(Owner { name, command: (*command).to_owned() });
    }
    let debian = asked("dpkg-query", &["-S"], program).and_then(|line| line.split(':').next().map(str::to_owned));
    if let Some(package) = debian {
        return Some(Owner { name: "apt", command: format!("sudo apt install --only-upgrade {package}") });
    }
    let package = asked("rpm", &["-qf", "--queryformat", "%{NAME}\n"], program)?;
    Some(Owner { name: "rpm", command: format!("sudo dnf upgrade {package}") })
}

/// Returns the first line of a package manager's answer about a file, if the file is one of its own.
fn asked(manager: &str, arguments: &[&str], program: &Path) -> Option<String> {
    let mut command = Command::new(manager);
    let output = command.args(arguments).arg(program).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?.lines().next()?.trim().to_owned();
    output.status.success().then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_managers_folder_is_its_own() {
        for (path, name) in [
            ("/opt/homebrew/Cellar/coditect/0.1.0/bin/coditect", "Homebrew"),
            ("/home/linuxbrew/.linuxbrew/Cellar/coditect/0.1.0/bin/coditect", "Homebrew"),
            ("/nix/store/abc-coditect-0.1.0/bin/coditect", "Nix"),
            ("/home/ada/.cargo/bin/coditect", "cargo"),
            ("C:\\Users\\ada\\scoop\\apps\\coditect\\current\\coditect.exe", "Scoop"),
        ] {
            assert_eq!(of(Path::new(path)).map(|owner| owner.name), Some(name), "{path}");
        }
        for path in ["/usr/local/bin/coditect", "/home/ada/bin/coditect", "/opt/coditect/bin/coditect"] {
            assert!(of(Path::new(path)).is_none(), "{path}");
        }
    }

    #[test]
    fn what_a_package_brought_is_its_managers() {
        // Where Debian's is at hand, there is a program that it has installed.
        let there = Command::new("dpkg-query").arg("--version").stdout(Stdio::null()).status();
        if there.is_ok_and(|status| status.success()) {
            let owner = of(Path::new("/usr/bin/dpkg-query")).unwrap();
            assert_eq!((owner.name, owner.command.as_str()), ("apt", "sudo apt install --only-upgrade dpkg"));
        }
    }
}
