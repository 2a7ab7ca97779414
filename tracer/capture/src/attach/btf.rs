//! Finds offsets of members and values of enumerators in the kernel's BTF.
//!
//! aya parses BTF into a tree of tens of megabytes. This parser reads the bytes of `/sys/kernel/btf/vmlinux` in place, and
//! stops at the first type of an unknown kind: its length is not known, so neither is where the next one begins.
//!
//! Format: `Documentation/bpf/btf.rst`, `include/uapi/linux/btf.h`, v6.18.

const MAGIC: u32 = 0xeb9f;
/// Size of `struct btf_type`.
const TYPE: usize = 12;
/// Size of `struct btf_member`.
const MEMBER: usize = 12;
/// Size of `struct btf_array`.
const ARRAY: usize = 12;

/// Maximum nesting of anonymous structures.
const MAX_NESTING: u32 = 8;

/// A parsed header, and the offsets of all types.
#[derive(Debug)]
pub(super) struct Btf<'data> {
    types: &'data [u8],
    strings: &'data [u8],
    /// Offsets of the types. The first one has id 1.
    starts: Vec<u32>,
}

/// One type.
#[derive(Clone, Copy, Debug)]
struct Type<'data> {
    name: u32,
    kind: Kind,
    /// Whether the upper byte of a member's offset is the size of a bit field (`kind_flag`).
    has_bit_fields: bool,
    /// The members or enumerators that follow the type.
    rest: &'data [u8],
}

/// The kinds of types that matter here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A structure or a union.
    Structure,
    Enumeration,
    Enumeration64,
    Other,
}

impl<'data> Btf<'data> {
    /// Parses the header and finds all types; `None` if the bytes are not BTF.
    pub(super) fn parse(data: &'data [u8]) -> Option<Self> {
        if word(data, 0)? & 0xffff != MAGIC {
            return None;
        }
        let body = data.get(size(word(data, 4)?)?..)?;
        let section = |at| {
            let start = size(word(data, at)?)?;
            body.get(start..start.checked_add(size(word(data, at + 4)?)?)?)
        };
        let (types, strings) = (section(8)?, section(16)?);
        let mut starts = Vec::new();
        let mut at = 0;
        while let Some((_, bytes)) = Type::at(types, at) {
            starts.push(u32::try_from(at).ok()?);
            at += bytes;
        }
        (!starts.is_empty()).then_some(Self { types, strings, starts })
    }

    /// Returns the offset of a member in bytes. As in C, members of anonymous members count as the structure's own.
    pub(super) fn member_offset(&self, structure: &str, member: &str) -> Option<u32> {
        let structures = self.named(structure, &[Kind::Structure]);
        let mut bits = structures.filter_map(|found| self.member_bits(found, member, MAX_NESTING));
        bits.next().filter(|bits| bits % 8 == 0).map(|bits| bits / 8)
    }

    /// Returns the value of an enumerator.
    pub(super) fn enumerator(&self, enumeration: &str, name: &str) -> Option<u32> {
        self.named(enumeration, &[Kind::Enumeration, Kind::Enumeration64])
            .find_map(|found| {
                // A 64-bit enumerator has the upper half after the lower one, which must be zero.
                let entry = if found.kind == Kind::Enumeration64 { 12 } else { 8 };
                let mut entries = found.rest.chunks_exact(entry);
                let entry = entries.find(|entry| word(entry, 0).is_some_and(|at| self.is_named(at, name)))?;
                (word(entry, 8).unwrap_or(0) == 0).then(|| word(entry, 4)).flatten()
            })
    }

    fn named(&self, name: &str, kinds: &[Kind]) -> impl Iterator<Item = Type<'data>> {
        let types = self.starts.iter().filter_map(|start| self.type_at(*start));
        types.filter(|found| kinds.contains(&found.kind) && self.is_named(found.name, name))
    }

    fn member_bits(&self, structure: Type<'data>, name: &str, depth: u32) -> Option<u32> {
        let deeper = depth.checked_sub(1)?;
        structure.rest.chunks_exact(MEMBER).find_map(|member| {
            let (own, kind, offset) = (word(member, 0)?, word(member, 4)?, word(member, 8)?);
            let bits = if structure.has_bit_fields {
                offset & 0x00ff_ffff
            } else {
                offset
            };
            if self.is_named(own, name) {
                return Some(bits);
            }
            if !self.is_named(own, "") {
                return None;
            }
            let inner = self.starts.get(size(kind)?.checked_sub(1)?)?;
            let inner = self.type_at(*inner).filter(|inner| inner.kind == Kind::Structure)?;
            bits.checked_add(self.member_bits(inner, name, deeper)?)
        })
    }

    fn type_at(&self, start: u32) -> Option<Type<'data>> {
        Type::at(self.types, size(start)?).map(|(found, _)| found)
    }

    fn is_named(&self, at: u32, name: &str) -> bool {
        let found = size(at).and_then(|at| self.strings.get(at..));
        let after = found.and_then(|found| found.strip_prefix(name.as_bytes()));
        after.is_some_and(|after| after.first() == Some(&0))
    }
}

impl<'data> Type<'data> {
    /// Reads the type at an offset. Returns its size too, with its members.
    fn at(types: &'data [u8], at: usize) -> Option<(Self, usize)> {
        let info = word(types, at.checked_add(4)?)?;
        let count = size(info & 0xffff)?;
        let (kind, rest) = match info >> 24 & 0x1f {
            // Pointers, forward declarations, typedefs, qualifiers, functions, floats, type tags.
            2 | 7..=12 | 16 | 18 => (Kind::Other, 0),
            // Integers, variables, declaration tags.
            1 | 14 | 17 => (Kind::Other, 4),
            3 => (Kind::Other, ARRAY),
            4 | 5 => (Kind::Structure, count * MEMBER),
            6 => (Kind::Enumeration, count * 8),
            19 => (Kind::Enumeration64, count * 12),
            // Prototypes, and the variables of a section.
            13 => (Kind::Other, count * 8),
            15 => (Kind::Other, count * 12),
            _ => return None,
        };
        let start = at.checked_add(TYPE)?;
        let found = Self {
            name: word(types, at)?,
            kind,
            has_bit_fields: info >> 31 == 1,
            rest: types.get(start..start.checked_add(rest)?)?,
        };
        Some((found, TYPE + rest))
    }
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn size(word: u32) -> Option<usize> {
    usize::try_from(word).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRINGS: &[u8] = b"\0outer\0inner\0flag\0kind\0FIRST\0SECOND\0wide\0";

    fn string(name: &str) -> u32 {
        let with_end = format!("\0{name}\0");
        let at = STRINGS
            .windows(with_end.len())
            .position(|window| window == with_end.as_bytes());
        u32::try_from(at.unwrap() + 1).unwrap()
    }

    /// Builds BTF of types, each given as a list of words.
    fn btf(types: &[&[u32]]) -> Vec<u8> {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let types: Vec<u8> = types.iter().flat_map(|one| words(one)).collect();
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
        let header = [MAGIC | 1 << 16, 24, 0, length(&types), length(&types), length(STRINGS)];
        [words(&header), types, STRINGS.to_vec()].concat()
    }

    fn example() -> Vec<u8> {
        let (structure, union, enumeration) = (4 << 24, 5 << 24, 6 << 24);
        btf(&[
            // 1: an anonymous union of `inner` and the bit field `flag`.
            &[
                0,
                union | 1 << 31 | 2,
                8,
                string("inner"),
                0,
                0,
                string("flag"),
                0,
                1 << 24 | 3,
            ],
            // 2: a structure of `wide` and that union.
            &[string("outer"), structure | 2, 16, string("wide"), 0, 0, 0, 1, 64],
            &[
                string("kind"),
                enumeration | 2,
                4,
                string("FIRST"),
                0,
                string("SECOND"),
                7,
            ],
            // A pointer, an array, a function prototype.
            &[0, 2 << 24, 1],
            &[0, 3 << 24, 0, 1, 1, 4],
            &[0, 13 << 24 | 1, 0, 0, 1],
            &[string("wide"), 19 << 24 | 1, 8, string("SECOND"), 9, 0],
        ])
    }

    #[test]
    fn members_of_anonymous_members_are_found() {
        let data = example();
        let btf = Btf::parse(&data).unwrap();
        assert_eq!(btf.member_offset("outer", "wide"), Some(0));
        assert_eq!(btf.member_offset("outer", "inner"), Some(8));
        assert_eq!(btf.member_offset("outer", "flag"), None, "a bit field");
        assert_eq!(btf.member_offset("outer", "out"), None);
        assert_eq!(btf.member_offset("oute", "wide"), None);
    }

    #[test]
    fn enumerators_are_found_whatever_their_width() {
        let data = example();
        let btf = Btf::parse(&data).unwrap();
        assert_eq!(btf.enumerator("kind", "FIRST"), Some(0));
        assert_eq!(btf.enumerator("kind", "SECOND"), Some(7));
        assert_eq!(btf.enumerator("wide", "SECOND"), Some(9));
        assert_eq!(btf.enumerator("wide", "FIRST"), None);
    }

    #[test]
    fn bytes_cut_anywhere_give_no_wrong_offset() {
        let data = example();
        for end in 0..data.len() {
            let cut = Btf::parse(&data[..end]);
            assert!(cut.is_none(), "cut at {end}: the strings come last");
        }
        assert!(Btf::parse(b"\x7fELF and nothing else of any use").is_none());
    }

    #[test]
    fn a_structure_that_contains_itself_ends_the_search() {
        let data = btf(&[&[string("outer"), 4 << 24 | 1, 8, 0, 1, 0]]);
        assert_eq!(Btf::parse(&data).unwrap().member_offset("outer", "inner"), None);
    }

    #[test]
    fn a_type_of_an_unknown_kind_ends_the_parsing() {
        let data = btf(&[
            &[string("outer"), 4 << 24 | 1, 8, string("inner"), 0, 32],
            &[0, 31 << 24, 0],
            &[string("kind"), 6 << 24 | 1, 4, string("FIRST"), 3],
        ]);
        let btf = Btf::parse(&data).unwrap();
        assert_eq!(btf.member_offset("outer", "inner"), Some(4));
        assert_eq!(btf.enumerator("kind", "FIRST"), None);
    }
}
