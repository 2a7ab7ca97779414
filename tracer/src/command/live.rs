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
    resolve::{Resolution, Resolved, Resolver, why_not},
    source::{Header, ProcessEntry, SiteEntry, now_ns},
    target::{self, Target, find_ended, with_descendants},
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let watched = processes.into_iter().map(|(pid, traced)| (pid, traced.pidfd)).collect();
    runtime.block_on(Session::new(attached, watched, live).run(consumer))
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

/// Attaches to every process that has a TLS library, and drops the processes that have none: of those that were asked
/// for it says why, in one line if nothing is left.
fn attach_all(loader: &mut Loader, processes: &mut BTreeMap<u32, Traced>, asked: &[u32]) -> Result<()> {
    let mut resolver = Resolver::default();
    let mut refused = BTreeMap::new();
    for (pid, traced) in &*processes {
        if let Some(reason) = attach_process(loader, &mut resolver, traced)? {
            refused.insert(*pid, format!("{} ({pid}) is not traced: {reason}", traced.target.name));
        }
    }
    processes.retain(|pid, _| !refused.contains_key(pid));
    refused.retain(|pid, _| asked.contains(pid));
    let refused: Vec<String> = refused.into_values().collect();
    if processes.is_empty() {
        bail!(refused.join("; "));
    }
    for refusal in &refused {
        say(refusal);
    }
    Ok(())
}

/// Attaches to one process; tells why if nothing of it can be traced.
fn attach_process(loader: &mut Loader, resolver: &mut Resolver, traced: &Traced) -> Result<Option<String>> {
    let target = &traced.target;
    let files = resolver.resolve(target);
    if let Err(reason) = attach::check_target(target) {
        return Ok(Some(reason.to_string()));
    }
    match attach_files(loader, target, &files) {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some(why_not(&files))),
        // No probe can be placed in a process that is gone.
        Err(_gone) if !find_ended([(target.pid, &traced.pidfd)])?.is_empty() => Ok(Some("it has ended".to_owned())),
        Err(error) => Err(error),
    }
}

/// Tells whether any file of the process could be probed.
fn attach_files(loader: &mut Loader, target: &Target, files: &[Resolved]) -> Result<bool> {
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
        own_netns: target::own_netns(),
        boot_unix_ns: unix_ns.saturating_sub(now_ns()),
        processes: processes.iter().map(process).collect(),
        sites: attached.sites().iter().map(site).collect(),
    }
}
