//! `tlscope inspect`: shows what would be probed in processes or a file, how it was found, and what cannot be traced.
//! Attaches nothing.

mod function;
mod known;

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal as _, Write as _, stdout},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use symbolizer::{Cause, HookKind, Library, Plans, ProbePlan, Role};
use tracer_capture::{
    attach::{self, Kinds, Placement},
    resolve::{Resolution, Resolver, why_not},
    target::{self, Selection, Target, find},
};
use tracer_observe::output::{Shown, write_json};

use self::{
    function::FunctionLine,
    known::{addresses, negotiated, unseen},
};
use super::live_arguments::{InspectArgs, InspectTarget};
use crate::{
    messages::{Progress, say},
    outcome::Outcome,
};

/// Prints one object for each file with a TLS library. Fails if there is nothing to probe.
pub(super) fn run(arguments: &InspectArgs) -> Result<Outcome> {
    let InspectTarget { pid, name, file } = &arguments.target;
    let mut resolver = Resolver::with(arguments.debug_files.debug_files());
    let progress = Progress::start(|elapsed| format!("analysing programs and libraries: {} s", elapsed.as_secs()));
    let files = match (pid, name, file) {
        (Some(pid), _, _) => inspect_processes(&mut resolver, &BTreeSet::from([*pid]))?,
        (None, Some(name), _) => inspect_processes(&mut resolver, &named(name)?)?,
        (None, None, Some(path)) => inspect_file(&mut resolver, path)?,
        (None, None, None) => Vec::new(),
    };
    drop(progress);
    let json = arguments
        .format
        .as_deref()
        .map_or_else(|| !stdout().is_terminal(), |format| format == "json");
    match print(&files, json) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(Outcome::Done),
    }
}

fn named(name: &str) -> Result<BTreeSet<u32>, target::Error> {
    find(&Selection {
        names: vec![name.to_owned()],
        ..Selection::default()
    })
}

/// Returns the files of all these processes. Prints why a process has nothing to probe; fails if that is true of all.
fn inspect_processes(resolver: &mut Resolver, pids: &BTreeSet<u32>) -> Result<Vec<FileLine>> {
    let kernel = attach::check_kernel();
    let (mut files, mut refusals) = (Vec::new(), Vec::new());
    for pid in pids {
        match inspect_process(resolver, *pid, &kernel) {
            Ok(of_process) => files.extend(of_process),
            Err(error) => refusals.push(format!("{error:#}")),
        }
    }
    if files.is_empty() {
        bail!(refusals.join("; "));
    }
    if let Some(undescribed) = kernel.as_ref().ok().and_then(|kernel| kernel.undescribed) {
        say(&undescribed.to_string());
    }
    for refusal in refusals {
        say(&refusal);
    }
    Ok(files)
}

/// Returns the files with a TLS library, whether it can be probed or not.
fn inspect_process(
    resolver: &mut Resolver,
    pid: u32,
    kernel: &Result<attach::Kernel, attach::Reason>,
) -> Result<Vec<FileLine>> {
    let target = Target::discover(pid)?;
    let files = resolver.resolve(&target);
    if files.iter().all(|one| one.resolution.plans().is_empty()) {
        bail!("{} ({pid}): nothing to probe: {}", target.name, why_not(&files));
    }
    let refused = kernel.as_ref().map(|_| ()).map_err(Clone::clone);
    let plans = files.iter().map(|one| one.resolution.plans());
    let placements: Vec<_> = plans
        .map(|plans| Placement::of_plans(plans, Kinds::default()))
        .collect();
    if let Err(reason) = refused.and_then(|()| attach::check_target(&target, &placements.iter().collect::<Vec<_>>())) {
        say(&format!("{} ({pid}) would not be traced: {reason}", target.name));
    }
    let with_tls = files.iter().filter(|one| one.resolution.concerns_tls());
    Ok(with_tls
        .flat_map(|one| FileLine::all(Some(pid), &one.path, &one.resolution))
        .collect())
}

/// Analyses one file together with the crypto libraries in its folder, which define some of the structures it uses.
fn inspect_file(resolver: &mut Resolver, path: &Path) -> Result<Vec<FileLine>> {
    let target = Target::of_file(path)?;
    let files = resolver.resolve(&target);
    let resolution = &files.first().context("the file was analysed")?.resolution;
    match resolution.as_ref() {
        Resolution::Plans(_) => Ok(FileLine::all(None, path, resolution)),
        Resolution::Reasons(reasons) => {
            let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
            bail!("{}: nothing to probe: {}", path.display(), reasons.join("; "))
        }
        Resolution::Failed(error) => bail!("{}: {error}", path.display()),
    }
}

fn print(files: &[FileLine], json: bool) -> io::Result<()> {
    let mut out = stdout().lock();
    if json {
        for file in files {
            write_json(&mut out, file)?;
            writeln!(out)?;
        }
        return out.flush();
    }
    for (text, pids) in grouped(files) {
        write!(out, "{text}")?;
        if pids.len() > 1 {
            writeln!(out, "  processes  {}", pids.join(", "))?;
        }
    }
    out.flush()
}

/// Groups equal texts, in the order in which they were found, with the processes of each.
fn grouped(files: &[FileLine]) -> Vec<(String, Vec<String>)> {
    let mut grouped: Vec<(String, Vec<String>)> = Vec::new();
    for file in files {
        let (text, pid) = (file.text(), file.pid.map(|pid| pid.to_string()));
        match grouped.iter_mut().find(|(known, _)| *known == text) {
            Some((_, pids)) => pids.extend(pid),
            None => grouped.push((text, pid.into_iter().collect())),
        }
    }
    grouped
}

/// The object that is printed for a file.
#[derive(Debug, Serialize)]
struct FileLine {
    v: u8,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    path: String,
    #[serde(flatten)]
    finding: Finding,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Finding {
    Plan(PlanLine),
    Reason(String),
    Error(String),
}

#[derive(Debug, Serialize)]
struct PlanLine {
    library: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    build_id: String,
    machine: &'static str,
    functions: Vec<FunctionLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<String>,
    absent: Vec<&'static str>,
    addresses: String,
    negotiated: String,
    unseen: Vec<String>,
}

impl FileLine {
    /// Returns a line for each plan of a file, or one with the reason why there is none.
    fn all(pid: Option<u32>, path: &Path, resolution: &Resolution) -> Vec<Self> {
        let findings = match resolution {
            Resolution::Plans(plans) => {
                let lines = plans.plans.iter().map(|plan| PlanLine::new(plan, plans));
                lines.map(Finding::Plan).collect()
            }
            Resolution::Reasons(reasons) => {
                let reasons = reasons.iter().map(ToString::to_string);
                reasons.map(Finding::Reason).collect()
            }
            Resolution::Failed(error) => vec![Finding::Error(error.clone())],
        };
        let line = |finding| Self {
            v: 1,
            r#type: "file",
            pid,
            path: path.display().to_string(),
            finding,
        };
        findings.into_iter().map(line).collect()
    }

    fn text(&self) -> String {
        let path = Shown(&self.path);
        match &self.finding {
            Finding::Plan(plan) => format!("{path}\n{}", plan.text()),
            Finding::Reason(reason) => format!("{path}\n  not traced: {}\n", Shown(reason)),
            Finding::Error(error) => format!("{path}\n  not analysed: {}\n", Shown(error)),
        }
    }
}

impl PlanLine {
    fn new(plan: &ProbePlan, beside: &Plans) -> Self {
        Self {
            library: plan.library.family.name(),
            version: version(&plan.library),
            build_id: plan.build_id.to_string(),
            machine: plan.machine.name(),
            functions: Kinds::default().choose(plan).iter().map(FunctionLine::new).collect(),
            refused: refused(plan),
            absent: plan.absent.clone(),
            addresses: addresses(plan),
            negotiated: negotiated(plan),
            unseen: unseen(plan, beside),
        }
    }

    fn text(&self) -> String {
        let Self {
            library,
            version,
            build_id,
            machine,
            functions,
            refused,
            absent,
            addresses,
            negotiated,
            unseen,
        } = self;
        let version = version.as_deref().unwrap_or("version unknown");
        let mut lines = vec![
            format!("library    {library}, {version}"),
            format!("build id   {build_id} ({machine})"),
        ];
        lines.extend(functions.iter().map(FunctionLine::text));
        lines.extend(refused.iter().map(|cause| format!("unproven   {cause}")));
        if !absent.is_empty() {
            lines.push(format!("absent     {}", absent.join(", ")));
        }
        lines.push(format!("addresses  {addresses}"));
        lines.push(format!("negotiated {negotiated}"));
        lines.extend(unseen.iter().map(|what| format!("unseen     {what}")));
        // Some of these texts come from the file.
        let lines: Vec<_> = lines.iter().map(|line| Shown(line).to_string()).collect();
        format!("  {}\n", lines.join("\n  "))
    }
}

/// Returns why kinds of hooks are not used.
fn refused(plan: &ProbePlan) -> Vec<String> {
    let line = |(kind, role, cause): &(HookKind, Role, Cause)| format!("{} for {}: {cause}", kind.name(), role.name());
    plan.refused.iter().map(line).collect()
}

/// Returns the version that the library states, or a lower bound.
fn version(library: &Library) -> Option<String> {
    let stated = library.version.as_ref().map(|version| version.text.clone());
    stated.or_else(|| {
        library
            .at_least
            .map(|(major, minor, patch)| format!("at least {major}.{minor}.{patch}"))
    })
}
