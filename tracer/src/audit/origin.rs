//! Who runs tlscope, and from where.

use std::{env, fs};

use nix::unistd;
use procfs::process::Process;
use tracer_observe::audit::{Claims, Origin, User};

/// Returns the user, as the kernel has it.
pub(super) fn user() -> User {
    let uid = unistd::getuid().as_raw();
    let login_uid = fs::read_to_string("/proc/self/loginuid")
        .ok()
        .and_then(|text| parse_login(&text));
    User {
        uid,
        name: name_of(uid),
        login_uid,
        login_name: login_uid.and_then(name_of),
    }
}

/// Parses a user id at login; `None` if there was no login, as of a service.
fn parse_login(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|uid| *uid != u32::MAX)
}

fn name_of(uid: u32) -> Option<String> {
    let user = unistd::User::from_uid(uid.into()).ok().flatten()?;
    Some(user.name)
}

/// Returns the controlling terminal and the parent, as the kernel has them.
pub(super) fn from() -> Origin {
    let stat = Process::myself().and_then(|process| process.stat()).ok();
    let parent_pid = stat
        .as_ref()
        .and_then(|stat| u32::try_from(stat.ppid).ok())
        .filter(|pid| *pid > 0);
    let parent = parent_pid.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok());
    Origin {
        tty: stat.and_then(|stat| tty(stat.tty_nr())),
        parent_pid,
        parent: parent.map(|name| name.trim_end_matches('\n').to_owned()),
    }
}

/// Returns the name of a terminal by the numbers of its device, which are in the list of the kernel
/// (Documentation/admin-guide/devices.txt, v6.18).
fn tty((major, minor): (i32, i32)) -> Option<String> {
    match (major, minor) {
        (0, 0) => None,
        (4, minor @ 0..64) => Some(format!("tty{minor}")),
        (4, minor) => Some(format!("ttyS{}", minor.saturating_sub(64))),
        // Each of these majors has 256 of them.
        (136..=143, minor) => Some(format!(
            "pts/{}",
            major.saturating_sub(136).saturating_mul(256).saturating_add(minor)
        )),
        (major, minor) => Some(format!("{major}:{minor}")),
    }
}

/// Returns what the environment says.
pub(super) fn claims() -> Claims {
    let variable = |name: &str| {
        let value = env::var_os(name)?.to_string_lossy().into_owned();
        Some(value).filter(|value| !value.is_empty())
    };
    let connection = variable("SSH_CONNECTION");
    Claims {
        sudo_user: variable("SUDO_USER"),
        sudo_uid: variable("SUDO_UID"),
        ssh_client: connection.and_then(|text| text.split_whitespace().next().map(str::to_owned)),
    }
}

/// Returns the name of this machine.
pub(super) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_that_never_was_is_no_user() {
        assert_eq!(parse_login("1000"), Some(1000));
        assert_eq!(parse_login("0\n"), Some(0));
        for text in ["4294967295", "", "x", "-1"] {
            assert_eq!(parse_login(text), None);
        }
    }

    #[test]
    fn terminals_have_names() {
        let names = [(0, 0), (4, 1), (4, 64), (136, 7), (137, 1), (204, 64)].map(tty);
        let expected = [
            None,
            Some("tty1"),
            Some("ttyS0"),
            Some("pts/7"),
            Some("pts/257"),
            Some("204:64"),
        ];
        assert_eq!(names, expected.map(|name| name.map(str::to_owned)));
    }

    #[test]
    fn the_parent_of_this_process_has_a_name() {
        let origin = from();
        assert_eq!(origin.parent_pid, Some(std::os::unix::process::parent_id()));
        assert!(origin.parent.is_some_and(|name| !name.is_empty()));
        assert_eq!(user().uid, unistd::getuid().as_raw());
    }
}
