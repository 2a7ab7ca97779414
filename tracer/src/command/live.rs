//! Attaching to processes: which of them, with which probes, and why not.
//!
//! In: the process ids that were asked for. Out: a session that drains their records. Says one line for each process
//! and library it attached to, and one for each process asked for that it did not.

use std::{collections::BTreeMap, os::fd::OwnedFd, time::SystemTime};

use anyhow::{Result, anyhow, bail};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{
    Outcome,
    arguments::LiveArgs,
    say,
    session::{Consumer, Session},
};
use crate::{
    attach::{self, Attached, Loader},
    resolve::{Resolution, Resolved, Resolver},
    source::{Header, ProcessEntry, SiteEntry, now_ns},
    target::{self, Target, with_descendants},
};

/// Attaches, then drains into the consumer that `consumer` makes of the header, until it is enough.
pub(super) fn run(live: &LiveArgs, consumer: impl FnOnce(&Header) -> Result<Box<dyn Consumer>>) -> Result<Outcome> {
    let offsets = attach::check().map_err(|reason| anyhow!("{reason}"))?;
    let mut processes = find_processes(&live.pids)?;
    let mut loader = Loader::load(&offsets, live.options())?;
    attach_all(&mut loader, &mut processes, &live.pids)?;
    let attached = loader.enable(processes.keys().copied(), live.options())?;
    let header = header(&attached, &processes);
    let consumer = consumer(&header)?;
    say("ready");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let watched = processes.into_iter().map(|(pid, traced)| (pid, traced.pidfd)).collect();
    runtime.block_on(Session::new(attached, watched, live.duration).run(consumer))
}

/// A process, and the descriptor that becomes readable when it ends.
struct Traced {
    target: Target,
    pidfd: OwnedFd,
}

/// The processes asked for must be there; a descendant may have gone in between.
fn find_processes(asked: &[u32]) -> Result<BTreeMap<u32, Traced>> {
    let mut found = BTreeMap::new();
    for pid in with_descendants(asked) {
        match find_process(pid) {
            Ok(traced) => {
                found.insert(pid, traced);
            }
            Err(error) if asked.contains(&pid) => return Err(error.into()),
            Err(_gone) => {}
        }
    }
    Ok(found)
}

/// Opens the descriptor first: it keeps the process id from meaning another process.
fn find_process(pid: u32) -> Result<Traced, target::Error> {
    let gone = || target::Error::NoSuchProcess(pid);
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
    let pidfd = pidfd_open(raw, PidfdFlags::empty()).map_err(|_errno| gone())?;
    Ok(Traced {
        target: Target::discover(pid)?,
        pidfd,
    })
}

/// Attaches to every process that has a TLS library, says what it did, and drops the processes that have none.
fn attach_all(loader: &mut Loader, processes: &mut BTreeMap<u32, Traced>, asked: &[u32]) -> Result<()> {
    let mut resolver = Resolver::default();
    let mut untraced = Vec::new();
    for (pid, Traced { target, .. }) in &*processes {
        let files = resolver.resolve(target);
        let reason = match attach::check_target(target) {
            Ok(()) if attach_one(loader, target, &files)? => continue,
            Ok(()) => why_not(&files),
            Err(reason) => reason.to_string(),
        };
        if asked.contains(pid) {
            say(&format!("{} ({pid}) is not traced: {reason}", target.name));
        }
        untraced.push(*pid);
    }
    processes.retain(|pid, _| !untraced.contains(pid));
    if processes.is_empty() {
        bail!("nothing to trace");
    }
    Ok(())
}

/// Tells whether any file of the process could be probed.
fn attach_one(loader: &mut Loader, target: &Target, files: &[Resolved]) -> Result<bool> {
    let mut attached = false;
    for (object, Resolved { path, resolution, .. }) in target.objects.iter().zip(files) {
        if let Resolution::Plan(plan) = resolution.as_ref() {
            loader.attach(target, object, plan)?;
            say(&format!(
                "attached to {} ({}): {} in {}, {} functions",
                target.name,
                target.pid,
                plan.library
                    .version
                    .as_ref()
                    .map_or(plan.library.family.name(), |version| &version.text),
                path.display(),
                plan.functions.len(),
            ));
            attached = true;
        }
    }
    Ok(attached)
}

/// The most telling reason of all files: a library that cannot be probed says more than one that is not TLS.
fn why_not(files: &[Resolved]) -> String {
    let telling = files.iter().find_map(|one| match one.resolution.as_ref() {
        Resolution::Reason(reason) if Resolution::concerns_tls(reason) => {
            Some(format!("{}: {reason}", one.path.display()))
        }
        Resolution::Failed(error) => Some(format!("{}: {error}", one.path.display())),
        Resolution::Reason(_) | Resolution::Plan(_) => None,
    });
    telling.unwrap_or_else(|| "it has no TLS library that tlscope knows".to_owned())
}

fn header(attached: &Attached, processes: &BTreeMap<u32, Traced>) -> Header {
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let unix_ns = u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX);
    let site = |site: &attach::SiteInfo| SiteEntry {
        path: site.path.display().to_string(),
        function: site.function.clone(),
        library: site.library.to_owned(),
    };
    let process = |(pid, traced): (&u32, &Traced)| ProcessEntry {
        pid: *pid,
        name: traced.target.name.clone(),
    };
    Header {
        abi: Header::default().abi,
        boot_unix_ns: unix_ns.saturating_sub(now_ns()),
        processes: processes.iter().map(process).collect(),
        sites: attached.sites().iter().map(site).collect(),
    }
}
