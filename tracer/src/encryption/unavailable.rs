//! Stands in for encrypted tapes, in a build without the feature `encryption`.

use std::io::{self, Read};

use anyhow::{Result, bail};
use clap::Args;

/// No options.
#[derive(Args, Debug)]
pub(crate) struct IdentityArgs {}

impl IdentityArgs {
    /// Returns whether there are any.
    #[expect(clippy::unused_self, reason = "with the feature there may be some")]
    pub(crate) const fn are_given(&self) -> bool {
        false
    }
}

/// Returns the input, unless it is encrypted.
pub(crate) fn decrypted(mut input: Box<dyn Read>, _keys: &IdentityArgs) -> Result<Box<dyn Read>> {
    const BEGIN: &[u8] = b"age-encryption.org/v1\n";
    let mut begin = Vec::new();
    input.by_ref().take(BEGIN.len() as u64).read_to_end(&mut begin)?;
    if begin == BEGIN {
        bail!("this build cannot read encrypted tapes: built without the feature `encryption`");
    }
    Ok(Box::new(io::Cursor::new(begin).chain(input)))
}

#[cfg(feature = "live")]
pub(crate) use self::live::{RecipientArgs, Recipients, TapeFile};

#[cfg(feature = "live")]
mod live {
    use std::{
        fs::File,
        io::{self, BufWriter, Write},
    };

    use clap::Args;

    /// No options.
    #[derive(Args, Debug)]
    pub(crate) struct RecipientArgs {}

    /// No recipients.
    #[derive(Debug)]
    pub(crate) enum Recipients {}

    impl Recipients {
        pub(crate) const fn count(&self) -> usize {
            match *self {}
        }
    }

    impl RecipientArgs {
        #[expect(
            clippy::unnecessary_wraps,
            clippy::unused_self,
            reason = "with the feature there are some"
        )]
        pub(crate) const fn check(&self) -> Result<(), clap::Error> {
            Ok(())
        }

        #[expect(
            clippy::unnecessary_wraps,
            clippy::unused_self,
            reason = "with the feature there are some"
        )]
        pub(crate) const fn recipients(&self) -> Result<Option<Recipients>, String> {
            Ok(None)
        }
    }

    /// The file of a tape, which has plaintext.
    #[derive(Debug)]
    pub(crate) struct TapeFile(BufWriter<File>);

    impl TapeFile {
        #[expect(clippy::unnecessary_wraps, reason = "with the feature it may fail")]
        pub(crate) fn begin(file: BufWriter<File>, _recipients: Option<&Recipients>) -> io::Result<Self> {
            Ok(Self(file))
        }

        pub(crate) fn finish(mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    impl Write for TapeFile {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
}
