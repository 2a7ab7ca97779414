//! The table of functions that Go keeps for its stack traces, which `strip` leaves.
//!
//! All its forms are read (go1.27.3, `src/internal/abi/symtab.go`, `src/debug/gosym/pclntab.go`): up to 1.15 names lie
//! between other data, then in a part of their own; up to 1.17 a function's place is an address, then a distance from the
//! beginning of the code. Since 1.26 the table does not say where the code begins.

use memchr::memmem;

use crate::elf::address::Vaddr;
use crate::elf::machine::Machine;
use crate::limits;

/// Where functions are, by their names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pclntab<'data> {
    form: Form,
    text: Vaddr,
    count: usize,
    /// The names, each with a zero byte behind it.
    names: &'data [u8],
    /// The functions in the order of their addresses.
    functions: &'data [u8],
    /// What is said of each, at the place that the list of functions states.
    records: &'data [u8],
}

/// How a table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Go 1.2 to 1.15: every place is counted from the beginning of the table.
    Whole,
    /// Go 1.16 and 1.17.
    Addresses,
    /// Since Go 1.18.
    Distances,
}

impl Form {
    /// Returns how many bytes the place of a function has.
    const fn address_bytes(self) -> usize {
        match self {
            Self::Whole | Self::Addresses => 8,
            Self::Distances => 4,
        }
    }
}

/// What the header of a table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    form: Form,
    count: u64,
    /// Where the code begins; absent where the table does not say.
    pub(super) text: Option<Vaddr>,
    names: u64,
    functions: u64,
    records: u64,
}

/// A function of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) address: Vaddr,
    pub(super) size: u64,
}

impl Header {
    /// Reads the header of a table; `None` if it is none, or of a form that is not known.
    pub(super) fn parse(table: &[u8], machine: Machine) -> Option<Self> {
        let (head, words) = table.split_first_chunk::<8>()?;
        let [magic @ .., 0, 0, quantum, pointer] = head else {
            return None;
        };
        let form = match magic {
            [0xfb, 0xff, 0xff, 0xff] => Form::Whole,
            [0xfa, 0xff, 0xff, 0xff] => Form::Addresses,
            [0xf0 | 0xf1, 0xff, 0xff, 0xff] => Form::Distances,
            _ => return None,
        };
        let is_own = *quantum == quantum_of(machine) && *pointer == 8;
        let word = |index: usize| Some(u64::from_le_bytes(*words.as_chunks::<8>().0.get(index)?));
        let (text, names, functions, records) = match form {
            Form::Whole => (None, 0, BEHIND_COUNT, 0),
            Form::Addresses => (None, word(2)?, word(6)?, word(6)?),
            Form::Distances => (Some(word(2)?).filter(|text| *text != 0), word(3)?, word(7)?, word(7)?),
        };
        is_own.then_some(Self {
            form,
            count: word(0)?,
            text: text.map(Vaddr),
            names,
            functions,
            records,
        })
    }

    /// Returns whether the table needs to be told where the code begins.
    pub(super) fn needs_text(self) -> bool {
        self.form == Form::Distances && self.text.is_none()
    }
}

impl<'data> Pclntab<'data> {
    /// Reads a table whose code begins at an address; `None` if it is cut, or has too many functions.
    pub(super) fn parse(table: &'data [u8], header: Header, text: Vaddr) -> Option<Self> {
        let from = |offset: u64| table.get(usize::try_from(offset).ok()?..);
        let count = usize::try_from(header.count).ok()?;
        (count <= limits::GO_FUNCTIONS).then_some(())?;
        let read = Self {
            form: header.form,
            text,
            count,
            names: from(header.names)?,
            functions: from(header.functions)?,
            records: from(header.records)?,
        };
        // Behind the last function stands where it ends.
        read.entry(count).map(|_| read)
    }

    /// Finds the functions of some names, in the order of the names.
    pub(super) fn find<const N: usize>(&self, names: [&[u8]; N]) -> [Option<Function>; N] {
        let mut found = [None; N];
        for index in 0..self.count {
            let Some(name) = self.name(index) else { continue };
            let places = names.iter().zip(&mut found);
            for (_, found) in places.filter(|(wanted, found)| **wanted == name && found.is_none()) {
                *found = self.function(index);
            }
        }
        found
    }

    /// Returns the name of the function that begins at an address.
    pub(super) fn name_at(&self, address: Vaddr) -> Option<&'data [u8]> {
        self.name(self.index_at(address)?)
    }

    /// Returns how many bytes the arguments and results take of the function that begins at an address, where they are on the
    /// stack; `None` if that is not said, as for a function in assembly that does not declare them.
    pub(super) fn argument_bytes(&self, address: Vaddr) -> Option<u16> {
        let bytes = self.number(self.index_at(address)?, ARGUMENTS)?;
        u16::try_from(bytes).ok()
    }

    /// Returns where a function goes on after a panic that one of its deferred calls has recovered from; `None` if it defers no
    /// calls. The compiler puts no function that defers calls into its callers (go1.27.3,
    /// `src/cmd/compile/internal/inline/inl.go`, `ODEFER`).
    pub(super) fn recovery_of(&self, function: Function) -> Option<Vaddr> {
        let distance = self.number(self.index_at(function.address)?, RECOVERY)?;
        let is_inside = distance != 0 && u64::from(distance) < function.size;
        function.address.checked_add(distance.into()).filter(|_| is_inside)
    }

    /// Returns which function begins at an address.
    fn index_at(&self, address: Vaddr) -> Option<usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if self.address(middle)? < address {
                low = middle.checked_add(1)?;
            } else {
                high = middle;
            }
        }
        (low < self.count && self.address(low)? == address).then_some(low)
    }

    /// Lists the beginnings of names that end so, at most as many as the limit.
    pub(super) fn prefixes(&self, ending: &[u8]) -> Vec<&'data [u8]> {
        if self.form == Form::Whole {
            let names = (0..self.count).filter_map(|index| self.name(index));
            let prefixes = names.filter_map(|name| name.strip_suffix(ending));
            return prefixes.take(limits::GO_PACKAGES).collect();
        }
        // Functions that are in all their callers have a name there, and no record.
        let ending = [ending, b"\0"].concat();
        let ends = memmem::find_iter(self.names, &ending).take(limits::GO_PACKAGES);
        let prefix = |end: usize| {
            let before = self.names.get(..end)?;
            let before = before.get(end.saturating_sub(limits::GO_NAME)..)?;
            before.get(memchr::memrchr(0, before)?.checked_add(1)?..)
        };
        ends.filter_map(prefix).collect()
    }

    fn function(&self, index: usize) -> Option<Function> {
        let (address, end) = (self.address(index)?, self.address(index.checked_add(1)?)?);
        let size = end.0.checked_sub(address.0).filter(|size| *size != 0)?;
        Some(Function { address, size })
    }

    fn address(&self, index: usize) -> Option<Vaddr> {
        let (entry, _) = self.entry(index)?;
        match self.form {
            Form::Whole | Form::Addresses => Some(Vaddr(entry)),
            Form::Distances => self.text.checked_add(entry),
        }
    }

    /// Returns where a function begins, and where more is said of it.
    fn entry(&self, index: usize) -> Option<(u64, u64)> {
        let width = self.form.address_bytes();
        let at = index.checked_mul(2)?.checked_mul(width)?;
        let pair = self.functions.get(at..)?;
        let number = |bytes: &[u8]| match self.form {
            Form::Whole | Form::Addresses => Some(u64::from_le_bytes(*bytes.first_chunk()?)),
            Form::Distances => Some(u32::from_le_bytes(*bytes.first_chunk()?).into()),
        };
        let first = number(pair)?;
        // Behind the last function there is no second number.
        Some((first, pair.get(width..).and_then(number).unwrap_or(u64::MAX)))
    }

    fn name(&self, index: usize) -> Option<&'data [u8]> {
        let name = usize::try_from(self.number(index, NAME)?).ok()?;
        let name = self.names.get(name..)?;
        let window = name.get(..limits::GO_NAME).unwrap_or(name);
        window.get(..memchr::memchr(0, window)?)
    }

    /// Reads a number that is so many bytes behind the address that a function's record begins with.
    fn number(&self, index: usize, offset: usize) -> Option<u32> {
        let (_, record) = self.entry(index)?;
        let at = usize::try_from(record).ok()?;
        let at = at.checked_add(self.form.address_bytes())?.checked_add(offset)?;
        Some(u32::from_le_bytes(*self.records.get(at..)?.first_chunk()?))
    }
}

/// Returns how many bytes an instruction has at the least.
pub(super) const fn quantum_of(machine: Machine) -> u8 {
    match machine {
        Machine::X86_64 => 1,
        Machine::Aarch64 => 4,
    }
}

/// In the record of a function: the place of its name, the bytes of its arguments and results, and the distance to where it
/// goes on after a panic (go1.15.15 to go1.27.3, `src/runtime/runtime2.go`, `_func`).
const NAME: usize = 0;
const ARGUMENTS: usize = 4;
const RECOVERY: usize = 8;
/// Where the functions are listed in a table whose header has their number alone.
const BEHIND_COUNT: u64 = 16;

/// Reads any bytes as a table; for the fuzzer alone.
pub(crate) fn any_table(table: &[u8]) -> usize {
    let Some(header) = Header::parse(table, Machine::X86_64) else {
        return 0;
    };
    let Some(read) = Pclntab::parse(table, header, header.text.unwrap_or(Vaddr(0x1000))) else {
        return 0;
    };
    let found = read.find([b"crypto/tls.(*Conn).Read", b"a"]);
    let named = found
        .iter()
        .flatten()
        .filter_map(|function| read.recovery_of(*function).and(read.name_at(function.address)));
    named.count().saturating_add(read.prefixes(b".Read").len())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// How many bytes the arguments of each function take, and how far behind its beginning it goes on after a panic.
    const ARGUMENT_BYTES: u16 = 56;
    const RECOVERY_DISTANCE: u32 = 11;

    /// Builds a table of functions with these names, each of 16 bytes, in a form.
    pub(in crate::libraries::go) fn table(magic: u8, text: u64, names: &[&str]) -> Vec<u8> {
        let (is_whole, is_old) = (magic == 0xfb, magic >= 0xfa);
        let width: usize = if is_old { 8 } else { 4 };
        let number = |value: usize| value.to_le_bytes()[..width].to_vec();
        let all: Vec<u8> = [""]
            .iter()
            .chain(names)
            .flat_map(|name| [name.as_bytes(), b"\0"].concat())
            .collect();
        let offset = |name: &str| {
            all.windows(name.len() + 2)
                .position(|part| part == format!("\0{name}\0").as_bytes())
        };
        let list = (2 * names.len() + 1) * width;
        // The names come first, or the list of functions does.
        let (head, functions) = if is_whole {
            (16 + list + 24 * names.len(), 16)
        } else {
            (8 + 8 * 8, (8 + 8 * 8) + all.len().next_multiple_of(8))
        };
        let (names_from, records_from) = if is_whole { (head, 16 + list) } else { (0, list) };
        let base = if is_old { usize::try_from(text).unwrap() } else { 0 };
        let entries = (0..names.len())
            .flat_map(|index| [number(base + 16 * index), number(records_from + index * 24)].concat())
            .chain(number(base + 16 * names.len()));
        let records = names.iter().flat_map(|name| {
            let name = u32::try_from(names_from + offset(name).unwrap() + 1)
                .unwrap()
                .to_le_bytes();
            let mut record = [
                &vec![0; width],
                &name[..],
                &u32::from(ARGUMENT_BYTES).to_le_bytes(),
                &RECOVERY_DISTANCE.to_le_bytes(),
            ]
            .concat();
            record.resize(24, 0);
            record
        });
        let words = if is_whole {
            vec![names.len()]
        } else if is_old {
            vec![names.len(), 0, head, 0, 0, 0, functions, 0]
        } else {
            vec![names.len(), 0, usize::try_from(text).unwrap(), head, 0, 0, 0, functions]
        };
        let mut built = vec![magic, 0xff, 0xff, 0xff, 0, 0, 1, 8];
        built.extend(words.into_iter().flat_map(usize::to_le_bytes));
        if is_whole {
            built.extend(entries.chain(records).chain(all.iter().copied()));
        } else {
            built.extend(&all);
            built.resize(functions, 0);
            built.extend(entries.chain(records));
        }
        built
    }

    const NAMES: [&str; 3] = [
        "runtime.memmove",
        "crypto/tls.(*Conn).Read",
        "example.org/tls.(*Conn).Read",
    ];

    #[test]
    fn functions_are_found_in_every_form() {
        for (magic, text) in [
            (0xfb, 0x40_1000),
            (0xfa, 0x40_1000),
            (0xf0, 0x40_1000),
            (0xf1, 0x40_1000),
            (0xf1, 0),
        ] {
            let table = table(magic, text, &NAMES);
            let header = Header::parse(&table, Machine::X86_64).unwrap();
            assert_eq!(header.needs_text(), text == 0);
            let read = Pclntab::parse(&table, header, Vaddr(0x40_1000)).unwrap();
            let expected = Function {
                address: Vaddr(0x40_1010),
                size: 16,
            };
            assert_eq!(
                read.find([NAMES[1].as_bytes(), b"tls.(*Conn).Read"]),
                [Some(expected), None]
            );
            assert_eq!(read.recovery_of(expected), Some(Vaddr(0x40_101b)));
            assert_eq!(read.argument_bytes(expected.address), Some(ARGUMENT_BYTES));
            assert_eq!(read.argument_bytes(Vaddr(0x40_1011)), None);
            let elsewhere = Function {
                address: Vaddr(0x40_1011),
                size: 16,
            };
            assert_eq!(read.recovery_of(elsewhere), None);
            assert_eq!(read.recovery_of(Function { size: 11, ..expected }), None);
            assert_eq!(read.name_at(Vaddr(0x40_1020)), Some(NAMES[2].as_bytes()));
            assert_eq!(read.name_at(Vaddr(0x40_1021)), None);
            assert_eq!(read.name_at(Vaddr(0x40_1030)), None);
            assert_eq!(
                read.prefixes(b".(*Conn).Read"),
                [&b"crypto/tls"[..], b"example.org/tls"]
            );
        }
    }

    #[test]
    fn a_table_that_is_cut_or_of_another_machine_is_refused_or_names_nothing() {
        for magic in [0xfb, 0xfa, 0xf1] {
            let table = table(magic, 0x1000, &NAMES);
            for cut in 0..table.len() {
                any_table(&table[..cut]);
            }
            assert_eq!(Header::parse(&table, Machine::Aarch64), None);
            assert_eq!(Header::parse(&[&[0xf9], &table[1..]].concat(), Machine::X86_64), None);
            assert!(any_table(&table) > 0);
        }
    }

    #[test]
    fn a_table_may_have_as_many_functions_as_the_limit() {
        let mut table = table(0xf1, 0x1000, &NAMES);
        table[8..16].copy_from_slice(&(limits::GO_FUNCTIONS + 1).to_le_bytes());
        table.resize(table.len() + 8 * (limits::GO_FUNCTIONS + 2), 0);
        let header = Header::parse(&table, Machine::X86_64).unwrap();
        assert!(Pclntab::parse(&table, header, Vaddr(0x1000)).is_none());
        table[8..16].copy_from_slice(&limits::GO_FUNCTIONS.to_le_bytes());
        let header = Header::parse(&table, Machine::X86_64).unwrap();
        assert!(Pclntab::parse(&table, header, Vaddr(0x1000)).is_some());
    }
}
