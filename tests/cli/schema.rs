//! `tlscope schema`: expected lines match it, and changed lines do not.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use support::schema;
use symbolizer::{Family, HookKind, Role};

use crate::refused::tlscope;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns the expected lines of all tapes.
fn expected() -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(repository().join("fixtures/tapes"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            lines.extend(fs::read_to_string(path)?.lines().map(str::to_owned));
        }
    }
    Ok(lines)
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> + Clone {
    value.as_object().into_iter().flatten()
}

#[test]
fn the_schema_is_printed_on_stdout() -> Result<()> {
    let output = tlscope(&["schema"])?;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let printed: Value = serde_json::from_str(&output.stdout)?;
    assert_eq!(printed["$schema"], "https://json-schema.org/draft/2020-12/schema");
    Ok(())
}

#[test]
fn the_schema_allows_no_undescribed_member() -> Result<()> {
    fn closed(rule: &Value) -> bool {
        let is_closed = rule.get("properties").is_none() || rule["additionalProperties"] == json!(false);
        is_closed && object(rule).all(|(_, rule)| closed(rule))
    }
    assert!(closed(schema::whole()?));
    Ok(())
}

#[test]
fn every_expected_line_matches_the_schema() -> Result<()> {
    let lines = expected()?;
    assert!(lines.len() > 40, "{} lines", lines.len());
    schema::check_lines(&lines)
}

#[test]
fn a_line_with_a_changed_member_does_not_match_the_schema() -> Result<()> {
    let is_exchange = |line: &String| line.starts_with(r#"{"v":1,"type":"exchange""#);
    let line = expected()?.into_iter().find(is_exchange);
    let line: Value = serde_json::from_str(&line.context("no exchange is expected")?)?;
    let changes: [(&str, &str, Value); 9] = [
        ("", "new", json!(1)),
        ("", "tls", json!("none of ours")),
        ("", "stream", json!("1")),
        ("", "stream", json!(-1)),
        ("", "type", json!("other")),
        ("/request", "new", json!(1)),
        ("/connection", "id", json!(null)),
        ("/response", "headers", json!([["name"]])),
        ("/response", "headers", json!([["name", "value", "more"]])),
    ];
    schema::parse(&line.to_string())?;
    for (pointer, name, value) in changes {
        let mut line = line.clone();
        let part = line.pointer_mut(pointer).context("the line lacks that member")?;
        part[name] = value.clone();
        let error = schema::parse(&line.to_string()).expect_err(&format!("{pointer}/{name}: {value}"));
        let is_named = error.to_string().contains(&format!("{pointer}/{name}"));
        assert!(is_named || name == "type", "{error}");
    }
    let mut line = line;
    line.as_object_mut().context("the line is not an object")?.remove("pid");
    assert!(schema::parse(&line.to_string()).is_err());
    Ok(())
}

#[test]
fn the_output_page_names_every_member_and_value() -> Result<()> {
    let page = fs::read_to_string(repository().join("tracer/docs/output.md"))?;
    let definitions = &schema::whole()?["$defs"];
    for (definition, rule) in object(definitions) {
        let members = object(&rule["properties"]);
        let lists = members.clone().map(|(_, rule)| rule).chain([rule]);
        let values = lists.filter_map(|rule| rule["enum"].as_array()).flatten();
        let names = members.map(|(name, _)| name.as_str());
        for name in names.chain(values.filter_map(Value::as_str)) {
            assert!(
                page.contains(&format!("`{name}`")),
                "`{name}` of {definition} is missing"
            );
        }
    }
    Ok(())
}

#[test]
fn the_schema_lists_the_names_of_libraries_kinds_and_roles() -> Result<()> {
    let libraries = Family::ALL.map(Family::name);
    let roles = Role::ALL.iter().map(|role| role.name());
    let expected: [(&str, BTreeSet<_>); 3] = [
        ("library", libraries.into_iter().chain(["none", "unknown"]).collect()),
        ("function/properties/kind", HookKind::ALL.map(HookKind::name).into()),
        ("function/properties/role", roles.collect()),
    ];
    for (definition, names) in expected {
        let listed = schema::whole()?.pointer(&format!("/$defs/{definition}/enum"));
        let listed = listed.and_then(Value::as_array).context(definition)?;
        let listed: BTreeSet<_> = listed.iter().filter_map(Value::as_str).collect();
        assert_eq!(listed, names, "{definition}");
    }
    Ok(())
}
