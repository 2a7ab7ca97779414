//! Whether another tool probes the functions that tlscope would.

use std::io;

use super::{Finding, Subject};
use crate::target::MappedObject;

/// Returns what the breakpoints and the trial of the probes of a file mean. `tried` is absent if this process may not try.
pub(super) fn finding(
    object: &MappedObject,
    sites: usize,
    breakpoints: io::Result<usize>,
    tried: Option<&[(u64, io::Error)]>,
) -> Finding {
    let path = object.path.display().to_string();
    let refused = tried.unwrap_or_default();
    if let Some((offset, error)) = refused.first() {
        return refusal(&path, refused.len(), sites, *offset, error);
    }
    match breakpoints {
        Err(error) => Finding::unknown(
            Subject::Sites,
            path,
            format!("the memory of the process cannot be read: {error}"),
        ),
        Ok(0) => Finding::fine(
            Subject::Sites,
            path,
            match tried {
                Some(_) => format!("nothing else is at the {sites} places of probes, and the kernel accepts them"),
                None => format!("nothing else is at the {sites} places of probes"),
            },
        ),
        Ok(found) => Finding::limited(
            Subject::Sites,
            path,
            format!(
                "another tool, or another tlscope, has breakpoints at {found} of the {sites} places of probes: both work, \
                 and each hit costs the process once for each"
            ),
        )
        .with_action("the line `tracers` names programs that it may be; stop it if its cost matters"),
    }
}

fn refusal(path: &str, count: usize, sites: usize, offset: u64, error: &io::Error) -> Finding {
    let subject = Subject::Sites;
    if error.kind() == io::ErrorKind::InvalidInput {
        return Finding::prevents(
            subject,
            path,
            format!(
                "the kernel refuses {count} of {sites} probes, the first at {offset:#x}: another tool holds the same place \
                 with another ref_ctr_offset, as those of bcc's Python binding do with a random one"
            ),
        )
        .with_action("stop that tool (see `tracers`); the kernel log says `ref_ctr_offset mismatch` if it is this");
    }
    Finding::prevents(
        subject,
        path,
        format!("the kernel refuses {count} of {sites} probes, the first at {offset:#x}: {error}"),
    )
    .with_action("see capabilities; a security module may forbid it, which its log says")
}

#[cfg(test)]
mod tests {
    use super::{super::State, *};
    use crate::target::Target;

    #[test]
    fn what_is_at_the_places_of_probes_is_told() {
        let target = Target::of_file("/proc/self/exe".as_ref()).unwrap();
        let of = |breakpoints, tried: Option<&[(u64, io::Error)]>| finding(&target.objects[0], 20, breakpoints, tried);
        let alone = of(Ok(0), Some(&[]));
        assert!(alone.state == State::Fine && alone.meaning.contains("accepts"));
        assert!(!of(Ok(0), None).meaning.contains("accepts"));
        assert_eq!(of(Ok(3), None).state, State::Limited);
        assert_eq!(
            of(Err(io::ErrorKind::PermissionDenied.into()), None).state,
            State::Unknown
        );
        let mismatch = of(Ok(1), Some(&[(0x1234, io::Error::from_raw_os_error(libc::EINVAL))]));
        assert_eq!(mismatch.state, State::Prevents);
        for word in ["ref_ctr_offset", "0x1234", "1 of 20"] {
            assert!(mismatch.meaning.contains(word), "{}", mismatch.meaning);
        }
        let denied = of(Ok(0), Some(&[(1, io::Error::from_raw_os_error(libc::EACCES))]));
        assert!(denied.state == State::Prevents && !denied.meaning.contains("ref_ctr"));
    }
}
