//! Any text is a version or none, and a version states its own text.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let version = symbolizer::LibraryVersion::parse(text);
    assert!(version.is_none_or(|version| text.starts_with(&version.text)));
});
