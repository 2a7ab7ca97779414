//! The packages of a program that have TLS: Go's own, and copies of it such as uTLS, which keep the names of its functions.

use super::pclntab::{Function, Pclntab};

/// A package, and its functions that matter.
#[derive(Debug)]
pub(super) struct Package {
    /// What its functions are called begins so; empty for Go's own.
    prefix: String,
    pub(super) read: Function,
    pub(super) write: Function,
    /// What a write hands records to; absent if the compiler has put it into all its callers.
    pub(super) write_record: Option<Function>,
    pub(super) close: Option<Function>,
    /// What begins a handshake, for each side. A client's later handshakes on the same connection do not come there.
    pub(super) handshakes: [Option<Function>; 2],
    /// The functions of uTLS's `UConn`, which embeds a `Conn`: `Read`, `Write`, and what begins a handshake.
    pub(super) outer: [Option<Function>; 3],
}

impl Package {
    /// Finds the functions of a package; `None` if the program does not use both directions of it.
    pub(super) fn find(table: &Pclntab<'_>, path: &[u8]) -> Option<Self> {
        let names = FUNCTIONS.map(|name| [path, b".", name.as_bytes()].concat());
        let found = table.find(names.each_ref().map(Vec::as_slice));
        let [read, write, write_record, close, client, server, outer @ ..] = found;
        Some(Self {
            prefix: if path == OWN {
                String::new()
            } else {
                format!("{}.", String::from_utf8_lossy(path))
            },
            read: read?,
            write: write?,
            write_record,
            close,
            handshakes: [client, server],
            outer,
        })
    }

    /// Returns whether it is Go's own, of whose structures tables tell.
    pub(super) const fn is_own(&self) -> bool {
        self.prefix.is_empty()
    }

    /// Returns what a function is called in output.
    pub(super) fn name_of(&self, function: &str) -> String {
        format!("{}{function}", self.prefix)
    }

    /// Lists the functions that move plaintext.
    pub(super) fn moving(&self) -> impl Iterator<Item = Function> {
        let [read, write, _] = self.outer;
        [Some(self.read), Some(self.write), read, write].into_iter().flatten()
    }
}

/// Lists the packages of a program that have a copy of Go's TLS.
pub(super) fn copies<'data>(table: &Pclntab<'data>) -> Vec<&'data [u8]> {
    let mut packages = table.prefixes(b".(*Conn).writeRecordLocked");
    packages.retain(|package| *package != OWN);
    packages
}

/// Go's own package.
pub(super) const OWN: &[u8] = b"crypto/tls";

/// The functions, in the order of the fields. A name that ends in `-fm` is a closure of a method and its object.
const FUNCTIONS: [&str; 9] = [
    "(*Conn).Read",
    "(*Conn).Write",
    "(*Conn).writeRecordLocked",
    "(*Conn).Close",
    "(*Conn).clientHandshake-fm",
    "(*Conn).serverHandshake-fm",
    "(*UConn).Read",
    "(*UConn).Write",
    "(*UConn).clientHandshake-fm",
];

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A package with these functions alone.
    pub(in crate::libraries::go) fn of(read: Function, write: Function) -> Package {
        Package {
            prefix: String::new(),
            read,
            write,
            write_record: None,
            close: None,
            handshakes: [None; 2],
            outer: [None; 3],
        }
    }

    use crate::elf::address::Vaddr;
    use crate::elf::machine::Machine;
    use crate::libraries::go::pclntab::{Header, tests::table};

    #[test]
    fn copies_are_found_by_the_names_of_their_functions() {
        let names = [
            "runtime.memmove",
            "crypto/tls.(*Conn).Read",
            "crypto/tls.(*Conn).Write",
            "crypto/tls.(*Conn).writeRecordLocked",
            "example.org/utls.(*Conn).Read",
            "example.org/utls.(*Conn).Write",
            "example.org/utls.(*Conn).writeRecordLocked",
            "example.org/utls.(*UConn).Write",
            "example.org/qtls.(*Conn).writeRecordLocked",
        ];
        let table = table(0xf1, 0x40_1000, &names);
        let header = Header::parse(&table, Machine::X86_64).unwrap();
        let table = Pclntab::parse(&table, header, Vaddr(0x40_1000)).unwrap();
        assert_eq!(copies(&table), [&b"example.org/utls"[..], b"example.org/qtls"]);
        let own = Package::find(&table, OWN).unwrap();
        assert_eq!((own.read.address, own.moving().count()), (Vaddr(0x40_1010), 2));
        assert_eq!(own.name_of("(*Conn).Read"), "(*Conn).Read");
        let copy = Package::find(&table, b"example.org/utls").unwrap();
        assert_eq!(copy.name_of("(*Conn).Read"), "example.org/utls.(*Conn).Read");
        assert_eq!(copy.write.address, Vaddr(0x40_1050));
        assert_eq!(copy.outer.map(|one| one.is_some()), [false, true, false]);
        assert_eq!((copy.is_own(), copy.moving().count()), (false, 3));
        assert!(Package::find(&table, b"example.org/qtls").is_none());
    }
}
