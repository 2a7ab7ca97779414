//! Tests of tapes.

use super::*;
use crate::batch::ProcessEntry;

fn site() -> SiteEntry {
    SiteEntry {
        path: "/libssl.so.3".to_owned(),
        function: "SSL_read".to_owned(),
        library: "openssl".to_owned(),
    }
}

fn tape() -> Vec<u8> {
    let mut bytes = Vec::new();
    let process = ProcessEntry {
        pid: 7,
        name: "nginx".to_owned(),
    };
    let header = Header {
        boot_unix_ns: 1,
        processes: vec![process],
        ..Header::default()
    };
    let mut writer = Writer::new(&mut bytes, &header).unwrap();
    let mut batch = Batch::new(5);
    (batch.complete_until_ns, batch.boot_unix_ns) = (4, Some(7));
    batch.push(b"one");
    batch.push(b"two");
    batch.sites.push(site());
    writer.batch(&batch).unwrap();
    writer.batch(&Batch::new(6)).unwrap();
    writer
        .finish(Totals {
            lost_records: 1,
            lost_bytes: 2,
        })
        .unwrap();
    bytes
}

#[test]
fn reading_returns_what_was_written() {
    let bytes = tape();
    let mut reader = Reader::new(bytes.as_slice()).unwrap();
    assert_eq!(reader.header().processes[0].name, "nginx");
    let batch = reader.next_batch().unwrap().unwrap();
    assert_eq!(batch.records().collect::<Vec<_>>(), [b"one", b"two"]);
    assert_eq!((batch.drained_ns, batch.complete_until_ns), (5, 4));
    assert_eq!(batch.boot_unix_ns, Some(7));
    assert_eq!(batch.sites, vec![site()]);
    assert_eq!(reader.next_batch().unwrap().unwrap(), Batch::new(6));
    assert_eq!(reader.next_batch().unwrap(), None);
    assert_eq!(
        reader.totals(),
        Some(Totals {
            lost_records: 1,
            lost_bytes: 2
        })
    );
}

#[test]
fn a_tape_cut_at_any_byte_is_an_error_and_never_a_panic() {
    let bytes = tape();
    for cut in 0..bytes.len() {
        let read = Reader::new(&bytes[..cut]).and_then(|mut reader| {
            while reader.next_batch()?.is_some() {}
            Ok(())
        });
        assert!(read.is_err(), "cut at {cut}");
    }
}

#[test]
fn a_tape_of_another_version_is_an_error_with_the_version() {
    let mut bytes = tape();
    bytes[8] = 9;
    assert!(matches!(Reader::new(bytes.as_slice()), Err(Error::Version(9))));
}

#[test]
fn a_tape_of_another_abi_is_an_error() {
    let bytes = tape();
    let old = String::from_utf8_lossy(&bytes).replacen("\"abi\":[48", "\"abi\":[47", 1);
    assert!(matches!(Reader::new(old.as_bytes()), Err(Error::Abi { .. })));
}

#[test]
fn a_tape_recorded_before_a_kind_of_record_was_added_is_read() {
    let mut bytes = tape();
    let length = u32::from_le_bytes(bytes[12..16].try_into().unwrap());
    let old = format!(",{}]", size_of::<PassedRecord>());
    let header = String::from_utf8(bytes[16..16 + length as usize].to_vec()).unwrap();
    let older = header.replacen(&old, "]", 1);
    assert!(older.len() < header.len());
    bytes.splice(16..16 + header.len(), older.bytes());
    bytes[12..16].copy_from_slice(&u32::try_from(older.len()).unwrap().to_le_bytes());
    let mut reader = Reader::new(bytes.as_slice()).unwrap();
    assert!(reader.next_batch().unwrap().is_some());
    assert!(!is_compatible(&abi()[..OLDEST_SIZES - 1]) && !is_compatible(&[abi(), vec![1]].concat()));
}

#[test]
fn too_many_sites_are_an_error() {
    let read = |sites| {
        let mut bytes = Vec::new();
        let header = Header {
            sites: vec![site()],
            ..Header::default()
        };
        let mut writer = Writer::new(&mut bytes, &header).unwrap();
        let mut batch = Batch::new(5);
        batch.sites = vec![site(); sites];
        writer.batch(&batch).unwrap();
        let mut reader = Reader::new(bytes.as_slice()).unwrap();
        reader.next_batch()
    };
    assert_eq!(read(MAX_SITES - 1).unwrap().unwrap().sites.len(), MAX_SITES - 1);
    assert!(matches!(read(MAX_SITES), Err(Error::Damaged)));
}

#[test]
fn a_frame_over_the_limit_is_an_error_before_it_is_read() {
    let mut bytes = tape();
    let end = bytes.len();
    bytes.truncate(end - 1);
    let header = 8 + 4 + 4 + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    bytes[header + 1..header + 5].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut reader = Reader::new(bytes.as_slice()).unwrap();
    assert!(matches!(reader.next_batch(), Err(Error::Damaged)));
}
