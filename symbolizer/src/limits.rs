//! Every bound on what an image can make this crate do.
//!
//! An image is written by whoever built the traced program, so none of its counts and sizes is trusted. What lies
//! beyond a bound is an [`Error::OverLimit`](crate::Error::OverLimit), or is not followed. Each bound has a test that
//! stands at it.

/// The largest number of program headers read.
pub const PROGRAM_HEADERS: usize = 1024;

/// The largest number of section headers read.
pub const SECTIONS: usize = 1 << 16;

/// The largest number of entries of one symbol table read.
pub const SYMBOLS: usize = 1 << 22;

/// The longest symbol name handed out; C++ names reach some thousand bytes.
pub const SYMBOL_NAME: usize = 1 << 16;

/// The largest number of symbol versions an image may define.
pub const SYMBOL_VERSIONS: usize = 256;

/// The largest `.gnu_debugdata` after decompression, in bytes.
pub const DEBUGDATA: usize = 64 << 20;

/// The most memory the decompressor may ask for, in KiB; `xz -9` needs 65 MiB.
pub const DEBUGDATA_MEMORY_KIB: u32 = 80 << 10;

/// The longest build identifier believed, in bytes.
pub const BUILD_ID: usize = 64;

/// The longest name of a file that an image needs, in bytes.
pub const FILE_NAME: usize = 256;

/// The largest number of files that an image may need.
pub const NEEDED: usize = 1024;

/// The longest version text read, in bytes.
pub const VERSION_TEXT: usize = 64;

/// The longest name a symbol is looked up by, in bytes.
pub const WANTED_NAME: usize = 32;

/// The largest number of symbols with a wanted name.
pub const FINDINGS: usize = 256;

/// The largest number of notes read in one segment.
pub const NOTES: usize = 256;

/// The largest number of instructions followed, over all paths, to find what a function calls.
pub const WRAPPER_STEPS: usize = 4096;

/// How much of a function is searched for the first byte that it counts, in bytes.
pub const COUNTER_WINDOW: usize = 48;

/// The largest number of instructions from the entry of a function to its probe.
pub const SITE_INSTRUCTIONS: usize = 32;

/// How much of a function is searched for branches back to its beginning, in bytes.
pub const SITE_WINDOW: usize = 4096;

/// The largest number of relocations read.
pub const RELOCATIONS: usize = 1 << 22;

/// The largest accessor function followed to the fields it returns, in bytes; `SSL_get_servername` has some 400.
pub const ACCESSOR: usize = 1024;

/// The most instructions followed in one accessor function, over all paths.
pub const ACCESSOR_STEPS: usize = 4096;

/// The most instructions of a function all of whose paths are followed together; `ssl3_read_bytes` has some 900.
pub const FUNCTION_INSTRUCTIONS: usize = 1 << 12;

/// The most instructions executed until what is known of such a function settles; `ssl3_read_bytes` takes some 2,600.
pub const FUNCTION_STEPS: usize = 1 << 14;

/// The most places on the stack that are followed at a time.
pub const STACK_SLOTS: usize = 128;

/// The most parts of such a function that lie elsewhere.
pub const FUNCTION_PARTS: usize = 8;

/// The largest number of instructions of a function whose ends are looked for, with those of functions that it ends by
/// jumping to.
pub const GRAPH_INSTRUCTIONS: usize = 4096;

/// The most instructions executed to find where the calls of an image's functions end; a library takes some 10,000.
pub const EXIT_STEPS: usize = 1 << 17;

/// The largest number of places where ways meet before a return of a function of Go that are searched for jumps.
pub const APPROACH_JOINS: usize = 8;

/// The largest number of sites where the calls of one function end.
pub const EXIT_SITES: usize = 32;

/// The largest number of instructions between the comparison of an index and the jump by a table.
pub const TABLE_DISTANCE: usize = 24;

/// The largest number of entries of a jump table.
pub const TABLE_ENTRIES: u64 = 512;

/// The most instructions followed to see which of its arguments a function reads.
pub const READ_STEPS: usize = 512;

/// The most functions that call each other, of those whose arguments are looked at so.
pub const READ_DEPTH: usize = 8;

/// The most instructions executed for all functions of an image together; a library takes some 60,000.
pub const ANALYSIS_STEPS: usize = 1 << 19;

/// The most symbols that calls of an image lead to, of those that are looked for.
pub const LINKED_SYMBOLS: usize = 1 << 12;

/// The most functions that call each other with a buffer.
pub const CHASED_DEPTH: usize = 12;

/// The most functions of an image that may report errors of libssl; Envoy has some 1,000.
pub const REPORTING_FUNCTIONS: usize = 1 << 14;

/// The largest function that is searched for the errors that it reports, in bytes.
pub const REPORTING_FUNCTION: usize = 1 << 16;

/// How far from a function of libssl its callers are looked for, in bytes; `ssl_lib.c` has some 64 KiB of code.
pub const CALLERS_WINDOW: u64 = 1 << 17;

/// The most functions of OpenSSL that report by the name of one of those that are looked for.
pub const NAMED_REPORTERS: usize = 64;

/// The longest name of a source file that is read, in bytes.
pub const SOURCE_FILE: usize = 256;

/// The most pages of an image, of 4 KiB, that are read because an analysis asked for them; Node.js takes some 20.
pub const UNREAD_PAGES: usize = 512;
/// Maximum number of places in an image's data that have the form of a table of NSS's functions.
pub const NSS_TABLES: usize = 64;

/// The largest number of functions of a program of Go; the largest programs have some 300,000.
pub const GO_FUNCTIONS: usize = 1 << 20;

/// The longest name of a function or a package of Go that is read, in bytes.
pub const GO_NAME: usize = 256;

/// The longest mangled name of a function of rustls, in bytes.
pub const MANGLED_NAME: usize = 512;

/// The most functions of rustls that are looked at in an image; one copy of it has some 20 of those that matter.
pub const RUSTLS_FUNCTIONS: usize = 128;

/// The most functions of an image that lead to those parts of rustls's source that are looked for.
pub const RUSTLS_REFERENCES: usize = 256;

/// The most versions of rustls that an image is said to hold.
pub const RUSTLS_VERSIONS: usize = 4;

/// The most packages of a program of Go that have a copy of its TLS.
pub const GO_PACKAGES: usize = 8;

/// The most texts with a mark that are looked at, of libraries that are known by their names; s2n-tls has some 3,000.
pub const MARKED_TEXTS: usize = 1 << 13;
