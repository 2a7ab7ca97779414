//! The redaction flags of the command line. A rule that cannot be applied is an error, because ignoring it would leak.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{Error, FingerprintKey, NameRule, PatternRule, Rules};

/// Flags that select what is masked.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Redaction")]
pub struct RedactArgs {
    /// Mask this header field and query parameter too; `*` stands for any run of characters
    #[arg(long = "redact", value_name = "NAME")]
    pub names: Vec<NameRule>,
    /// Mask what this regular expression matches in any value, path or authority too
    #[arg(long = "redact-pattern", value_name = "REGEX")]
    pub patterns: Vec<PatternRule>,
    /// Give each masked value a short keyed hash; the key is new for each run, or FILE's content
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub fingerprint: Option<Option<PathBuf>>,
    /// Print secrets; only what --redact and --redact-pattern name is still masked
    #[arg(long)]
    pub show_secrets: bool,
}

impl RedactArgs {
    /// Converts the flags to rules. Reads the key file, if there is one.
    pub fn rules(&self) -> Result<Rules, Error> {
        let Self {
            names,
            patterns,
            fingerprint,
            show_secrets,
        } = self;
        let fingerprint = match fingerprint {
            None => None,
            Some(None) => Some(FingerprintKey::random()?),
            Some(Some(path)) => Some(read_key(path)?),
        };
        Ok(Rules {
            names: names.clone(),
            patterns: patterns.clone(),
            fingerprint,
            show: *show_secrets,
        })
    }
}

fn read_key(path: &Path) -> Result<FingerprintKey, Error> {
    let failed = |source: io::Error| Error::KeyFile {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(KEY_FILE_LIMIT)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    FingerprintKey::from_file_bytes(&bytes)
}

/// Maximum bytes read from a key file, which may be a device without an end.
const KEY_FILE_LIMIT: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        redact: RedactArgs,
    }

    fn parse(words: &[&str]) -> RedactArgs {
        Command::try_parse_from([&["tlscope"], words].concat()).unwrap().redact
    }

    #[test]
    fn names_and_patterns_may_be_repeated() {
        let args = parse(&["--redact", "a", "--redact=b*", "--redact-pattern", "x+"]);
        assert_eq!(
            (args.names.len(), args.patterns.len(), args.show_secrets),
            (2, 1, false)
        );
    }

    #[test]
    fn a_fingerprint_needs_no_file() {
        assert!(parse(&[]).rules().unwrap().fingerprint.is_none());
        assert!(parse(&["--fingerprint"]).rules().unwrap().fingerprint.is_some());
    }

    #[test]
    fn a_key_file_must_be_there_and_long_enough() {
        let directory = tempfile::tempdir().unwrap();
        let (short, long) = (directory.path().join("short"), directory.path().join("long"));
        std::fs::write(&short, "hunter2").unwrap();
        std::fs::write(&long, [7; 32]).unwrap();
        let rules = |path: &Path| parse(&[&format!("--fingerprint={}", path.display())]).rules();
        assert!(matches!(
            rules(&directory.path().join("none")),
            Err(Error::KeyFile { .. })
        ));
        assert!(matches!(rules(&short), Err(Error::ShortKey { length: 7, .. })));
        assert!(rules(&long).is_ok());
    }
}
