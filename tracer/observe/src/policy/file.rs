//! The file of a policy: TOML, of which every mistake has a place.

use std::{ops::Range, time::Duration};

use regex::Regex;
use serde::Deserialize;
use toml::Spanned;

use super::{
    check::{Bound, Check, Head, NameList},
    condition::Condition,
    key::Property,
    mistake::Mistake,
    names::{MAX_NAMES, NameTable},
    rule::{Rule, Rules},
};
use crate::{filter::Statuses, limits::MAX_POLICY_RULES, redact::Glob};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<Spanned<RuleTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    name: Spanned<String>,
    message: Option<String>,
    #[serde(default)]
    severity: Severity,
    #[serde(default)]
    when: When,
    #[serde(rename = "in")]
    head: Option<Spanned<HeadWord>>,
    required: Option<Vec<Spanned<String>>>,
    forbidden: Option<Vec<Spanned<String>>>,
    duplicates: Option<Vec<Spanned<String>>>,
    field: Option<Spanned<String>>,
    matches: Option<Spanned<String>>,
    matches_not: Option<Spanned<String>>,
    malformed: Option<Spanned<bool>>,
    max_field_bytes: Option<u64>,
    max_head_bytes: Option<u64>,
    max_fields: Option<u64>,
    rate: Option<RateTable>,
    distinct: Option<DistinctTable>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Severity {
    Info,
    #[default]
    Warning,
    Critical,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HeadWord {
    Request,
    Response,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Side {
    Server,
    Client,
}

#[derive(Clone, Copy, Deserialize)]
enum Protocol {
    #[serde(rename = "http/1.0")]
    Http10,
    #[serde(rename = "http/1.1")]
    Http11,
    #[serde(rename = "http/2")]
    Http2,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    side: Option<Side>,
    protocol: Option<Protocol>,
    method: Option<Vec<String>>,
    host: Option<Vec<String>>,
    path: Option<Spanned<String>>,
    status: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateTable {
    per: Spanned<String>,
    more_than: u64,
    within: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DistinctTable {
    per: Spanned<String>,
    of: Spanned<String>,
    more_than: Spanned<u64>,
    within: Spanned<String>,
}

impl Rules {
    /// Parses a policy in TOML.
    ///
    /// # Errors
    ///
    /// The first mistake in it, with its place.
    pub fn parse(policy: &str) -> Result<Self, Mistake> {
        parse(policy)
    }
}

/// Parses a policy.
fn parse(policy: &str) -> Result<Rules, Mistake> {
    let file: File = toml::from_str(policy).map_err(|error| {
        let place = error.span().unwrap_or(0..0);
        Mistake::new(policy, &place, error.message())
    })?;
    let mut parser = Parser {
        policy,
        request: NameTable::default(),
        response: NameTable::default(),
        credentials: Vec::new(),
    };
    let mut rules: Vec<Rule> = Vec::new();
    for table in file.rule {
        let place = table.span();
        if rules.len() >= MAX_POLICY_RULES {
            return Err(parser.wrong(&place, format!("more than {MAX_POLICY_RULES} rules")));
        }
        let rule = parser.rule(&place, table.into_inner(), &rules)?;
        rules.push(rule);
    }
    let all_fields = [
        parser.together(&rules, Head::Request)?,
        parser.together(&rules, Head::Response)?,
    ];
    let Parser {
        request,
        response,
        credentials,
        ..
    } = parser;
    Ok(Rules {
        all: rules,
        host: request.bit_of("host"),
        names: [request, response],
        credentials,
        all_fields,
    })
}

struct Parser<'a> {
    policy: &'a str,
    request: NameTable,
    response: NameTable,
    credentials: Vec<String>,
}

impl Parser<'_> {
    fn wrong(&self, place: &Range<usize>, reason: impl Into<String>) -> Mistake {
        Mistake::new(self.policy, place, reason)
    }

    fn rule(&mut self, place: &Range<usize>, table: RuleTable, before: &[Rule]) -> Result<Rule, Mistake> {
        let name = table.name.get_ref().clone();
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(self.wrong(&table.name.span(), "wanted a name"));
        }
        if before.iter().any(|rule| rule.name == name) {
            return Err(self.wrong(&table.name.span(), "there is a rule of this name already"));
        }
        let head = table.head.as_ref().map_or(Head::Request, |head| match head.get_ref() {
            HeadWord::Request => Head::Request,
            HeadWord::Response => Head::Response,
        });
        let condition = self.condition(&table.when)?;
        let severity = match table.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        let (message, in_head) = (table.message.clone(), table.head.as_ref().map(Spanned::span));
        let check = self.check(place, head, table)?;
        if let Some(place) = in_head.filter(|_| check.counts()) {
            return Err(self.wrong(&place, "a rule that counts exchanges is not about one head"));
        }
        Ok(Rule {
            name,
            message,
            severity,
            condition,
            head,
            check,
        })
    }

    /// Returns the one check of a rule.
    fn check(&mut self, place: &Range<usize>, head: Head, table: RuleTable) -> Result<Check, Mistake> {
        let mut checks = Vec::new();
        if let Some(names) = table.required {
            checks.push(Check::Required(self.names(head, &names)?));
        }
        if let Some(names) = table.forbidden {
            checks.push(Check::Forbidden(self.names(head, &names)?));
        }
        if let Some(names) = table.duplicates {
            checks.push(Check::Duplicates(self.names(head, &names)?));
        }
        let field = table.field.as_ref().map(|name| self.name(head, name)).transpose()?;
        if let Some(pattern) = &table.matches {
            checks.push(Check::Matches(field, self.pattern(pattern)?));
        }
        if let Some(pattern) = &table.matches_not {
            let field = field.ok_or_else(|| self.wrong(&pattern.span(), "`matches_not` needs a `field`"))?;
            checks.push(Check::MatchesNot(field, self.pattern(pattern)?));
        }
        if let (Some(name), None, None) = (&table.field, &table.matches, &table.matches_not) {
            return Err(self.wrong(&name.span(), "`field` needs `matches` or `matches_not`"));
        }
        if let Some(malformed) = table.malformed {
            if !malformed.get_ref() {
                return Err(self.wrong(&malformed.span(), "wanted true: a rule says what is wrong"));
            }
            checks.push(Check::Malformed);
        }
        checks.extend(table.max_field_bytes.map(Check::MaxFieldBytes));
        checks.extend(table.max_head_bytes.map(Check::MaxHeadBytes));
        checks.extend(table.max_fields.map(Check::MaxFields));
        if let Some(rate) = table.rate {
            checks.push(Check::Rate(self.bound(&rate.per, rate.more_than, &rate.within)?));
        }
        if let Some(distinct) = table.distinct {
            checks.push(self.distinct(&distinct)?);
        }
        match (checks.pop(), checks.is_empty()) {
            (Some(check), true) => Ok(check),
            (Some(_), false) => Err(self.wrong(place, "a rule has one check, and this one has several")),
            (None, _) => Err(self.wrong(place, format!("a rule has one of {CHECKS}"))),
        }
    }

    fn distinct(&mut self, distinct: &DistinctTable) -> Result<Check, Mistake> {
        let most = *distinct.more_than.get_ref();
        if most > MAX_DISTINCT {
            return Err(self.wrong(
                &distinct.more_than.span(),
                format!("wanted at most {MAX_DISTINCT} different values"),
            ));
        }
        let of = self.properties(&distinct.of)?;
        Ok(Check::Distinct(self.bound(&distinct.per, most, &distinct.within)?, of))
    }

    fn bound(&mut self, per: &Spanned<String>, most: u64, within: &Spanned<String>) -> Result<Bound, Mistake> {
        let duration = humantime::parse_duration(within.get_ref())
            .map_err(|error| self.wrong(&within.span(), error.to_string()))?;
        if duration == Duration::ZERO {
            return Err(self.wrong(&within.span(), "wanted more than no time"));
        }
        Ok(Bound {
            per: self.properties(per)?,
            most,
            within_ns: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
        })
    }

    /// Parses properties, separated by `+`.
    fn properties(&mut self, text: &Spanned<String>) -> Result<Vec<Property>, Mistake> {
        let parts = text.get_ref().split('+').map(str::trim);
        parts.map(|part| self.property(part, &text.span())).collect()
    }

    fn property(&mut self, text: &str, place: &Range<usize>) -> Result<Property, Mistake> {
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(is_token);
        match text.split_once(':') {
            None if text == "client" => Ok(Property::Client),
            None if text == "host" => Ok(Property::Host),
            None if text == "path" => Ok(Property::Path),
            Some(("field", name)) if is_name(name) => {
                let number = self.request.add(name);
                Ok(Property::Field(number.ok_or_else(|| self.too_many_names(place))?))
            }
            Some(("credential", name)) if is_name(name) => {
                let name = name.to_ascii_lowercase();
                let known = self.credentials.iter().position(|known| *known == name);
                if known.is_none() {
                    self.credentials.push(name);
                }
                Ok(Property::Credential(known.unwrap_or(self.credentials.len() - 1)))
            }
            _ => Err(self.wrong(place, format!("`{text}` is none of {PROPERTIES}"))),
        }
    }

    fn names(&mut self, head: Head, names: &[Spanned<String>]) -> Result<NameList, Mistake> {
        let mut list = NameList::default();
        for name in names {
            let number = self.name(head, name)?;
            list.all |= 1 << number;
            list.order.push(number);
        }
        Ok(list)
    }

    fn name(&mut self, head: Head, name: &Spanned<String>) -> Result<usize, Mistake> {
        let text = name.get_ref();
        if text.is_empty() || !text.bytes().all(is_token) {
            return Err(self.wrong(&name.span(), "no header field has such a name"));
        }
        let table = match head {
            Head::Request => &mut self.request,
            Head::Response => &mut self.response,
        };
        let number = table.add(text);
        number.ok_or_else(|| self.too_many_names(&name.span()))
    }

    fn too_many_names(&self, place: &Range<usize>) -> Mistake {
        self.wrong(place, format!("rules name more than {MAX_NAMES} fields"))
    }

    fn pattern(&self, pattern: &Spanned<String>) -> Result<Regex, Mistake> {
        Regex::new(pattern.get_ref()).map_err(|error| self.wrong(&pattern.span(), error.to_string()))
    }

    /// Returns the patterns of rules about all fields of a head in one.
    fn together(&self, rules: &[Rule], head: Head) -> Result<Option<Regex>, Mistake> {
        let patterns = rules.iter().filter_map(|rule| match &rule.check {
            Check::Matches(None, pattern) if rule.head == head => Some(format!("(?:{pattern})")),
            Check::Matches(..)
            | Check::MatchesNot(..)
            | Check::Required(_)
            | Check::Forbidden(_)
            | Check::Duplicates(_)
            | Check::Malformed
            | Check::MaxFieldBytes(_)
            | Check::MaxHeadBytes(_)
            | Check::MaxFields(_)
            | Check::Rate(_)
            | Check::Distinct(..) => None,
        });
        let patterns: Vec<_> = patterns.collect();
        if patterns.is_empty() {
            return Ok(None);
        }
        let together = Regex::new(&patterns.join("|"));
        together.map(Some).map_err(|error| {
            let reason = format!("the patterns about all fields are too large together: {error}");
            self.wrong(&(0..0), reason)
        })
    }

    fn condition(&self, when: &When) -> Result<Condition, Mistake> {
        let When {
            side,
            protocol,
            method,
            host,
            path,
            status,
        } = when;
        let parse_status = |text: &Spanned<String>| {
            let parsed = text.get_ref().parse::<Statuses>();
            parsed.map_err(|error| self.wrong(&text.span(), error.to_string()))
        };
        Ok(Condition {
            side: side.map(|side| match side {
                Side::Server => "server",
                Side::Client => "client",
            }),
            protocol: protocol.map(|protocol| match protocol {
                Protocol::Http10 => "http/1.0",
                Protocol::Http11 => "http/1.1",
                Protocol::Http2 => "http/2",
            }),
            methods: method.clone().unwrap_or_default(),
            hosts: host.iter().flatten().map(|glob| Glob::new(glob)).collect(),
            path: path.as_ref().map(|path| self.pattern(path)).transpose()?,
            status: status.as_ref().map(parse_status).transpose()?,
        })
    }
}

/// Returns whether a byte is part of a token (RFC 9110 section 5.6.2).
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// Maximum different values that are remembered of a key.
const MAX_DISTINCT: u64 = 1000;

const CHECKS: &str = "`required`, `forbidden`, `duplicates`, `matches`, `matches_not`, `malformed`, `max_field_bytes`, \
                      `max_head_bytes`, `max_fields`, `rate`, `distinct`";

const PROPERTIES: &str = "`client`, `host`, `path`, `field:NAME`, `credential:NAME`";
