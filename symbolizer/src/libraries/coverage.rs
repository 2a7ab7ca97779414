//! Which functions of a library's table an image has, and whether they are enough.

use super::found::Found;
use super::function::Function;
use crate::elf::survey::Survey;
use crate::hook::Role;
use crate::reason::Reason;

/// Returns whether an image defines a function for each direction.
pub(crate) fn is_complete(survey: &Survey, functions: &[Function]) -> bool {
    let found = |role| {
        let mut functions = functions.iter().filter(|function| function.role == role);
        functions.any(|function| !survey.functions(function.name).is_empty())
    };
    found(Role::Read) && found(Role::Write)
}

/// Returns whether an image leaves a function that carries plaintext to another object.
pub(crate) fn is_imported(survey: &Survey, functions: &[Function]) -> bool {
    let mut plaintext = functions.iter().filter(|function| function.role.carries_plaintext());
    plaintext.any(|function| survey.imports(function.name))
}

/// Says why there is no plan, if no function hands out plaintext, or none takes it.
pub(crate) fn incomplete(
    survey: &Survey,
    functions: &[Function],
    hooked: impl IntoIterator<Item = Role>,
) -> Option<Found> {
    let (mut reads, mut writes) = (false, false);
    for role in hooked {
        reads |= role == Role::Read;
        writes |= role == Role::Write;
    }
    if reads && writes {
        return None;
    }
    if reads || writes {
        return Some(Found::Refused(Reason::OneDirection));
    }
    // A crypto library alone is no TLS library.
    let mut of_tls = functions.iter().filter(|function| function.role != Role::Ciphertext);
    let is_named = of_tls.any(|function| !survey.functions(function.name).is_empty());
    Some(if is_named {
        Found::Refused(Reason::NotInCode)
    } else {
        Found::Nothing
    })
}
