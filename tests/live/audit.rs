//! Audit lines of real traces: they are there whatever the output is, and have no secret.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use age::{secrecy::ExposeSecret as _, x25519::Identity};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use support::{
    Nginx, Tracer, binary, curl, kernel, run, schema,
    secrets::{MARK, find_secret},
    source_file, wait,
};
use tempfile::TempDir;

/// Parses and validates the lines of a file.
fn lines(path: &Path) -> Result<Vec<Value>> {
    fs::read_to_string(path)
        .with_context(|| path.display().to_string())?
        .lines()
        .map(schema::parse)
        .collect()
}

/// Returns the values of a member, in the order of the lines.
fn all<'a>(lines: &'a [Value], member: &str) -> Vec<&'a str> {
    lines.iter().filter_map(|line| line[member].as_str()).collect()
}

/// Options that have secrets, and that let no exchange be printed.
const SECRETIVE: [&str; 14] = [
    "--header",
    "authorization: Bearer pLanted01",
    "--header",
    "x-api-key=pLanted02",
    "--path",
    "^/none\\?access_token=pLanted03",
    "--otlp=http://127.0.0.1:9",
    "--otlp-header",
    "authorization=Bearer pLanted04",
    "--redact-pattern",
    "pLanted05",
    "--sample",
    "1/1000000",
    "--rate-limit=1/h",
];

fn command(args: &[&str], nginx: &Nginx, audit: &Path) -> Result<Command> {
    let mut command = binary::command(args)?;
    command.args(["-p", &nginx.master().to_string(), "--audit"]).arg(audit);
    Ok(command)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_trace_has_a_line_at_its_start_and_at_its_end_without_a_secret() -> Result<()> {
    let nginx = Nginx::start()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("audit");
    let mut command = command(&["trace", "-o", "json", "--audit", "output"], &nginx, &file)?;
    command.args(SECRETIVE);
    command
        .env("SUDO_USER", "alice")
        .env("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22");
    let tracer = Tracer::spawn(command)?;
    tracer.wait_until_ready()?;
    // It is on the disk before anything is captured.
    assert_eq!(all(&lines(&file)?, "event"), ["start"]);
    curl::request(&[&nginx.url("/small/x")])?;
    nginx.wait_until_logged(1)?;
    let pid = tracer.pid();
    let trace = tracer.stop()?;
    assert_eq!(trace.code, Some(0), "{:?}", trace.stderr);
    let audit = lines(&file)?;
    let [start, end] = &audit[..] else {
        panic!("{audit:?}");
    };
    assert_eq!(
        (all(&audit, "event"), all(&audit, "command")),
        (vec!["start", "end"], vec!["trace"; 2])
    );
    assert_eq!(
        (&start["run"], &start["pid"], &start["secrets"]),
        (&end["run"], &json!(pid), &json!("masked"))
    );
    assert_eq!(start["user"]["uid"], 0);
    assert_eq!(start["from"]["parent_pid"], std::process::id());
    assert_eq!(
        start["claims"],
        json!({"sudo_user": "alice", "ssh_client": "192.0.2.7"})
    );
    assert_eq!(start["selection"], json!([["pid", nginx.master().to_string()]]));
    let processes = start["processes"].as_array().context("no processes")?;
    assert!(
        processes
            .iter()
            .any(|process| process["pid"] == nginx.master() && process["name"] == "nginx")
    );
    assert_eq!(
        (&end["ended"], &end["exchanges"], &end["lost_bytes"]),
        (&json!("signal"), &json!(0), &json!(0))
    );
    assert!(end["processes_traced"].as_u64() >= Some(processes.len() as u64) && end["duration_us"].as_u64() > Some(0));
    let outputs = start["outputs"].as_array().context("no outputs")?;
    assert!(outputs.contains(&json!(["otlp", "http://127.0.0.1:9"])), "{outputs:?}");
    // No filter, sample or limit keeps them from the output: nothing else is printed.
    let printed: Vec<_> = trace
        .stdout
        .iter()
        .filter(|line| line.contains("\"type\":\"audit\""))
        .collect();
    assert_eq!(printed.len(), 2, "{:?}", trace.stdout);
    assert_eq!(schema::parse(printed[0])?, *start);
    assert!(printed[1].contains("\"ended\":\"signal\""));
    for text in [fs::read_to_string(&file)?, trace.everything()] {
        assert_eq!(find_secret(&text), None);
    }
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn every_way_to_end_is_told_and_no_output_is_broken() -> Result<()> {
    let nginx = Nginx::start()?;
    let folder = tempfile::tempdir()?;
    for (form, args, ended) in [
        ("har", &["-n", "2"][..], "count"),
        ("combined", &["-n", "2"], "count"),
        ("line", &["--show-secrets", "-n", "2"], "count"),
        ("text", &["-n", "2"], "count"),
        ("ecs", &["-n", "2"], "count"),
        ("none", &["--duration", "200ms"], "duration"),
    ] {
        let file = folder.path().join(form);
        let mut command = command(&["trace", "-o", form, "--audit", "output"], &nginx, &file)?;
        command.args(args);
        let tracer = Tracer::spawn(command)?;
        tracer.wait_until_ready()?;
        for path in ["/small/1", "/small/2"] {
            curl::request(&[&nginx.url(path)])?;
        }
        let trace = tracer.finish()?;
        let audit = lines(&file)?;
        assert_eq!((audit.len(), &audit[1]["ended"]), (2, &json!(ended)), "{form}");
        let secrets = if form == "line" { "shown" } else { "masked" };
        assert_eq!(all(&audit, "secrets"), [secrets; 2]);
        let text = trace.stdout.join("\n");
        match form {
            "har" => assert_eq!(
                serde_json::from_str::<Value>(&text)?["log"]["entries"]
                    .as_array()
                    .map(Vec::len),
                Some(2)
            ),
            "combined" => assert_eq!(
                text.lines().filter(|line| line.contains("GET /small/")).count(),
                text.lines().count()
            ),
            "ecs" => assert_eq!(text.matches("\"dataset\":\"tlscope.audit\"").count(), 2, "{text}"),
            "none" => assert_eq!(text, ""),
            _ => assert_eq!(text.matches("AUDIT ").count(), 2, "{text}"),
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_audit_of_an_agent_has_each_reload() -> Result<()> {
    let nginx = Nginx::start()?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let configure = |path_filter: &str| {
        let text = format!(
            "port = {}\noutput = \"json\"\nwrite = {:?}\naudit = {:?}\npath = {path_filter:?}\nheader = \"cookie=pLanted01\"\n",
            nginx.port(),
            path("lines.json"),
            path("audit"),
        );
        fs::write(path("agent.toml"), text)
    };
    configure("^/a")?;
    let agent = Tracer::ready(&["agent", "--config", &path("agent.toml").display().to_string()])?;
    configure("^/b")?;
    kernel::signal(agent.pid(), libc::SIGHUP)?;
    wait::until_true("the start after the reload", || Ok(lines(&path("audit"))?.len() >= 3))?;
    let trace = agent.stop()?;
    assert_eq!(trace.code, Some(0), "{:?}", trace.stderr);
    let audit = lines(&path("audit"))?;
    assert_eq!(all(&audit, "event"), ["start", "reload", "start", "end"]);
    assert_eq!(all(&audit, "command"), ["agent"; 4]);
    assert_eq!(audit[1]["ended"], "reload");
    let filter = |line: &Value| line["filters"][0].clone();
    let filters: Vec<_> = audit.iter().map(filter).collect();
    let (before, after) = (json!(["path", "^/a"]), json!(["path", "^/b"]));
    assert_eq!(filters, [before.clone(), before, after.clone(), after]);
    assert_eq!(
        (&audit[0]["run"], &audit[2]["run"]),
        (&audit[1]["run"], &audit[3]["run"])
    );
    assert_ne!(audit[0]["run"], audit[2]["run"]);
    assert_eq!(find_secret(&fs::read_to_string(path("audit"))?), None);
    Ok(())
}

/// Records a tape that is encrypted. Returns its folder, and the public key.
fn record(nginx: &Nginx, end: impl FnOnce(Tracer, &Path) -> Result<()>) -> Result<(TempDir, String)> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let key = Identity::generate();
    let recipient = key.to_public().to_string();
    fs::write(path("key"), key.to_string().expose_secret())?;
    fs::set_permissions(path("key"), fs::Permissions::from_mode(0o600))?;
    let mut command = command(&["record", "--recipient", &recipient], nginx, &path("audit"))?;
    command.arg("-w").arg(path("tape"));
    let tracer = Tracer::spawn(command)?;
    tracer.wait_until_ready()?;
    end(tracer, &path("tape"))?;
    Ok((folder, recipient))
}

fn replay(folder: &TempDir) -> Result<run::CommandOutput> {
    let mut command = binary::command(&["replay", "-o", "json", "--identity"])?;
    run::run(command.arg(folder.path().join("key")).arg(folder.path().join("tape")))
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_recording_is_audited_as_a_tape_and_has_no_plaintext() -> Result<()> {
    let nginx = Nginx::start()?;
    let (folder, recipient) = record(&nginx, |tracer, _| {
        for number in 0..3 {
            let field = "Authorization: Bearer pLanted01";
            curl::request(&["--header", field, &nginx.url(&format!("/small/{number}"))])?;
        }
        nginx.wait_until_logged(3)?;
        let trace = tracer.stop()?;
        assert_eq!(trace.code, Some(0), "{:?}", trace.stderr);
        assert!(trace.everything().contains("encrypted to 1 key"));
        Ok(())
    })?;
    let audit = lines(&folder.path().join("audit"))?;
    assert_eq!(
        (all(&audit, "event"), all(&audit, "secrets")),
        (vec!["start", "end"], vec!["tape"; 2])
    );
    assert!(
        audit[0]["outputs"]
            .as_array()
            .is_some_and(|all| all.contains(&json!(["recipient", recipient])))
    );
    assert!(audit[1].get("exchanges").is_none());
    let sealed = fs::read(folder.path().join("tape"))?;
    assert!(sealed.starts_with(b"age-encryption.org/v1\n"));
    for plain in [MARK.as_bytes(), b"/small/", b"TLSTAPE", b"nginx"] {
        assert!(!sealed.windows(plain.len()).any(|bytes| bytes == plain), "{plain:?}");
    }
    let output = replay(&folder)?;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    for number in 0..3 {
        assert!(
            output.stdout.contains(&format!("\"path\":\"/small/{number}\"")),
            "{}",
            output.stdout
        );
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_recording_that_is_killed_can_be_read_up_to_its_last_chunk() -> Result<()> {
    let nginx = Nginx::start()?;
    let (folder, _) = record(&nginx, |tracer, tape| {
        let mut sent = 0;
        wait::until_true("a few chunks", || {
            for _ in 0..50 {
                sent += 1;
                curl::request(&[&nginx.url(&format!("/small/{sent}"))])?;
            }
            Ok(fs::metadata(tape)?.len() > 3 * 65_536)
        })?;
        kernel::signal(tracer.pid(), libc::SIGKILL)?;
        let trace = tracer.finish()?;
        assert_eq!(trace.code, None);
        Ok(())
    })?;
    let output = replay(&folder)?;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("cut short"), "{}", output.stderr);
    assert!(output.stdout.contains("\"path\":\"/small/1\"") && output.stdout.lines().count() > 10);
    let audit = lines(&folder.path().join("audit"))?;
    assert_eq!(all(&audit, "event"), ["start"]);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_log_of_the_system_gets_the_lines_unasked() -> Result<()> {
    let nginx = Nginx::start()?;
    let folder = tempfile::tempdir()?;
    for (socket, is_journal) in [("/run/systemd/journal/socket", true), ("/dev/log", false)] {
        let own = folder.path().join(if is_journal { "journal" } else { "log" });
        let listener = UnixDatagram::bind(&own)?;
        listener.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut command = Command::new("unshare");
        // In a mount namespace of its own; /dev keeps what it has.
        let script = if is_journal {
            "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && touch \"$2\" && mount --bind \"$1\" \"$2\" \
             && shift 2 && exec \"$0\" \"$@\""
        } else {
            "mount -t tmpfs none /run && mkdir /run/upper /run/work && mount -t overlay -o \
             lowerdir=/dev,upperdir=/run/upper,workdir=/run/work none /dev && touch \"$2\" && mount --bind \"$1\" \"$2\" \
             && shift 2 && exec \"$0\" \"$@\""
        };
        command
            .args(["--mount", "sh", "-c", script])
            .arg(binary::tlscope()?)
            .arg(&own)
            .arg(socket);
        command.args([
            "trace",
            "-o",
            "none",
            "-p",
            &nginx.master().to_string(),
            "--duration",
            "100ms",
        ]);
        let output = run::run(&mut command)?;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        let mut message = vec![0; 65_536];
        for event in ["start", "end"] {
            let length = listener.recv(&mut message)?;
            let text = String::from_utf8(message.get(..length).context("too long")?.to_vec())?;
            let (before, json) = text.split_once("{\"v\":1").context("no JSON")?;
            let line = schema::parse(format!("{{\"v\":1{json}").trim_end())?;
            assert_eq!((&line["event"], &line["command"]), (&json!(event), &json!("trace")));
            if is_journal {
                assert!(
                    before.contains(&format!("TLSCOPE_EVENT={event}\n")) && before.ends_with("MESSAGE="),
                    "{before}"
                );
            } else {
                assert!(before.starts_with("<85>tlscope["), "{before}");
            }
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn journald_has_both_lines_with_their_fields() -> Result<()> {
    let nginx = Nginx::start()?;
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh"])
        .arg(source_file("journald.sh"))
        .arg(folder.path())
        .args(["json", "2"]);
    command
        .arg(binary::tlscope()?)
        .args(["trace", "-o", "none", "--audit", "journal", "--duration", "100ms"]);
    run::succeed(command.args(["-p", &nginx.master().to_string()]))?;
    let journal = fs::read_to_string(folder.path().join("journal"))?;
    let entries = journal
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Value>, _>>()?;
    assert_eq!(all(&entries, "TLSCOPE_EVENT"), ["start", "end"], "{journal}");
    for entry in &entries {
        let message = schema::parse(entry["MESSAGE"].as_str().context("no message")?)?;
        assert_eq!(message["type"], "audit");
        assert_eq!(entry["SYSLOG_FACILITY"], "10");
        assert_eq!(entry["MESSAGE_ID"], "2fa9efe867ed4168a407dc58e311b4f4");
        // What journald itself knows of the sender, which nobody can forge.
        assert_eq!(entry["_PID"], message["pid"].to_string());
    }
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_log_that_does_not_answer_keeps_a_trace_from_beginning_only_if_it_is_asked_for() -> Result<()> {
    let nginx = Nginx::start()?;
    let folder = tempfile::tempdir()?;
    let own: PathBuf = folder.path().join("journal");
    // Nobody listens: the socket refuses each line.
    drop(UnixDatagram::bind(&own)?);
    let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && touch /run/systemd/journal/socket && \
                  mount --bind \"$1\" /run/systemd/journal/socket && shift && exec \"$0\" \"$@\"";
    for (audit, code) in [(&[][..], 0), (&["--audit", "journal"], 1)] {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", script])
            .arg(binary::tlscope()?)
            .arg(&own);
        command
            .args([
                "trace",
                "-o",
                "none",
                "-p",
                &nginx.master().to_string(),
                "--duration",
                "100ms",
            ])
            .args(audit);
        let output = run::run(&mut command)?;
        assert_eq!(output.code, Some(code), "{}", output.stderr);
        assert!(output.stderr.contains("cannot be written"), "{}", output.stderr);
        assert_eq!(output.stderr.contains("tlscope: ready"), code == 0, "{}", output.stderr);
    }
    Ok(())
}
