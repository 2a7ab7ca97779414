//! Records that are counted by library and function.

use super::*;
use crate::limits::{MAX_FUNCTION_NAME_BYTES, MAX_FUNCTIONS};

fn site(library: &str, path: &str, function: &str) -> SiteEntry {
    SiteEntry {
        library: library.to_owned(),
        path: path.to_owned(),
        function: function.to_owned(),
    }
}

impl Bench {
    /// Data of a connection that a site brings.
    fn brought(&mut self, site: u32, kind: Kind) {
        let mut header = self.header(1, kind, Way::READ);
        header.cookie = Cookie::new(site, Role::Read);
        if kind == Kind::DATA {
            let mut record = DataRecord::new_zeroed();
            record.header = header;
            self.push(record.as_bytes());
        } else {
            let mut record = PassedRecord::new_zeroed();
            (record.header, record.cause) = (header, PassedCause::SENDFILE);
            self.push(record.as_bytes());
        }
    }

    fn counts(&self) -> Vec<(&str, &str, u64)> {
        let counts = self.correlator.function_records().iter();
        counts
            .map(|count| (count.library.as_str(), &*count.function, count.records))
            .collect()
    }
}

#[test]
fn data_is_counted_by_the_function_that_brought_it_in_whatever_file() {
    let mut bench = Bench::new(Bounds::default());
    bench.correlator.add_sites(&[
        site("openssl", "/a/libssl.so.3", "SSL_read"),
        site("openssl", "/b/libssl.so.3", "SSL_read"),
        site("boringssl", "/b/envoy", "SSL_read"),
        site("openssl", "/b/libssl.so.3", "SSL_free"),
    ]);
    for (site, kind) in [
        (1, Kind::DATA),
        (2, Kind::DATA),
        (2, Kind::PASSED),
        (3, Kind::DATA),
        (9, Kind::DATA),
    ] {
        bench.brought(site, kind);
    }
    // These are of no hook that brings data, whatever site they have.
    bench.change(8, Change::FORKED, PID, "");
    bench.unknown(2, false);
    bench.end(2, 0, 0);
    let expected = [
        ("openssl", "", 0),
        ("openssl", "SSL_read", 3),
        ("boringssl", "SSL_read", 1),
        ("openssl", "SSL_free", 0),
    ];
    assert_eq!(bench.counts(), expected);
}

#[test]
fn at_the_bound_the_records_of_other_functions_are_counted_together() {
    let mut bench = Bench::new(Bounds::default());
    let many = MAX_FUNCTIONS + 10;
    let sites: Vec<_> = (0..many)
        .map(|number| site("openssl", "", &format!("f{number}")))
        .collect();
    bench.correlator.add_sites(&sites);
    for number in 0..many {
        bench.brought(u32::try_from(1 + number).unwrap(), Kind::DATA);
    }
    let counts = bench.counts();
    assert_eq!(
        (counts.len(), counts.last()),
        (MAX_FUNCTIONS + 1, Some(&("other", "other", 11)))
    );
    assert_eq!(counts.iter().map(|(_, _, records)| records).sum::<u64>(), many as u64);
}

#[test]
fn a_forged_name_is_short_and_printable() {
    let mut bench = Bench::new(Bounds::default());
    bench.correlator.add_sites(&[
        site("openssl", "", "SSL_read's callee"),
        site("openssl", "", "\u{1b}[31m\nö"),
        site("openssl", "", &"x".repeat(10_000)),
    ]);
    let names: Vec<_> = bench.counts().into_iter().map(|(_, name, _)| name).collect();
    let long = "x".repeat(MAX_FUNCTION_NAME_BYTES);
    assert_eq!(names, ["", "SSL_read's callee", "?[31m??", &long]);
}
