//! What all parts share.

use std::{fs, io, io::Write as _, net::SocketAddr};

/// Any error.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The answer to every request.
pub const ANSWER: &str = "small\n";
/// The header that identifies a request.
pub const ID: &str = "x-request-id";

/// Prints a line.
pub fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    check(
        writeln!(stdout, "{line}")
            .and_then(|()| stdout.flush())
            .map_err(Failure::from),
    );
}

/// Ends the program if something has failed.
pub fn check<T>(result: Result<T, Failure>) -> T {
    result.unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1)
    })
}

/// Logs an exchange in the form of the other programs.
pub fn log(verb: &str, id: &str, local: SocketAddr, remote: SocketAddr) {
    let [local, remote] = [local, remote].map(|address| format!("{} {}", address.ip(), address.port()));
    say(&format!("{verb} {id} {local} {remote}"));
}

/// Returns the bytes of the first item in a PEM file.
pub fn der(path: &str) -> Result<Vec<u8>, Failure> {
    let text = fs::read_to_string(path)?;
    let lines = text.lines().skip_while(|line| !line.starts_with("-----BEGIN"));
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in lines
        .skip(1)
        .take_while(|line| !line.starts_with('-'))
        .flat_map(str::bytes)
    {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Ok(bytes)
}
