//! Why an image has no plan, and which TLS libraries it holds that have no room.
//!
//! The order matters: what the image holds itself explains it before what it calls, since that is another image's to
//! explain.

use crate::elf::image::Image;
use crate::elf::survey::Survey;
use crate::libraries::coverage::is_imported;
use crate::libraries::function::Function;
use crate::libraries::{nss, rooms, traces};
use crate::reason::{OtherLibrary, Reason};

/// Explains why there is no plan, by what tells the user most.
pub(crate) fn explain(image: &Image<'_>, survey: &Survey) -> Reason {
    if let Some(library) = by_symbols(survey).next() {
        return Reason::LibraryUnsupported(library);
    }
    if traces::holds_openssl_code(image.data()) {
        return Reason::NoSymbols;
    }
    if imports_tls(survey) {
        Reason::ImportsTls
    } else {
        Reason::NoTls
    }
}

/// Finds the libraries that an image holds beside those that are planned.
pub(crate) fn others(survey: &Survey) -> Vec<Reason> {
    by_symbols(survey).map(Reason::LibraryUnsupported).collect()
}

/// Returns whether the image calls a TLS library that is another object.
pub(crate) fn imports_tls(survey: &Survey) -> bool {
    let mut others = OTHERS.iter().filter(|(_, library)| *library != OtherLibrary::Java);
    let is_imported = |functions: &&[Function]| is_imported(survey, functions);
    let is_called = |name| survey.imports(name);
    rooms::TABLES.iter().any(is_imported) || is_called(nss::IMPORT) || others.any(|(name, _)| is_called(name))
}

/// Lists the names to look for.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    OTHERS.into_iter().map(|(name, _)| name)
}

/// Finds the libraries that define the name of a function which no other has.
fn by_symbols(survey: &Survey) -> impl Iterator<Item = OtherLibrary> {
    let defined = OTHERS.into_iter().filter(|(name, _)| survey.defines(name));
    defined.map(|(_, library)| library)
}

const OTHERS: [(&str, OtherLibrary); 2] = [
    // What starts a Java virtual machine, which brings TLS in its own code.
    ("JNI_CreateJavaVM", OtherLibrary::Java),
    // GCC's library of Go, `libgo.so`, or a program that it is linked into.
    ("crypto_1tls.Conn.Read", OtherLibrary::GccGo),
];
