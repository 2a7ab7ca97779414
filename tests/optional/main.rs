//! Live tests of what some kernels or machines lack, and of programs that `scripts/setup` does not install. Where these are
//! missing, the tests are ignored with the reason.
//!
//! Like the tests of `live` they need root, are ignored by default, and run one at a time:
//! `cargo test -p e2e --test optional -- --ignored --test-threads=1`.

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use support::{
    bare_debian,
    cgroup::Container,
    debian_with_systemd,
    envoy::Envoy,
    go::{Library, Version},
    go_server::Release,
    libraries::Overlay,
    otlp::Collector,
    rust::Version as Crates,
    search, wheel,
};

#[path = "../live/claims.rs"]
#[expect(dead_code, reason = "the live tests use all of it")]
mod claims;
#[path = "../live/addresses/claims.rs"]
#[expect(dead_code, reason = "the live tests use all of it")]
mod address_claims;
mod clickhouse;
mod container;
mod crystal;
mod envoy;
mod go;
mod go_aarch64;
mod go_programs;
mod go_soak;
mod go_stack;
mod grpc;
#[cfg(test)]
mod otlp;
mod overlay;
mod package;
mod podman;
mod rust;
mod s2n;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    libtest_mimic::run(
        &arguments,
        vec![
            trial(
                "a_library_on_an_overlay_file_system_is_traced",
                overlay_reason,
                overlay::library_is_traced,
            ),
            trial(
                "a_container_selects_current_and_later_processes",
                container_reason,
                container::now_and_later,
            ),
            trial(
                "wait_waits_for_the_first_process_of_a_container",
                container_reason,
                container::waited_for,
            ),
            trial(
                "a_missing_container_is_refused_with_its_id",
                container_reason,
                container::refused,
            ),
            trial(
                "servers_of_crystal_survive_traced_or_not",
                crystal_reason,
                crystal::servers_survive_traced_or_not,
            ),
            trial(
                "every_exchange_of_a_go_server_is_printed_once_with_its_addresses",
                go_reason,
                go::server,
            ),
            trial(
                "other_builds_of_go_programs_are_traced_on_both_sides",
                go_reason,
                go::other_builds,
            ),
            trial(
                "a_go_server_and_its_client_are_traced_over_http_2",
                go_reason,
                go::both_over_http_2,
            ),
            trial(
                "go_connections_behind_others_have_their_addresses",
                go_reason,
                go::wrapped,
            ),
            trial(
                "a_go_connection_that_another_goroutine_writes_to_has_no_addresses",
                go_reason,
                go::handed_over,
            ),
            trial(
                "entries_and_exits_of_go_bring_every_exchange_of_both_sides",
                go_reason,
                go::exits,
            ),
            trial("go_that_was_built_without_inlining_is_traced", go_reason, go::fallback),
            trial(
                "a_library_of_go_in_a_program_in_c_is_traced",
                go_reason,
                go_programs::shared,
            ),
            trial(
                "go_that_is_not_traced_is_told_from_none",
                go_reason,
                go_programs::refused,
            ),
            trial(
                "hooks_of_go_for_aarch64_are_where_its_symbols_and_its_code_say",
                go_reason,
                go_aarch64::hooks,
            ),
            trial(
                "hooks_of_go_for_aarch64_with_arguments_on_the_stack_are_where_its_symbols_say",
                old_go_reason,
                go_aarch64::hooks_of_old_go,
            ),
            trial(
                "go_for_aarch64_whose_code_is_damaged_is_refused",
                go_reason,
                go_aarch64::damaged,
            ),
            trial(
                "go_with_arguments_on_the_stack_is_traced_on_both_sides",
                old_go_reason,
                go_stack::builds,
            ),
            trial(
                "entries_and_exits_of_go_with_arguments_on_the_stack_bring_every_exchange",
                old_go_reason,
                go_stack::exits,
            ),
            trial(
                "go_connections_with_arguments_on_the_stack_come_and_go_as_their_stacks_move",
                old_go_reason,
                go_stack::addresses_come_back,
            ),
            trial(
                "a_go_server_with_arguments_on_the_stack_survives_tracers_that_attach_and_detach",
                old_go_reason,
                go_stack::attached_and_detached,
            ),
            trial("go_of_gcc_is_refused", gcc_reason, go_programs::of_gcc),
            trial("a_copy_of_go_s_tls_is_traced", utls_reason, go_programs::utls),
            trial(
                "every_call_of_grpc_in_go_is_printed_once_on_both_sides",
                grpc_reason,
                go_programs::grpc,
            ),
            trial(
                "every_exchange_of_prometheus_is_printed_once",
                prometheus_reason,
                go_programs::prometheus,
            ),
            trial(
                "every_exchange_of_an_s2n_server_is_printed_once_with_its_addresses",
                s2n_reason,
                s2n::server,
            ),
            trial("s2n_is_traced_on_both_sides", s2n_reason, s2n::both),
            trial("s2n_without_names_is_not_found", s2n_reason, s2n::stripped),
            trial(
                "go_objects_whose_addresses_come_back_are_other_connections",
                go_reason,
                go::addresses_come_back,
            ),
            trial(
                "a_go_server_survives_tracers_that_attach_and_detach",
                go_reason,
                go_soak::attached_and_detached,
            ),
            trial(
                "both_sides_of_caddy_are_traced_from_the_middle_of_their_connections",
                go_reason,
                go::caddy_attached_late,
            ),
            trial(
                "both_sides_of_caddy_are_traced_over_http_2",
                go_reason,
                go::caddy_over_http_2,
            ),
            trial(
                "both_sides_of_a_release_of_caddy_are_traced",
                caddy_reason,
                go::later_caddy,
            ),
            trial(
                "every_exchange_of_threads_with_rustls_is_printed_once_with_its_addresses",
                rust_reason,
                rust::threads,
            ),
            trial(
                "every_exchange_of_tokio_with_rustls_is_printed_once_with_its_addresses",
                rust_reason,
                rust::tokio,
            ),
            trial(
                "other_builds_of_programs_with_rustls_are_traced_on_both_sides",
                rust_reason,
                rust::other_builds,
            ),
            trial(
                "programs_with_rustls_and_aws_lc_are_traced_on_both_sides",
                rust_reason,
                rust::aws_lc,
            ),
            trial(
                "rustls_without_names_is_probed_at_the_same_places",
                rust_reason,
                rust::without_names,
            ),
            trial(
                "rustls_with_aws_lc_and_without_names_is_probed_at_the_same_places",
                rust_reason,
                rust::aws_lc_without_names,
            ),
            trial(
                "rustls_that_proves_too_little_is_refused_with_its_version",
                rust_reason,
                rust::refused,
            ),
            trial(
                "both_sides_of_grpc_with_a_library_without_names_are_traced",
                grpcio_reason,
                grpc::both_sides,
            ),
            trial(
                "the_package_is_installed_on_a_bare_debian_and_removed_without_a_trace",
                package_reason,
                package::installed_and_removed,
            ),
            trial(
                "the_image_traces_a_container_that_podman_finds_by_its_label",
                podman_reason,
                podman::recipe_and_label,
            ),
            trial(
                "the_queries_for_clickhouse_give_what_the_logs_of_two_gateways_say",
                clickhouse_reason,
                clickhouse::two_gateways,
            ),
            trial(
                "both_sides_of_envoy_are_traced_over_http_1",
                envoy_reason,
                envoy::over_http_1,
            ),
            trial(
                "both_sides_of_envoy_are_traced_from_the_middle_of_their_connections",
                envoy_reason,
                envoy::attached_late,
            ),
            trial(
                "both_sides_of_envoy_are_traced_over_http_2",
                envoy_reason,
                envoy::over_http_2,
            ),
            trial(
                "both_sides_of_envoy_are_traced_while_a_successor_takes_over",
                envoy_reason,
                envoy::restarted,
            ),
            trial(
                "a_collector_that_was_down_gets_each_span_of_nginx_below_its_parent",
                otlp_reason,
                otlp::gateway,
            ),
        ],
    )
    .exit_code()
}

/// Makes a test that is ignored by default, and if `reason` returns why it cannot run.
fn trial(name: &str, reason: fn() -> Result<Option<&'static str>>, test: fn() -> Result<()>) -> Trial {
    let run = move || {
        let failed = |error: anyhow::Error| Failed::from(format!("{error:#}"));
        if let Some(reason) = reason().map_err(failed)? {
            return Ok(Completion::ignored_with(reason));
        }
        test().map_err(failed).map(|()| Completion::Completed)
    };
    Trial::ignorable_test(name, run).with_ignored_flag(true)
}

fn overlay_reason() -> Result<Option<&'static str>> {
    Ok((!Overlay::is_supported()?).then_some("this kernel has no overlay file systems (CONFIG_OVERLAY_FS)"))
}

fn container_reason() -> Result<Option<&'static str>> {
    Ok(Container::root()?.is_none().then_some("cgroup2 is not mounted"))
}

#[expect(clippy::unnecessary_wraps, reason = "the reasons of other tests can fail")]
fn crystal_reason() -> Result<Option<&'static str>> {
    let is_missing = search::program("crystal").is_err();
    Ok(is_missing.then_some("Crystal is not installed"))
}

fn go_reason() -> Result<Option<&'static str>> {
    Ok((!Version::are_installed()?).then_some("the compilers of Go are missing, which scripts/setup downloads"))
}

fn s2n_reason() -> Result<Option<&'static str>> {
    Ok((!support::s2n::can_be_built()?).then_some("the crates of s2n-tls cannot be fetched"))
}

fn rust_reason() -> Result<Option<&'static str>> {
    Ok((!Crates::are_fetched()?).then_some("the crates of rustls are missing, which scripts/setup fetches"))
}

fn caddy_reason() -> Result<Option<&'static str>> {
    if !Release::Caddy2_11.is_installed()? {
        return Ok(Some("Caddy 2.11 is missing, which scripts/setup downloads"));
    }
    go_reason()
}

fn envoy_reason() -> Result<Option<&'static str>> {
    let is_missing = !Envoy::is_installed()?;
    Ok(is_missing.then_some("Envoy is missing, which scripts/setup downloads"))
}

#[expect(clippy::unnecessary_wraps, reason = "the reasons of other tests can fail")]
fn grpcio_reason() -> Result<Option<&'static str>> {
    let mut packages = grpc::PACKAGES.into_iter().flatten();
    let is_missing = packages.any(|package| wheel(package).is_ok_and(|folder| !folder.is_dir()));
    Ok(is_missing.then_some("Python's packages are missing, which scripts/setup downloads"))
}

fn package_reason() -> Result<Option<&'static str>> {
    let is_missing = !bare_debian()?.join("usr/bin/dpkg").is_file();
    Ok(is_missing.then_some("a bare Debian 12 is missing, which scripts/setup makes"))
}

fn podman_reason() -> Result<Option<&'static str>> {
    if search::program("podman").is_err() {
        return Ok(Some("podman is not installed"));
    }
    if !debian_with_systemd()?.join("usr/sbin/nginx").is_file() {
        return Ok(Some("a Debian 12 with nginx is missing, which scripts/setup makes"));
    }
    Ok((!podman::runs_containers()?).then_some("podman cannot run a container on this machine"))
}

fn clickhouse_reason() -> Result<Option<&'static str>> {
    let is_missing = !wheel(clickhouse::PACKAGE)?.is_dir();
    Ok(is_missing.then_some("Python's package chdb_core is missing, which scripts/setup downloads"))
}

fn otlp_reason() -> Result<Option<&'static str>> {
    let is_missing = !Collector::is_installed()?;
    Ok(is_missing.then_some("opentelemetry-proto of PyPI is missing, which scripts/setup downloads"))
}

fn utls_reason() -> Result<Option<&'static str>> {
    if !Library::Utls.is_installed() {
        return Ok(Some("golang-refraction-networking-utls-dev is not installed"));
    }
    go_reason()
}

fn grpc_reason() -> Result<Option<&'static str>> {
    if !Library::Grpc.is_installed() {
        return Ok(Some("golang-google-grpc-dev is not installed"));
    }
    go_reason()
}

fn prometheus_reason() -> Result<Option<&'static str>> {
    if search::program("prometheus").is_err() {
        return Ok(Some("Prometheus is not installed"));
    }
    go_reason()
}

fn old_go_reason() -> Result<Option<&'static str>> {
    let is_missing = !Version::Go1_15.is_installed()?;
    Ok(is_missing.then_some("Go 1.15 is missing, which scripts/setup downloads"))
}

#[expect(clippy::unnecessary_wraps, reason = "the reasons of other tests can fail")]
fn gcc_reason() -> Result<Option<&'static str>> {
    let is_missing = !std::path::Path::new(go_programs::LIBGO).is_file();
    Ok(is_missing.then_some("libgo21 is not installed"))
}
