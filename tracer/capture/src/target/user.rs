//! Users, and the processes that run as them.
//!
//! A process belongs to its real user id, which the BPF programs read (`bpf_get_current_uid_gid`): a set-user-ID program
//! belongs to the user who started it. Ids are those of the initial user namespace, and names are looked up in the passwd
//! database of tlscope's file system; inside a container, both may differ.

use std::{io, str::FromStr};

use nix::{errno::Errno, unistd};
use procfs::process::Process;
use thiserror::Error as ThisError;

/// A user whose processes are selected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// The user id in the initial user namespace.
    pub uid: u32,
    /// The name or number that was given.
    pub name: String,
}

/// Why a name or number is not a user.
#[derive(Debug, ThisError)]
pub enum UserError {
    /// It is neither a valid user id nor a possible name.
    #[error("wanted the name of a user, or a number up to {LARGEST_UID}")]
    Malformed,
    /// The passwd database has no such name.
    #[error("the passwd database has no user of this name")]
    Unknown,
    /// The passwd database cannot be read.
    #[error("the passwd database cannot be read: {0}")]
    Unreadable(#[source] io::Error),
}

impl FromStr for User {
    type Err = UserError;

    /// Parses digits as a user id, which need not be in the passwd database, and anything else as a name.
    fn from_str(word: &str) -> Result<Self, UserError> {
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        let uid = if is_number {
            let number = word.parse().ok().filter(|uid| *uid <= LARGEST_UID);
            number.ok_or(UserError::Malformed)?
        } else {
            look_up(word)?
        };
        Ok(Self {
            uid,
            name: word.to_owned(),
        })
    }
}

/// Returns whether a process runs as one of these users. Kernel threads and zombies, which have no memory, do not count.
pub(super) fn runs_as(process: &Process, users: &[User]) -> bool {
    let is_of_one = |uid| users.iter().any(|user| user.uid == uid);
    process
        .status()
        .is_ok_and(|status| status.vmsize.is_some() && is_of_one(status.ruid))
}

/// Looks up a name in the passwd database.
fn look_up(name: &str) -> Result<u32, UserError> {
    if name.is_empty() || name.contains('\0') {
        return Err(UserError::Malformed);
    }
    loop {
        match unistd::User::from_name(name) {
            Ok(found) => return found.map(|user| user.uid.as_raw()).ok_or(UserError::Unknown),
            Err(Errno::EINTR) => {}
            // Some C libraries return these for an unknown name, or without a database (`getpwnam(3)`).
            Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => return Err(UserError::Unknown),
            Err(error) => return Err(UserError::Unreadable(error.into())),
        }
    }
}

/// The largest user id; the next number means no user (`INVALID_UID` in `include/linux/uidgid.h`).
const LARGEST_UID: u32 = u32::MAX - 1;

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_user_is_a_number_or_a_name_in_the_passwd_database() {
        let uid = |word: &str| word.parse::<User>().map(|user| user.uid).ok();
        assert_eq!([uid("0"), uid("root")], [Some(0), Some(0)]);
        // A number need not be in the database.
        assert_eq!(uid("4294967294"), Some(LARGEST_UID));
        for word in ["", "4294967295", "99999999999", "-1", "no user of this name", "a\0b"] {
            assert_eq!(uid(word), None, "{word:?}");
        }
        let unknown = "no-user-of-this-name".parse::<User>();
        assert!(matches!(unknown, Err(UserError::Unknown)), "{unknown:?}");
    }

    #[test]
    fn a_process_runs_as_its_user_and_a_zombie_as_none() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let process = Process::new(child.id().try_into().unwrap()).unwrap();
        let own = User {
            uid: process.status().unwrap().ruid,
            name: String::new(),
        };
        let other = User {
            uid: own.uid + 1,
            ..own.clone()
        };
        assert!(runs_as(&process, &[other.clone(), own.clone()]));
        assert!(!runs_as(&process, &[other]) && !runs_as(&process, &[]));
        drop(child.stdin.take());
        // Until it is waited for, it is a zombie without memory.
        while crate::target::has_memory(child.id()) {
            std::thread::yield_now();
        }
        assert!(!runs_as(&process, &[own]));
        child.wait().unwrap();
    }
}
