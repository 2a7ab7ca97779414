//! Tries whether the kernel accepts probes, without placing any in a process.
//!
//! A perf event of a uprobe that is for one process registers the probe with the kernel, which compares it with those that
//! are there, but writes a breakpoint only into that process. The process is this one, which does not map the file.

use std::{
    ffi::CString,
    fs::{self, File},
    io,
    os::fd::AsRawFd as _,
    sync::Arc,
    thread,
};

use perf_event::{
    Builder, Counter,
    events::{Event, EventData},
};
use perf_event_open_sys::bindings::perf_event_attr;

/// Registers probes at offsets of a file that this process does not map, and removes them. Returns the offsets that the
/// kernel refuses, with its errors: [`io::ErrorKind::InvalidInput`] if another tool holds the same place with another
/// `ref_ctr_offset`.
pub(crate) fn try_probes(file: &File, offsets: impl IntoIterator<Item = u64>) -> Vec<(u64, io::Error)> {
    let tried = offsets
        .into_iter()
        .map(|offset| (offset, register(file, offset)))
        .collect::<Vec<_>>();
    // The kernel waits for a grace period after it removes each one: closed on threads of their own, these overlap.
    thread::scope(|scope| {
        let mut refused = Vec::new();
        for (offset, registered) in tried {
            match registered {
                // If no thread can be spawned, the closure is dropped here, and closes the event.
                Ok(event) => drop(thread::Builder::new().spawn_scoped(scope, || drop(event))),
                Err(error) => refused.push((offset, error)),
            }
        }
        refused
    })
}

fn register(file: &File, offset: u64) -> io::Result<Counter> {
    let pmu = fs::read_to_string(PMU)?;
    let pmu = pmu.trim().parse().map_err(|_text| io::ErrorKind::InvalidData)?;
    // The descriptor names the file that was analysed, whatever its path leads to by now.
    let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let probe = Probe { pmu, path, offset };
    Builder::new(probe).observe_self().any_cpu().enabled(false).build()
}

/// The type of perf events of uprobes.
const PMU: &str = "/sys/bus/event_source/devices/uprobe/type";

/// A uprobe. The one of perf-event2 0.7 does not implement its own trait of events.
struct Probe {
    pmu: u32,
    path: CString,
    offset: u64,
}

impl Event for Probe {
    fn update_attrs(self, attr: &mut perf_event_attr) {
        drop(self.update_attrs_with_data(attr));
    }

    fn update_attrs_with_data(self, attr: &mut perf_event_attr) -> Option<Arc<dyn EventData>> {
        let Self { pmu, path, offset } = self;
        attr.type_ = pmu;
        // `uprobe_path` and `probe_offset` (`include/uapi/linux/perf_event.h`): the path lives as long as what is returned.
        attr.kprobe_func = path.as_ptr() as u64;
        attr.probe_offset = offset;
        Some(Arc::new(path))
    }
}
