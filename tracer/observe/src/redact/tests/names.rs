//! Tests with the names of fields and parameters in the public documentation of real APIs.

use std::collections::BTreeSet;

use super::{field, path};

/// The class of a name in `names.txt`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Is {
    Secret,
    SecretInUrls,
    Harmless,
}

/// Parses `names.txt`.
fn names() -> Vec<(Is, &'static str)> {
    let lines = include_str!("names.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed = lines.map(|line| {
        let mut words = line.split(' ');
        let is = match words.next() {
            Some("secret") => Is::Secret,
            Some("url") => Is::SecretInUrls,
            Some("harmless") => Is::Harmless,
            _ => panic!("{line}"),
        };
        (is, words.next().unwrap())
    });
    parsed.collect()
}

const VALUE: &str = "hunter2";

#[test]
fn fields_of_real_apis_are_masked_if_they_are_secret() {
    let wrong: Vec<_> = names()
        .into_iter()
        .filter(|&(is, name)| field(&name.to_ascii_lowercase(), VALUE).contains(VALUE) == (is == Is::Secret))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn parameters_of_real_apis_are_masked_if_they_are_secret() {
    let wrong: Vec<_> = names()
        .into_iter()
        .filter(|&(is, name)| path(&format!("/x?a=1&{name}={VALUE}&b=2")).contains(VALUE) != (is == Is::Harmless))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_list_of_names_is_long_and_has_no_duplicates() {
    let count = |wanted| names().iter().filter(|(is, _)| *is == wanted).count();
    assert!(count(Is::Secret) >= 150 && count(Is::Harmless) >= 150);
    let distinct: BTreeSet<_> = names().iter().map(|(_, name)| name.to_ascii_lowercase()).collect();
    assert_eq!(distinct.len(), names().len());
}
