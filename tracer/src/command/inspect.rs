//! `tlscope inspect`: what would be probed, how it was found, and what will not be seen.
//!
//! In: a process or an ELF file. Out: one object for each file that carries, or might carry, a TLS library, and for a
//! process on stderr what the kernel does not offer; nothing is attached.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write as _, stdout},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use symbolizer::{Facts, Function, Library, ProbePlan, SymbolSource, Tier};

use super::{Outcome, arguments::InspectArgs, messages::harmless, say};
use crate::{
    attach,
    resolve::{Resolution, Resolved, Resolver, analyse, why_not},
    target::{Target, read_image},
};

/// Says what is known of a process's files, or of one file; in one line if there is nothing to probe.
pub(super) fn run(arguments: &InspectArgs) -> Result<Outcome> {
    let files = match (arguments.what.pid, &arguments.what.file) {
        (Some(pid), _) => inspect_process(pid)?,
        (None, Some(path)) => vec![inspect_file(path)?],
        (None, None) => Vec::new(),
    };
    let json = arguments
        .output
        .as_deref()
        .map_or_else(|| !stdout().is_terminal(), |form| form == "json");
    match print(&files, json) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(Outcome::Done),
    }
}

/// Gives the files that carry a TLS library, and those that carry one that cannot be probed.
fn inspect_process(pid: u32) -> Result<Vec<FileLine>> {
    let target = Target::discover(pid)?;
    let resolved = Resolver::default().resolve(&target);
    let is_plan = |one: &Resolved| matches!(*one.resolution, Resolution::Plan(_));
    if !resolved.iter().any(is_plan) {
        bail!("{} ({pid}): nothing to probe: {}", target.name, why_not(&resolved));
    }
    let kernel = attach::check_kernel();
    if let Some(undescribed) = kernel.as_ref().ok().and_then(|kernel| kernel.undescribed) {
        say(&undescribed.to_string());
    }
    if let Err(reason) = kernel.and_then(|_| attach::check_target(&target)) {
        say(&format!("{} ({pid}) would not be traced: {reason}", target.name));
    }
    let telling = resolved.iter().filter(|one| one.resolution.is_telling());
    Ok(telling
        .map(|one| FileLine::new(Some(pid), &one.path, &one.resolution))
        .collect())
}

fn inspect_file(path: &Path) -> Result<FileLine> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let resolution = analyse(&read_image(&file, path)?, None);
    match &resolution {
        Resolution::Plan(_) => Ok(FileLine::new(None, path, &resolution)),
        Resolution::Reason(reason) => bail!("{}: nothing to probe: {reason}", path.display()),
        Resolution::Failed(error) => bail!("{}: {error}", path.display()),
    }
}

fn print(files: &[FileLine], json: bool) -> io::Result<()> {
    let mut out = stdout().lock();
    for file in files {
        if json {
            serde_json::to_writer(&mut out, file)?;
            writeln!(out)?;
        } else {
            write!(out, "{}", harmless(&file.text()))?;
        }
    }
    out.flush()
}

/// A file, as it is printed.
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
    absent: Vec<&'static str>,
    addresses: String,
    negotiated: String,
    unseen: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct FunctionLine {
    name: String,
    found: &'static str,
    address: String,
    offset: String,
    site: String,
    cost: &'static str,
}

/// What no probe of this version sees, whatever the file.
const UNSEEN: &str = "SSL_sendfile and other kernel TLS: the plaintext does not pass through the library";

/// What is not seen either, where the public functions are probed.
const UNSEEN_BEHIND: &str =
    "SSL objects used through BIO_f_ssl (BIO_read, BIO_write): the library does not call its own entry points there";

impl FileLine {
    fn new(pid: Option<u32>, path: &Path, resolution: &Resolution) -> Self {
        let finding = match resolution {
            Resolution::Plan(plan) => Finding::Plan(PlanLine::new(plan)),
            Resolution::Reason(reason) => Finding::Reason(reason.to_string()),
            Resolution::Failed(error) => Finding::Error(error.clone()),
        };
        Self {
            v: 1,
            r#type: "file",
            pid,
            path: path.display().to_string(),
            finding,
        }
    }

    fn text(&self) -> String {
        match &self.finding {
            Finding::Plan(plan) => format!("{}\n{}", self.path, plan.text()),
            Finding::Reason(reason) => format!("{}\n  not traced: {reason}\n", self.path),
            Finding::Error(error) => format!("{}\n  not analysed: {error}\n", self.path),
        }
    }
}

impl PlanLine {
    fn new(plan: &ProbePlan) -> Self {
        Self {
            library: plan.library.family.name(),
            version: version(&plan.library),
            build_id: plan.build_id.to_string(),
            machine: plan.machine.name(),
            functions: plan.functions.iter().map(FunctionLine::new).collect(),
            absent: plan.absent.iter().map(|role| role.symbol()).collect(),
            addresses: addresses(plan),
            negotiated: negotiated(&plan.facts),
            unseen: unseen(plan),
        }
    }

    fn text(&self) -> String {
        let Self {
            library,
            version,
            build_id,
            machine,
            functions,
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
        if !absent.is_empty() {
            lines.push(format!("absent     {}", absent.join(", ")));
        }
        lines.push(format!("addresses  {addresses}"));
        lines.push(format!("negotiated {negotiated}"));
        lines.extend(unseen.iter().map(|what| format!("unseen     {what}")));
        format!("  {}\n", lines.join("\n  "))
    }
}

impl FunctionLine {
    fn text(&self) -> String {
        let Self {
            name,
            found,
            address: _,
            offset,
            site,
            cost,
        } = self;
        format!("probe      {name:<18} at file offset {offset:<10} by {found}; {site}, {cost}")
    }

    fn new(function: &Function) -> Self {
        Self {
            name: function.name.clone(),
            found: function.found.name(),
            address: format!("{:#x}", function.address.0),
            offset: format!("{:#x}", function.offset.0),
            site: format!(
                "probed at {:#x}: {}",
                function.site.offset.0,
                function.site.instruction.name()
            ),
            cost: match function.site.tier {
                Tier::Emulated => "emulated by the kernel",
                Tier::Stepped => "single-stepped by the kernel, which is slower",
            },
        }
    }
}

/// The version that is stated, else what is known of it.
fn version(library: &Library) -> Option<String> {
    let stated = library.version.as_ref().map(|version| version.text.clone());
    stated.or_else(|| {
        library
            .at_least
            .map(|(major, minor, patch)| format!("at least {major}.{minor}.{patch}"))
    })
}

fn unseen(plan: &ProbePlan) -> Vec<&'static str> {
    let is_public = |function: &Function| function.found != SymbolSource::Callers;
    let carries_plaintext = |function: &&Function| function.role.reads() || function.role.writes();
    let mut unseen = vec![UNSEEN];
    if plan.functions.iter().filter(carries_plaintext).any(is_public) {
        unseen.push(UNSEEN_BEHIND);
    }
    unseen
}

fn addresses(plan: &ProbePlan) -> String {
    match &plan.layout {
        Ok(_) if plan.socket_name.is_none() => {
            "only from SSL_set_fd: the crypto library's own kind of socket BIO cannot be told from others".to_owned()
        }
        Ok(layout) => format!(
            "from the socket BIO (SSL+{:#x}, BIO+{:#x}, by {})",
            layout.rbio, layout.bio_num, layout.origin
        ),
        Err(unknown) => format!("only from SSL_set_fd: {unknown}"),
    }
}

/// What of a handshake's result can be read, and what the library's code does not give away.
fn negotiated(facts: &Facts) -> String {
    let cipher = facts.session.and(facts.session_cipher).and(facts.cipher_name);
    let all = [
        ("version", facts.version),
        ("cipher", cipher),
        ("alpn", facts.alpn.and(facts.alpn_length)),
        ("server name", facts.server_name),
    ];
    let named = |known: bool| {
        let of_kind = all.iter().filter(|(_, offset)| offset.is_some() == known);
        of_kind.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    match (named(true), named(false)) {
        (read, missing) if missing.is_empty() => format!("{read}, by the library's own code"),
        (read, missing) if read.is_empty() => format!("{missing} unknown: the library's own code does not say where"),
        (read, missing) => format!("{read}; {missing} unknown: the library's own code does not say where"),
    }
}
