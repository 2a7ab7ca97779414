use proptest::{prelude::any, prop_assert_eq, proptest};

use super::*;
use crate::redact::Printable;

fn written(value: &impl Serialize) -> String {
    let mut out = vec![0; 1 << 20];
    let mut writer = Writer::new(&mut out);
    value.serialize(&mut writer).unwrap();
    let length = (1 << 20) - writer.room().unwrap();
    out.truncate(length);
    String::from_utf8(out).unwrap()
}

fn reference(value: &impl Serialize) -> String {
    let mut out = Vec::new();
    write_json(&mut out, value).unwrap();
    String::from_utf8(out).unwrap()
}

#[derive(Serialize)]
struct Outer {
    number: u64,
    inner: Inner,
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<u8>,
    empty: Vec<Inner>,
    fields: Vec<(Option<String>, Option<Printable<'static>>)>,
    none: Option<u16>,
    truth: bool,
}

#[derive(Serialize)]
struct Inner {
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<u32>,
}

proptest! {
    #[test]
    fn objects_are_written_as_by_serde_json(
        number in any::<u64>(), absent in any::<Option<u32>>(),
        fields in any::<Vec<(Option<String>, Option<String>)>>(), truth in any::<bool>(),
    ) {
        let printable = |text: Option<String>| text.map(Printable::from);
        let fields = fields.into_iter().map(|(name, value)| (name, printable(value))).collect();
        let inner = || Inner { absent };
        let outer = Outer { number, inner: inner(), absent: None, empty: Vec::new(), fields, none: None, truth };
        prop_assert_eq!(written(&outer), reference(&outer));
        prop_assert_eq!(written(&vec![inner(), inner()]), reference(&vec![inner(), inner()]));
    }
}

proptest! {
    #[test]
    fn texts_are_escaped_as_by_serde_json(ascii in r#"["\\\\a-z ~\x7f\n]{0,24}"#, printable in r#"["\\\\ -~]{0,24}"#) {
        prop_assert_eq!(written(&ascii), reference(&ascii));
        prop_assert_eq!(written(&printable), reference(&printable));
    }
}

#[test]
fn a_slice_that_is_too_short_is_full() {
    let text = "caf\u{e9}\"";
    for length in 0..=reference(&text).len() {
        let mut out = vec![0; length];
        let mut writer = Writer::new(&mut out);
        text.serialize(&mut writer).unwrap();
        assert_eq!(writer.room().is_some(), length == reference(&text).len(), "{length}");
    }
}

#[test]
fn a_type_that_no_line_has_is_an_error() {
    let mut out = [0; 8];
    assert!((-1_i32).serialize(&mut Writer::new(&mut out)).is_err());
}
