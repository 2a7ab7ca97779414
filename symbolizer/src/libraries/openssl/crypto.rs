//! What the crypto library of a process says of the TLS library beside it: the version that OpenSSL's libssl does not
//! state itself, and the layout of BIOs.
//!
//! One process may map several, so the name by which others ask for it comes along. An image that states several
//! versions counts as stating none.

use super::derived::Accessors;
use super::{functions, socket_method};
use crate::elf::image::{Image, Table};
use crate::elf::survey::{Names, Survey};
use crate::error::Error;
use crate::libraries::layout::BioLayout;
use crate::libraries::version::{self, LibraryVersion};

/// Describes a crypto library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crypto {
    /// Its version, if it states exactly one.
    pub version: Option<LibraryVersion>,
    /// The layout of its BIOs, if its accessors say it.
    pub bio: Option<BioLayout>,
    /// How far the name of its method of socket BIOs is from that method, if its code says so.
    pub socket_name: Option<i32>,
    /// The name that images which need it call it by (`DT_SONAME`).
    pub name: Option<Vec<u8>>,
}

pub(crate) fn describe(image: &Image<'_>) -> Result<Option<Crypto>, Error> {
    let mut stated = version::find(image.data());
    let version = if stated.len() == 1 { stated.pop() } else { None };
    let survey = Survey::of(image, &[Table::Dynsym, Table::Symtab], &Names::new(functions::names()))?;
    let bio = Accessors::new(image, &survey).bio();
    let found = version.is_some() || bio.is_some();
    Ok(found.then(|| Crypto {
        version,
        bio,
        socket_name: socket_method::name_distance(image, &survey),
        name: image.own_name().map(<[u8]>::to_vec),
    }))
}

/// Finds the one that an image needs; none if it needs several, or none of these.
pub(crate) fn needed_by(image: &Image<'_>, candidates: &[&Crypto]) -> Option<usize> {
    let needed = image.needed_names();
    let is_needed = |crypto: &Crypto| crypto.name.as_deref().is_some_and(|name| needed.contains(&name));
    let mut found = candidates.iter().enumerate().filter(|(_, crypto)| is_needed(crypto));
    let (index, _) = found.next()?;
    found.next().is_none().then_some(index)
}
