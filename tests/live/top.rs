//! `tlscope top` in a terminal, by keys and screens.

use std::fs;

use anyhow::Result;
use support::{Nginx, Tmux, binary, curl, secrets::find_secret};

/// Runs `top` for a process between two looks at the settings of the terminal, and stays.
fn start(pid: u32, columns: u16, lines: u16) -> Result<Tmux> {
    let script = format!(
        "stty -g > before; '{}' top -p {pid}; echo \"code $?\"; stty -g > after; echo over; exec cat",
        binary::tlscope()?.display()
    );
    Tmux::start(&script, columns, lines)
}

/// Asserts that the terminal is as it was before, and that the shell's own text is on it.
fn assert_restored(terminal: &Tmux, code: i32) -> Result<()> {
    let screen = terminal.wait_for("the end", |screen| screen.contains("over"))?;
    assert!(screen.contains(&format!("code {code}")), "{screen}");
    assert!(screen.contains("tlscope: exchanges="), "{screen}");
    assert!(!screen.contains("CODE REQUEST"), "{screen}");
    let settings = |name: &str| fs::read_to_string(terminal.directory().join(name));
    assert_eq!(settings("before")?, settings("after")?);
    Ok(())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn routes_are_shown_sorted_filtered_and_opened_by_keys() -> Result<()> {
    let nginx = Nginx::start()?;
    let terminal = start(nginx.master(), 80, 24)?;
    terminal.wait_for("the table", |screen| {
        screen.contains("CODE REQUEST") && screen.contains("P99")
    })?;
    for number in 0..3 {
        curl::request(&[
            "--header",
            "Authorization: Bearer pLanted",
            &nginx.url(&format!("/small/{number}")),
        ])?;
    }
    curl::request(&[&nginx.url("/nothing/here")])?;
    // All of the trace, so that a slow machine does not lose rows of the last ten seconds.
    terminal.keys(&["t"])?;
    let screen = terminal.wait_for("both routes", |screen| {
        screen.contains("GET 127.0.0.1") && screen.contains("4xx") && screen.contains("2xx")
    })?;
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
    let row = screen.lines().find(|line| line.starts_with("2xx"));
    assert!(row.is_some_and(|row| row.contains("127.0.0.1:")), "{screen}");
    // The log shows whole lines.
    assert!(screen.contains(" 404 GET 127.0.0.1"), "{screen}");

    terminal.keys(&["/", "4", "x", "x", "Enter"])?;
    let screen = terminal.wait_for("the filter", |screen| screen.contains("filter: 4xx"))?;
    assert!(screen.contains("\n4xx ") && !screen.contains("\n2xx "), "{screen}");
    terminal.keys(&["Enter"])?;
    let screen = terminal.wait_for("an exchange", |screen| screen.contains("< HTTP/1.1 404"))?;
    assert!(screen.contains("> GET /nothing/here HTTP/1.1"), "{screen}");
    terminal.keys(&["Escape"])?;
    terminal.wait_for("the table", |screen| screen.contains("\n4xx "))?;
    terminal.keys(&["Escape"])?;
    terminal.wait_for("all routes", |screen| screen.contains("\n2xx "))?;

    // The route of most requests is the first.
    terminal.keys(&["Home", "Enter"])?;
    let screen = terminal.wait_for("an exchange", |screen| screen.contains("> GET /small/"))?;
    assert!(screen.contains("> authorization: Bearer [redacted]"), "{screen}");
    assert_eq!(find_secret(&screen), None);
    terminal.keys(&["q", "?"])?;
    terminal.wait_for("the help", |screen| screen.contains("the gateway's own time"))?;
    terminal.keys(&["x", "p"])?;
    terminal.wait_for("the pause", |screen| screen.contains("PAUSED"))?;
    terminal.keys(&["p"])?;
    terminal.wait_for("the end of the pause", |screen| !screen.contains("PAUSED"))?;
    terminal.resize(130, 40)?;
    terminal.wait_for("the wide table", |screen| screen.contains("UPSTREAM"))?;
    terminal.keys(&["q"])?;
    assert_restored(&terminal, 0)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_terminal_is_restored_when_the_gateway_or_the_user_ends_it() -> Result<()> {
    let mut nginx = Nginx::start()?;
    let terminal = start(nginx.master(), 60, 10)?;
    terminal.wait_for("the table", |screen| screen.contains("CODE REQUEST"))?;
    nginx.stop()?;
    assert_restored(&terminal, 1)?;
    let screen = terminal.screen()?;
    assert!(screen.contains("every traced process has ended"), "{screen}");

    let nginx = Nginx::start()?;
    let terminal = start(nginx.master(), 60, 10)?;
    terminal.wait_for("the table", |screen| screen.contains("CODE REQUEST"))?;
    terminal.keys(&["C-c"])?;
    assert_restored(&terminal, 0)
}
