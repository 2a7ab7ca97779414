//! Globs, with `*` as their only special character.

/// A pattern in which `*` matches any number of bytes, and every other byte matches itself, in either case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Glob(Box<[u8]>);

impl Glob {
    /// Creates a glob from a pattern.
    pub(crate) fn new(pattern: &str) -> Self {
        Self(pattern.to_ascii_lowercase().into_bytes().into_boxed_slice())
    }

    /// Returns whether the whole of `name` matches.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        let (mut pattern, mut rest) = (&*self.0, name);
        // The pattern after the latest star and the bytes that it may match. No earlier star ever has to match more.
        let mut retry = None;
        loop {
            match (pattern.split_first(), rest.split_first()) {
                (None, None) => return true,
                (Some((b'*', after)), _) => {
                    retry = Some((after, rest));
                    pattern = after;
                }
                (Some((wanted, after)), Some((byte, others))) if *wanted == byte.to_ascii_lowercase() => {
                    (pattern, rest) = (after, others);
                }
                _ => match retry.and_then(|(after, from)| Some((after, from.split_first()?.1))) {
                    Some((after, from)) => {
                        retry = Some((after, from));
                        (pattern, rest) = (after, from);
                    }
                    None => return false,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn a_star_matches_any_number_of_bytes() {
        for (pattern, name) in [
            ("*", ""),
            ("x-*-id", "X-Tenant-Id"),
            ("*.example.com", "a.b.Example.com"),
            ("a*b*c", "aXbYbZc"),
            ("abc", "ABC"),
            ("a**", "a"),
        ] {
            assert!(Glob::new(pattern).matches(name.as_bytes()), "{pattern} {name}");
        }
    }

    #[test]
    fn the_whole_name_has_to_match() {
        for (pattern, name) in [
            ("abc", "abcd"),
            ("abc", "xabc"),
            ("", "a"),
            ("a*b", "abc"),
            ("*.example.com", "example.com"),
        ] {
            assert!(!Glob::new(pattern).matches(name.as_bytes()), "{pattern} {name}");
        }
    }
}
