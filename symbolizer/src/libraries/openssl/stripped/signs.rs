//! What shows that a function is one of libssl, beside the numbers that it loads: it hands them to the function that reports
//! errors, with the number of the library and the name of its file.

use crate::code::Destination;
use crate::code::Value;
use crate::code::effects::{Call, Effects, Target};
use crate::elf::address::Vaddr;
use crate::elf::survey::SymbolSource;
use crate::libraries::openssl::tap::linkage::Linkage;
use crate::limits;

use super::reports::BORINGSSL;

/// Says by what a function was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signs {
    /// What its errors are reported to (`ERR_put_error`): code of the image, or a slot of the dynamic linker.
    pub(super) reporter: Vaddr,
    /// The errors alone, or the file as well.
    pub(super) source: SymbolSource,
}

/// Finds the signs of a function that belongs to a file; none if it reports no error of libssl, or names another file.
pub(super) fn signs(linkage: &Linkage<'_, '_>, effects: &Effects, file: &[u8]) -> Option<Signs> {
    let reporting = || effects.calls.iter().filter(|call| reports(call));
    let mut reporters = reporting().filter_map(target);
    let reporter = reporters.next()?;
    if reporters.any(|other| other != reporter) {
        return None;
    }
    let mut source = SymbolSource::Errors;
    for named in reporting().filter_map(|call| name(linkage, call)) {
        if !is_file(named, file) {
            return None;
        }
        source = SymbolSource::ErrorsAndFile;
    }
    Some(Signs { reporter, source })
}

/// Recognises `ERR_put_error(library, unused, reason, file, line)`.
fn reports(call: &Call) -> bool {
    let [library, unused, ..] = call.arguments;
    library == Value::Constant(BORINGSSL.into()) && unused == Value::Constant(0)
}

const fn target(call: &Call) -> Option<Vaddr> {
    match call.target {
        Target::To(Destination::Code(address) | Destination::Slot(address)) => Some(address),
        Target::To(Destination::Unknown) | Target::Value(_) => None,
    }
}

/// Reads the name of the source file that an error is reported with, if there is one.
fn name<'data>(linkage: &Linkage<'_, 'data>, call: &Call) -> Option<&'data [u8]> {
    let [_, _, _, file, ..] = call.arguments;
    text(linkage, file)
}

/// Reads the text that a value is the address of, if it may be the name of a source file or of a function.
pub(super) fn text<'data>(linkage: &Linkage<'_, 'data>, value: Value) -> Option<&'data [u8]> {
    let text = linkage.image.bytes_from(Vaddr(value.number()?))?;
    let window = text.get(..limits::SOURCE_FILE).unwrap_or(text);
    let name = window.get(..memchr::memchr(0, window)?)?;
    let is_name = name.len() > ENDING && name.iter().all(u8::is_ascii_graphic);
    is_name.then_some(name)
}

/// Characters of `.c`, which every name has.
const ENDING: usize = 2;

/// Returns whether a path ends in that of a file of C or C++, which is given up to `.c`.
pub(super) fn is_file(path: &[u8], file: &[u8]) -> bool {
    let stem = path
        .strip_suffix(b"c")
        .map(|stem| stem.strip_suffix(b"c").unwrap_or(stem));
    let begun = file.strip_suffix(b"c").unwrap_or(file);
    stem.is_some_and(|stem| stem.ends_with(begun))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_compared_from_its_end() {
        for path in [
            "external/boringssl+/ssl/ssl_lib.cc",
            "third_party/boringssl-with-bazel/src/ssl/ssl_lib.cc",
            "ssl/ssl_lib.c",
        ] {
            assert!(is_file(path.as_bytes(), b"ssl/ssl_lib.c"), "{path}");
        }
        for path in [
            "ssl/ssl_lib.h",
            "ssl/t1_lib.cc",
            "ssl_lib.cc",
            "ssl/ssl_lib.cpp",
            "c",
            "",
        ] {
            assert!(!is_file(path.as_bytes(), b"ssl/ssl_lib.c"), "{path}");
        }
    }
}
