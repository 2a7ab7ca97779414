//! Watching which CPUs are online, in a thread: making a ring takes longer than the rings may be left alone.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

use anyhow::Result;

use crate::{attach::Cpus, clock::now_ns, message::Messages};

/// How often it is checked which CPUs are online.
const CHECK: Duration = Duration::from_millis(500);

/// Gives each CPU that comes online a ring, until the handle is dropped.
pub(crate) fn watch(mut cpus: Cpus, messages: Messages) -> Result<Sender<()>> {
    let (handle, dropped) = channel();
    let thread = thread::Builder::new().name("cpus".to_owned());
    thread.spawn(move || watch_until(&dropped, &mut cpus, messages))?;
    Ok(handle)
}

fn watch_until(dropped: &Receiver<()>, cpus: &mut Cpus, messages: Messages) {
    let mut failed = false;
    while dropped.recv_timeout(CHECK) == Err(RecvTimeoutError::Timeout) {
        if let Err(error) = cpus.check(now_ns)
            && !failed
        {
            failed = true;
            messages.say(&format!(
                "CPUs that came online share a ring: {:#}",
                anyhow::Error::from(error)
            ));
        }
    }
}
