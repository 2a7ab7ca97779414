//! The queue, with readers that stall, resume and go away.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::FileExt as _,
    sync::mpsc,
};

use super::*;
use crate::log_file::{Keep, Rotate, Rotation};

const BOUND: usize = 256 * 1024;

fn numbered(number: usize) -> Vec<u8> {
    format!("{number:0>99}\n").into_bytes()
}

#[test]
fn a_stalled_reader_loses_whole_lines_and_each_is_counted() {
    let (reader, writer) = io::pipe().unwrap();
    let mut queue = LineQueue::start("test", writer.as_fd(), BOUND, WhenFull::Drop).unwrap();
    drop(writer);
    let all = 10_000;
    let accepted: Vec<usize> = (0..all)
        .filter(|number| queue.line(&numbered(*number)).unwrap() == Written::Yes)
        .collect();
    // The bound is not a multiple of the line length, so up to one line less than the bound is queued.
    assert!(
        accepted.len() < all && (accepted.len() + 1) * 100 > BOUND,
        "{}",
        accepted.len()
    );
    assert!(queue.unwritten() * 100 <= BOUND);
    // The reader resumes, and gets the accepted lines in order.
    let mut lines = BufReader::new(reader).lines();
    let read = |line: String| line.trim_start_matches('0').parse().unwrap_or(0_usize);
    for number in &accepted {
        assert_eq!(read(lines.next().unwrap().unwrap()), *number);
    }
    queue.wait(Duration::from_mins(1));
    assert_eq!(queue.line(&numbered(7)).unwrap(), Written::Yes);
    queue.finish(b"the end\n").unwrap();
    drop(queue);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(rest.iter().map(String::len).collect::<Vec<_>>(), [99, 7]);
}

#[test]
fn a_thread_that_is_behind_loses_no_line_while_the_reader_takes_more() {
    let file = tempfile::tempfile().unwrap();
    let mut queue = LineQueue::start("test", file.as_fd(), BOUND, WhenFull::Drop).unwrap();
    let mut all = Vec::new();
    for number in 0..50_000 {
        let line = numbered(number);
        assert_eq!(queue.line(&line).unwrap(), Written::Yes, "line {number}");
        all.extend(line);
    }
    queue.finish(b"").unwrap();
    let mut written = vec![0; all.len()];
    file.read_exact_at(&mut written, 0).unwrap();
    assert!(written == all, "other lines");
}

#[test]
fn a_flushed_line_is_written_while_the_sender_is_idle() {
    let (reader, writer) = io::pipe().unwrap();
    let mut queue = LineQueue::start("test", writer.as_fd(), BOUND, WhenFull::Drop).unwrap();
    drop(writer);
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        BufReader::new(reader)
            .lines()
            .try_for_each(|line| sender.send(line.unwrap()))
    });
    for number in 0..100 {
        queue.line(&numbered(number)).unwrap();
        queue.flush().unwrap();
        let line = lines.recv_timeout(Duration::from_mins(1)).unwrap();
        assert_eq!(format!("{line}\n").into_bytes(), numbered(number));
    }
}

#[test]
fn a_queue_for_a_file_blocks() {
    let (mut reader, writer) = io::pipe().unwrap();
    let mut queue = LineQueue::start("test", writer.as_fd(), BOUND, WhenFull::Wait).unwrap();
    drop(writer);
    let reading = thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes.len()
    });
    for number in 0..20_000 {
        assert_eq!(queue.line(&numbered(number)).unwrap(), Written::Yes);
    }
    queue.finish(b"").unwrap();
    drop(queue);
    assert_eq!(reading.join().unwrap(), 20_000 * 100);
}

#[test]
fn a_closed_reader_is_an_error_of_one_of_the_next_lines() {
    let (reader, writer) = io::pipe().unwrap();
    let mut queue = LineQueue::start("test", writer.as_fd(), BOUND, WhenFull::Drop).unwrap();
    drop((reader, writer));
    let error = loop {
        if let Err(error) = queue.line(&numbered(1)) {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn old_files_are_removed_although_no_line_comes() {
    let folder = tempfile::tempdir().unwrap();
    let rotation = Rotation {
        when: vec![Rotate::Size(1024)],
        keep: Keep {
            age: Some(Duration::from_millis(1)),
            ..Keep::default()
        },
        ..Rotation::default()
    };
    let path = folder.path().join("out");
    let log = LogFile::create(&path, rotation, true).unwrap();
    let mut queue = LineQueue::start_log("write", log, 1024).unwrap();
    let old = folder.path().join("out.20260101T000000.000000Z");
    std::fs::write(&old, "x").unwrap();
    let began = Instant::now();
    while old.exists() {
        assert!(began.elapsed() < Duration::from_mins(1), "it is not removed");
        thread::yield_now();
    }
    queue.line(b"a\n").unwrap();
    queue.finish(b"").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\n");
}
