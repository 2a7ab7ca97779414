//! Validates lines of output against the schema that `tlscope schema` prints.
//!
//! The validator supports the keywords that this schema uses, and rejects any other keyword instead of ignoring it.

use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Map, Value};

use crate::{binary, run};

/// The beginning of every JSON line.
const BEGINNING: &str = r#"{"v":"#;

/// Validates JSON lines and ignores other ones, such as text and archives.
pub fn check_lines(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Result<()> {
    let mut lines = lines.into_iter();
    lines.try_for_each(|line| match line.as_ref() {
        line if line.starts_with(BEGINNING) => parse(line).map(drop),
        _ => Ok(()),
    })
}

/// Parses and validates a line.
pub fn parse(line: &str) -> Result<Value> {
    let value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
    match Schema(whole()?).check(whole()?, &value) {
        Ok(()) => Ok(value),
        Err(mismatch) => bail!("does not match the schema: {mismatch}, in: {line}"),
    }
}

/// Returns the schema that the binary prints.
pub fn whole() -> Result<&'static Value> {
    static WHOLE: OnceLock<Result<Value, String>> = OnceLock::new();
    let whole = WHOLE.get_or_init(|| print().map_err(|error| format!("{error:#}")));
    whole.as_ref().map_err(|error| anyhow!("no schema: {error}"))
}

fn print() -> Result<Value> {
    Ok(serde_json::from_str(
        &run::succeed(&mut binary::command(&["schema"])?)?.stdout,
    )?)
}

/// A schema with its definitions. A mismatch is a JSON pointer into the value and a reason.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'a>(pub &'a Value);

impl<'a> Schema<'a> {
    /// Validates a value against a rule of this schema.
    pub fn check(self, rule: &Value, value: &Value) -> Result<(), String> {
        let Value::Object(keywords) = rule else {
            return ensure(rule == &Value::Bool(true), || ": is not in the schema".to_owned());
        };
        for (keyword, rule) in keywords {
            self.check_keyword(keyword, rule, keywords, value)?;
        }
        Ok(())
    }

    fn check_keyword(
        self,
        keyword: &str,
        rule: &Value,
        beside: &Map<String, Value>,
        value: &Value,
    ) -> Result<(), String> {
        let not = || format!(": {value} does not match {keyword} {rule}");
        match keyword {
            "$schema" | "$id" | "$defs" | "title" | "description" | "format" => Ok(()),
            "$ref" => self.check(self.definition(rule)?, value),
            "const" => ensure(rule == value, not),
            "enum" => ensure(items(rule).contains(value), not),
            "type" => ensure(is_of_type(rule, value), not),
            "minimum" => ensure(value.as_f64() >= rule.as_f64(), not),
            "minItems" => ensure(items(value).len() as u64 >= rule.as_u64().unwrap_or(u64::MAX), not),
            "required" => ensure(
                items(rule)
                    .iter()
                    .all(|name| name.as_str().is_some_and(|name| value.get(name).is_some())),
                not,
            ),
            "properties" => self.check_members(rule, value),
            "additionalProperties" => undescribed(beside.get("properties"), value)
                .try_for_each(|(name, value)| self.check(rule, value).map_err(|error| format!("/{name}{error}"))),
            "prefixItems" => self.check_items(items(rule).iter().zip(items(value)), 0),
            "items" => {
                let prefix = beside.get("prefixItems").map_or(0, |prefix| items(prefix).len());
                let rest = items(value).iter().skip(prefix);
                self.check_items(rest.map(|value| (rule, value)), prefix)
            }
            "oneOf" => self.check_one_of(items(rule), value),
            unknown => Err(format!(": the validator does not support the keyword {unknown}")),
        }
    }

    fn check_members(self, rules: &Value, value: &Value) -> Result<(), String> {
        for (name, value) in members(value) {
            if let Some(rule) = rules.get(name) {
                self.check(rule, value).map_err(|error| format!("/{name}{error}"))?;
            }
        }
        Ok(())
    }

    fn check_items<'v>(
        self,
        mut pairs: impl Iterator<Item = (&'v Value, &'v Value)>,
        first: usize,
    ) -> Result<(), String> {
        let mut place = first;
        pairs.try_for_each(|(rule, value)| {
            place += 1;
            self.check(rule, value)
                .map_err(|error| format!("/{}{error}", place - 1))
        })
    }

    /// Tries only branches whose constants match the value, so that a mismatch is about the intended branch.
    fn check_one_of(self, branches: &[Value], value: &Value) -> Result<(), String> {
        let mut mismatches = Vec::new();
        let mut matches = 0;
        for branch in branches {
            let branch = match branch.get("$ref") {
                Some(name) => self.definition(name)?,
                None => branch,
            };
            if has_constants(branch, value) {
                match self.check(branch, value) {
                    Ok(()) => matches += 1,
                    Err(mismatch) => mismatches.push(mismatch),
                }
            }
        }
        match (matches, mismatches.pop()) {
            (1, _) => Ok(()),
            (0, Some(mismatch)) => Err(mismatch),
            (matches, _) => Err(format!(": matches {matches} branches")),
        }
    }

    fn definition(self, name: &Value) -> Result<&'a Value, String> {
        let name = name.as_str().and_then(|name| name.strip_prefix("#/$defs/"));
        let found = name.and_then(|name| self.0.get("$defs")?.get(name));
        found.ok_or_else(|| format!(": there is no definition {name:?}"))
    }
}

fn ensure(holds: bool, mismatch: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(mismatch()) }
}

fn has_constants(branch: &Value, value: &Value) -> bool {
    let rules = branch.get("properties").into_iter().flat_map(members);
    rules
        .filter_map(|(name, rule)| Some((name, rule.get("const")?)))
        .all(|(name, constant)| value.get(name).is_none_or(|value| value == constant))
}

fn undescribed<'v>(described: Option<&'v Value>, value: &'v Value) -> impl Iterator<Item = (&'v String, &'v Value)> {
    members(value).filter(move |(name, _)| described.is_none_or(|described| described.get(name).is_none()))
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// `rule` is the name of a type, or an array of names.
fn is_of_type(rule: &Value, value: &Value) -> bool {
    let is = |rule: &Value| match rule.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => false,
    };
    is(rule) || items(rule).iter().any(is)
}
