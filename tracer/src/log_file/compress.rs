//! Compresses rotated files, in a thread of its own that yields to others.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::{
    compression::{Compression, PART},
    names::with_suffix,
};
use crate::messages::say;

/// Maximum files that wait to be compressed. Beyond it, they are compressed when tlscope starts the next time.
const MAX_WAITING: usize = 64;

/// Bytes that are compressed at a time. Each is a frame of zstd.
const CHUNK_BYTES: u64 = 4 * 1024 * 1024;

/// A thread that compresses files. When it is dropped, what it has not finished stays as it is.
#[derive(Debug)]
pub(super) struct Compressor {
    files: Option<SyncSender<PathBuf>>,
    cancelled: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Compressor {
    pub(super) fn start(compression: Compression) -> io::Result<Self> {
        let (sender, files) = sync_channel(MAX_WAITING);
        let cancelled = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&cancelled);
        let thread = thread::Builder::new().name("compress".to_owned());
        Ok(Self {
            files: Some(sender),
            cancelled,
            thread: Some(thread.spawn(move || run(compression, &files, &shared))?),
        })
    }

    /// Compresses a file some time.
    pub(super) fn compress(&self, path: PathBuf) {
        if let Some(files) = &self.files {
            // If too many wait, it stays as it is until the next start.
            drop(files.try_send(path));
        }
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
        drop(self.files.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn run(compression: Compression, files: &Receiver<PathBuf>, cancelled: &AtomicBool) {
    // On Linux it is that of the thread. Traced programs come first.
    let _unchanged = rustix::process::nice(15).is_err();
    for path in files {
        if cancelled.load(Ordering::Relaxed) {
            return;
        }
        match compress(compression, &path, cancelled) {
            // The oldest files may be removed while they wait.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                say(&format!("{} is not compressed: {error}", path.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Replaces a file by a compressed one, which has its name only once it is whole.
fn compress(compression: Compression, path: &Path, cancelled: &AtomicBool) -> io::Result<()> {
    let mut from = File::open(path)?;
    let to = with_suffix(path, compression.suffix());
    let mut part = to.clone().into_os_string();
    part.push(PART);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)?;
    let done = match compression {
        Compression::Gzip => gzip(&mut from, file, cancelled),
        Compression::Zstd => zstd(&mut from, file, cancelled),
    };
    // The file may have been removed meanwhile, to keep no more than is wanted.
    let done = done.and_then(|()| fs::metadata(path).map(drop));
    match done.and_then(|()| fs::rename(&part, &to)) {
        Ok(()) => fs::remove_file(path),
        Err(error) => {
            drop(fs::remove_file(&part));
            if cancelled.load(Ordering::Relaxed) {
                Ok(())
            } else {
                Err(error)
            }
        }
    }
}

fn gzip(from: &mut File, to: File, cancelled: &AtomicBool) -> io::Result<()> {
    let mut encoder = GzEncoder::new(to, flate2::Compression::fast());
    for_each_chunk(from, cancelled, |chunk| encoder.write_all(chunk))?;
    encoder.finish()?.sync_all()
}

/// Compresses each chunk in memory: the encoder itself cannot report that the disk is full.
fn zstd(from: &mut File, mut to: File, cancelled: &AtomicBool) -> io::Result<()> {
    for_each_chunk(from, cancelled, |chunk| {
        to.write_all(&compress_to_vec(chunk, CompressionLevel::Fastest))
    })?;
    to.sync_all()
}

fn for_each_chunk(
    from: &mut File,
    cancelled: &AtomicBool,
    mut then: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut chunk = Vec::new();
    loop {
        chunk.clear();
        from.take(CHUNK_BYTES).read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            return Ok(());
        }
        if cancelled.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        then(&chunk)?;
    }
}
