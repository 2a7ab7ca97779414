//! The users that processes run as.
//!
//! A user is its real user id, which is what the kernel's programs read (`bpf_get_current_uid_gid`): of a set-user-ID
//! program it is the user who started it. The numbers are those of the initial user namespace, and names are looked up in
//! the passwd database of tlscope's own file system: inside a container both may differ.

use std::{ffi::CString, io, mem::MaybeUninit, ptr, str::FromStr};

use procfs::process::Process;
use thiserror::Error as ThisError;

/// A user whose processes are selected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// Its number in the initial user namespace.
    pub uid: u32,
    /// What it was called: a name, or the number.
    pub name: String,
}

/// Why a word names no user.
#[derive(Debug, ThisError)]
pub enum UserError {
    /// It is no number of a user, and cannot be a name.
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

    /// Takes digits for a number, which need not be in the passwd database.
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

/// Returns whether a process runs as one of these users. Kernel threads and processes that have ended, which have no memory,
/// do not.
pub(super) fn runs_as(process: &Process, users: &[User]) -> bool {
    let is_of_one = |uid| users.iter().any(|user| user.uid == uid);
    process
        .status()
        .is_ok_and(|status| status.vmsize.is_some() && is_of_one(status.ruid))
}

/// Looks a name up in the passwd database.
fn look_up(name: &str) -> Result<u32, UserError> {
    let name = CString::new(name).ok().filter(|name| !name.is_empty());
    let name = name.ok_or(UserError::Malformed)?;
    let mut room = USUAL_ENTRY_BYTES;
    loop {
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        let mut strings: Vec<libc::c_char> = vec![0; room];
        let mut found = ptr::null_mut();
        // SAFETY: the name ends with a zero; the three places are this function's own, live as long as the call, and the
        // length is that of `strings`.
        let code = unsafe {
            libc::getpwnam_r(
                name.as_ptr(),
                entry.as_mut_ptr(),
                strings.as_mut_ptr(),
                strings.len(),
                &raw mut found,
            )
        };
        match code {
            // SAFETY: not null, and then it points to `entry`, which the call has filled.
            0 => return unsafe { found.as_ref() }.map_or(Err(UserError::Unknown), |entry| Ok(entry.pw_uid)),
            libc::EINTR => {}
            libc::ERANGE if room < MAX_ENTRY_BYTES => room *= 2,
            // What the C library says where its database is not there (`getpwnam(3)`).
            libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => return Err(UserError::Unknown),
            code => return Err(UserError::Unreadable(io::Error::from_raw_os_error(code))),
        }
    }
}

/// One less than the number that stands for no user (`INVALID_UID` in `include/linux/uidgid.h`).
const LARGEST_UID: u32 = u32::MAX - 1;

/// Bytes of an entry's strings that are expected.
const USUAL_ENTRY_BYTES: usize = 1024;

/// Bytes of an entry's strings beyond which it is not read.
const MAX_ENTRY_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_user_is_a_number_or_a_name_of_the_passwd_database() {
        let uid = |word: &str| word.parse::<User>().map(|user| user.uid).ok();
        assert_eq!([uid("0"), uid("root")], [Some(0), Some(0)]);
        // A number need not be anybody's.
        assert_eq!(uid("4294967294"), Some(LARGEST_UID));
        for word in ["", "4294967295", "99999999999", "-1", "no user of this name", "a\0b"] {
            assert_eq!(uid(word), None, "{word:?}");
        }
        let unknown = "no-user-of-this-name".parse::<User>();
        assert!(matches!(unknown, Err(UserError::Unknown)), "{unknown:?}");
    }

    #[test]
    fn a_process_runs_as_its_own_user_and_none_does_that_has_ended() {
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
        // Until it is waited for it is there, without memory.
        while crate::target::has_memory(child.id()) {
            std::thread::yield_now();
        }
        assert!(!runs_as(&process, &[own]));
        child.wait().unwrap();
    }
}
