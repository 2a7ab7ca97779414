//! The public HTTP/2 frame cases: each frame has the listed properties, each error is one of the listed codes.
//!
//! They are read from `../shared/corpora/http2-frames`, or from `http2-frames` in the folder that `TLSCOPE_CORPORA` names. If
//! they are absent, an ignored trial says so.
#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use http_decode::h2::frame::{Header, Payload, Priority, parse};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, trials()).exit_code()
}

fn trials() -> Vec<Trial> {
    let folder = env::var_os("TLSCOPE_CORPORA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
        PathBuf::from,
    );
    let folder = folder.join("http2-frames");
    match cases(&folder) {
        Ok(cases) if !cases.is_empty() => cases.into_iter().map(|case| trial(&folder, case)).collect(),
        _ => {
            let reason = format!("there are no cases in {}", folder.display());
            let name = format!("every_frame_case: {reason}");
            vec![Trial::test(name, || Err(reason.into())).with_ignored_flag(true)]
        }
    }
}

/// Returns the cases, which are one folder down.
fn cases(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut cases = Vec::new();
    for kind in fs::read_dir(folder)? {
        let kind = kind?.path();
        if kind.is_dir() {
            for case in fs::read_dir(kind)? {
                cases.push(case?.path());
            }
        }
    }
    cases.retain(|case| case.extension().is_some_and(|extension| extension == "json"));
    cases.sort();
    Ok(cases)
}

fn trial(folder: &Path, case: PathBuf) -> Trial {
    let name = case.strip_prefix(folder).unwrap_or(&case).with_extension("");
    Trial::test(name.display().to_string(), move || run(&case))
}

fn run(case: &Path) -> Result<(), Failed> {
    let case: Value = serde_json::from_slice(&fs::read(case)?)?;
    let wire = unhex(case["wire"].as_str().ok_or("no wire")?)?;
    let (header, payload) = wire.split_first_chunk().ok_or("not nine bytes")?;
    let header = Header::parse(header);
    match (parse(&header, payload, 16384), case["error"].as_array()) {
        (Err(code), Some(codes)) if codes.contains(&json!(code as u32)) => Ok(()),
        (Ok(payload), None) => compare(&case["frame"], &describe(&header, &payload)),
        (read, _) => Err(format!("{read:?}, but {case}").into()),
    }
}

/// Compares the properties that a case lists.
fn compare(listed: &Value, read: &Value) -> Result<(), Failed> {
    for (name, value) in listed.as_object().ok_or("no properties")? {
        match (value, read.get(name)) {
            (Value::Object(_), Some(read)) => compare(value, read)?,
            (_, Some(read)) if read == value => {}
            (_, read) => return Err(format!("{name} is {read:?}, not {value}").into()),
        }
    }
    Ok(())
}

fn describe(header: &Header, payload: &Payload<'_>) -> Value {
    json!({
        "length": header.length,
        "type": header.kind,
        "flags": header.flags,
        "stream_identifier": header.stream,
        "frame_payload": describe_payload(payload),
    })
}

fn describe_payload(payload: &Payload<'_>) -> Value {
    match payload {
        Payload::Data { content, padding } => with_padding(json!({"data": text(content)}), *padding),
        Payload::Headers {
            priority,
            fragment,
            padding,
        } => {
            let mut value = describe_priority(*priority);
            value["header_block_fragment"] = text(fragment);
            with_padding(value, *padding)
        }
        Payload::Priority(priority) => with_padding(describe_priority(Some(*priority)), None),
        Payload::Reset { code } => json!({"error_code": code}),
        Payload::Settings { entries } => json!({"settings": entries}),
        Payload::PushPromise {
            promised,
            fragment,
            padding,
        } => with_padding(
            json!({"promised_stream_id": promised, "header_block_fragment": text(fragment)}),
            *padding,
        ),
        Payload::Ping { data } => json!({"opaque_data": text(data)}),
        Payload::GoAway {
            last_stream,
            code,
            debug,
        } => json!({"last_stream_id": last_stream, "error_code": code, "additional_debug_data": text(debug)}),
        Payload::WindowUpdate { increment } => json!({"window_size_increment": increment}),
        Payload::Continuation { fragment } => json!({"header_block_fragment": text(fragment)}),
        Payload::Unknown { payload } => json!({"payload": text(payload)}),
    }
}

fn describe_priority(priority: Option<Priority>) -> Value {
    json!({
        "exclusive": priority.map(|priority| priority.exclusive),
        "stream_dependency": priority.map(|priority| priority.dependency),
        "weight": priority.map(|priority| priority.weight),
    })
}

fn with_padding(mut value: Value, padding: Option<&[u8]>) -> Value {
    value["padding_length"] = json!(padding.map(<[u8]>::len));
    value["padding"] = json!(padding.map(text));
    value
}

fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into()
}

fn unhex(digits: &str) -> Result<Vec<u8>, Failed> {
    let bytes = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair)?;
        Ok(u8::from_str_radix(pair, 16)?)
    });
    bytes.collect()
}
