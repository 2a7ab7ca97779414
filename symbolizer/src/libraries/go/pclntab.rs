//! The table of functions that Go keeps for its stack traces, which `strip` leaves.
//!
//! Its forms since Go 1.16 are read (go1.27.3, `src/internal/abi/symtab.go`, `src/debug/gosym/pclntab.go`): up to 1.17 a
//! function's place is an address, then a distance from the beginning of the code. Since 1.26 the table does not say
//! where the code begins.

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
    /// The functions in the order of their addresses, and behind these what is said of each.
    functions: &'data [u8],
}

/// How a table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Go 1.16 and 1.17.
    Addresses,
    /// Since Go 1.18.
    Distances,
}

impl Form {
    /// Returns how many bytes the place of a function has.
    const fn address_bytes(self) -> usize {
        match self {
            Self::Addresses => 8,
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
            [0xfa, 0xff, 0xff, 0xff] => Form::Addresses,
            [0xf0 | 0xf1, 0xff, 0xff, 0xff] => Form::Distances,
            _ => return None,
        };
        let is_own = *quantum == quantum_of(machine) && *pointer == 8;
        let word = |index: usize| Some(u64::from_le_bytes(*words.as_chunks::<8>().0.get(index)?));
        let (text, names, functions) = match form {
            Form::Addresses => (None, word(2)?, word(6)?),
            Form::Distances => (Some(word(2)?).filter(|text| *text != 0), word(3)?, word(7)?),
        };
        is_own.then_some(Self {
            form,
            count: word(0)?,
            text: text.map(Vaddr),
            names,
            functions,
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
        };
        // Behind the last function stands where it ends.
        read.entry(count).map(|_| read)
    }

    /// Finds the functions of some names, in the order of the names.
    pub(super) fn find<const N: usize>(&self, names: [&[u8]; N]) -> [Option<Function>; N] {
        let wanted = names.map(|name| self.name_offset(name));
        let mut found = [None; N];
        for index in 0..self.count {
            let Some(name) = self.name_of(index) else { continue };
            let places = wanted.iter().zip(&mut found);
            for (_, found) in places.filter(|(wanted, found)| **wanted == Some(name) && found.is_none()) {
                *found = self.function(index);
            }
        }
        found
    }

    /// Returns the name of the function that begins at an address.
    pub(super) fn name_at(&self, address: Vaddr) -> Option<&'data [u8]> {
        let name = self.name_of(self.index_at(address)?)?;
        let name = self.names.get(usize::try_from(name).ok()?..)?;
        let window = name.get(..limits::GO_NAME).unwrap_or(name);
        window.get(..memchr::memchr(0, window)?)
    }

    /// Returns where a function goes on after a panic that one of its deferred calls has recovered from; `None` if it defers no
    /// calls. The compiler puts no function that defers calls into its callers (go1.27.3,
    /// `src/cmd/compile/internal/inline/inl.go`, `ODEFER`).
    pub(super) fn recovery_of(&self, function: Function) -> Option<Vaddr> {
        let (_, more) = self.entry(self.index_at(function.address)?)?;
        // Behind the name comes how much room the arguments take.
        let at = usize::try_from(more)
            .ok()?
            .checked_add(self.form.address_bytes())?
            .checked_add(8)?;
        let distance = u32::from_le_bytes(*self.functions.get(at..)?.first_chunk()?);
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
        let ending = [ending, b"\0"].concat();
        let ends = memmem::find_iter(self.names, &ending).take(limits::GO_PACKAGES);
        let prefix = |end: usize| {
            let before = self.names.get(..end)?;
            let before = before.get(end.saturating_sub(limits::GO_NAME)..)?;
            before.get(memchr::memrchr(0, before)?.checked_add(1)?..)
        };
        ends.filter_map(prefix).collect()
    }

    /// Returns the place of a name among the names.
    fn name_offset(&self, name: &[u8]) -> Option<u64> {
        let whole = [b"\0", name, b"\0"].concat();
        let at = memmem::find(self.names, &whole)?.checked_add(1)?;
        u64::try_from(at).ok()
    }

    fn function(&self, index: usize) -> Option<Function> {
        let (address, end) = (self.address(index)?, self.address(index.checked_add(1)?)?);
        let size = end.0.checked_sub(address.0).filter(|size| *size != 0)?;
        Some(Function { address, size })
    }

    fn address(&self, index: usize) -> Option<Vaddr> {
        let (entry, _) = self.entry(index)?;
        match self.form {
            Form::Addresses => Some(Vaddr(entry)),
            Form::Distances => self.text.checked_add(entry),
        }
    }

    /// Returns where a function begins, and where more is said of it.
    fn entry(&self, index: usize) -> Option<(u64, u64)> {
        let width = self.form.address_bytes();
        let at = index.checked_mul(2)?.checked_mul(width)?;
        let pair = self.functions.get(at..)?;
        let number = |bytes: &[u8]| match self.form {
            Form::Addresses => Some(u64::from_le_bytes(*bytes.first_chunk()?)),
            Form::Distances => Some(u32::from_le_bytes(*bytes.first_chunk()?).into()),
        };
        let first = number(pair)?;
        // Behind the last function there is no second number.
        Some((first, pair.get(width..).and_then(number).unwrap_or(u64::MAX)))
    }

    fn name_of(&self, index: usize) -> Option<u64> {
        let (_, more) = self.entry(index)?;
        let at = usize::try_from(more).ok()?.checked_add(self.form.address_bytes())?;
        Some(u32::from_le_bytes(*self.functions.get(at..)?.first_chunk()?).into())
    }
}

/// Returns how many bytes an instruction has at the least.
pub(super) const fn quantum_of(machine: Machine) -> u8 {
    match machine {
        Machine::X86_64 => 1,
        Machine::Aarch64 => 4,
    }
}

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

    /// How far behind its beginning each function goes on after a panic.
    pub(in crate::libraries::go) const RECOVERY: u32 = 11;

    /// Builds a table of functions with these names, each of 16 bytes, in a form.
    pub(in crate::libraries::go) fn table(magic: u8, text: u64, names: &[&str]) -> Vec<u8> {
        let is_old = magic == 0xfa;
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
        let head: usize = 8 + 8 * 8;
        let functions = head + all.len().next_multiple_of(8);
        let base = if is_old { usize::try_from(text).unwrap() } else { 0 };
        let list = (2 * names.len() + 1) * width;
        let entries = (0..names.len())
            .flat_map(|index| [number(base + 16 * index), number(list + index * 24)].concat())
            .chain(number(base + 16 * names.len()));
        let more = names.iter().flat_map(|name| {
            let name = u32::try_from(offset(name).unwrap() + 1).unwrap().to_le_bytes();
            // How much room the arguments take, and where the function goes on after a panic.
            let mut more = [&vec![0; width], &name[..], &[0; 4], &RECOVERY.to_le_bytes()].concat();
            more.resize(24, 0);
            more
        });
        let words = if is_old {
            [names.len(), 0, head, 0, 0, 0, functions, 0]
        } else {
            [names.len(), 0, usize::try_from(text).unwrap(), head, 0, 0, 0, functions]
        };
        let mut built = vec![magic, 0xff, 0xff, 0xff, 0, 0, 1, 8];
        built.extend(words.into_iter().flat_map(usize::to_le_bytes));
        built.extend(&all);
        built.resize(functions, 0);
        built.extend(entries.into_iter().chain(more));
        built
    }

    const NAMES: [&str; 3] = [
        "runtime.memmove",
        "crypto/tls.(*Conn).Read",
        "example.org/tls.(*Conn).Read",
    ];

    #[test]
    fn functions_are_found_in_every_form() {
        for (magic, text) in [(0xfa, 0x40_1000), (0xf0, 0x40_1000), (0xf1, 0x40_1000), (0xf1, 0)] {
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
        for magic in [0xfa, 0xf1] {
            let table = table(magic, 0x1000, &NAMES);
            for cut in 0..table.len() {
                any_table(&table[..cut]);
            }
            assert_eq!(Header::parse(&table, Machine::Aarch64), None);
            assert_eq!(Header::parse(&[&[0xfb], &table[1..]].concat(), Machine::X86_64), None);
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
