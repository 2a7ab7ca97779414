//! Creates rings for CPUs that come online. A thread does it, because creating a ring takes longer than the interval
//! between two drains.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

use anyhow::Result;

use crate::{attach::Cpus, clock::now_ns, message::Messages};

/// How often the online CPUs are checked.
const INTERVAL: Duration = Duration::from_millis(500);

/// Creates a ring for each CPU that comes online, until the returned handle is dropped.
pub(crate) fn watch(mut cpus: Cpus, messages: Messages) -> Result<Sender<()>> {
    let (handle, dropped) = channel();
    let thread = thread::Builder::new().name("cpus".to_owned());
    thread.spawn(move || watch_until(&dropped, &mut cpus, messages))?;
    Ok(handle)
}

fn watch_until(dropped: &Receiver<()>, cpus: &mut Cpus, messages: Messages) {
    let mut failed = false;
    while dropped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
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
