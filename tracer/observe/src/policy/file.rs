//! The file of a policy: TOML, of which every mistake has a place.

use std::{ops::Range, sync::Arc, time::Duration};

use regex::{Regex as TextRegex, bytes::Regex};
use serde::Deserialize;
use toml::Spanned;

use super::{
    check::{Bound, Check, NameList},
    condition::Condition,
    key::Property,
    mistake::Mistake,
    plan::Plans,
    rule::Rule,
    rules::Rules,
};
use crate::{
    filter::Statuses,
    limits::MAX_POLICY_RULES,
    redact::{FieldIndex, Glob, Head, MAX_NAMES},
};

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
    host_differs_from_sni: Option<Spanned<bool>>,
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
        fields: <[FieldIndex; 2]>::default(),
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
    for index in &mut parser.fields {
        index.finish().map_err(|error| {
            let reason = format!("patterns about the same fields are too large together: {error}");
            Mistake::new(policy, &(0..0), reason)
        })?;
    }
    let Parser {
        fields, credentials, ..
    } = parser;
    let [request, _] = &fields;
    Ok(Rules {
        plans: Plans::new(&rules),
        all: rules,
        host: request.bit_of("host"),
        fields: fields.map(Arc::new),
        credentials,
    })
}

struct Parser<'a> {
    policy: &'a str,
    /// What rules ask of the fields of requests, and of responses.
    fields: [FieldIndex; 2],
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
            let pattern = self.pattern(pattern)?;
            let bit = head.of_mut(&mut self.fields).add_matches(field, &pattern);
            checks.push(Check::Matches(field, pattern, bit));
        }
        if let Some(pattern) = &table.matches_not {
            let field = field.ok_or_else(|| self.wrong(&pattern.span(), "`matches_not` needs a `field`"))?;
            let pattern = self.pattern(pattern)?;
            let bit = head.of_mut(&mut self.fields).add_matches_not(field, &pattern);
            checks.push(Check::MatchesNot(field, pattern, bit));
        }
        if let (Some(name), None, None) = (&table.field, &table.matches, &table.matches_not) {
            return Err(self.wrong(&name.span(), "`field` needs `matches` or `matches_not`"));
        }
        if let Some(malformed) = table.malformed {
            self.wanted_true(&malformed)?;
            checks.push(Check::Malformed);
        }
        if let Some(differs) = table.host_differs_from_sni {
            self.wanted_true(&differs)?;
            if head == Head::Response {
                return Err(self.wrong(&differs.span(), "the host is that of the request"));
            }
            checks.push(Check::OtherServerName);
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

    fn wanted_true(&self, word: &Spanned<bool>) -> Result<(), Mistake> {
        if *word.get_ref() {
            return Ok(());
        }
        Err(self.wrong(&word.span(), "wanted true: a rule says what is wrong"))
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
                let number = Head::Request.of_mut(&mut self.fields).add_located(name);
                Ok(Property::Field(number.ok_or_else(|| self.too_many_names(place))?))
            }
            Some(("credential", name)) if is_name(name) => {
                let name = name.to_ascii_lowercase();
                // Whether a request has one is known from the names that it has.
                let number = Head::Request.of_mut(&mut self.fields).add(&name);
                number.ok_or_else(|| self.too_many_names(place))?;
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
        let number = head.of_mut(&mut self.fields).add(text);
        number.ok_or_else(|| self.too_many_names(&name.span()))
    }

    fn too_many_names(&self, place: &Range<usize>) -> Mistake {
        self.wrong(place, format!("rules name more than {MAX_NAMES} fields"))
    }

    /// Parses a pattern for texts. It is searched for in their bytes, which are not asked again to be a text.
    fn pattern(&self, pattern: &Spanned<String>) -> Result<Regex, Mistake> {
        let text = pattern.get_ref();
        let parsed = TextRegex::new(text).and_then(|_| Regex::new(text));
        parsed.map_err(|error| self.wrong(&pattern.span(), error.to_string()))
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
                Side::Server => http_decode::Side::Server.name(),
                Side::Client => http_decode::Side::Client.name(),
            }),
            protocol: protocol.map(|protocol| match protocol {
                Protocol::Http10 => http_decode::Protocol::Http10.name(),
                Protocol::Http11 => http_decode::Protocol::Http11.name(),
                Protocol::Http2 => http_decode::Protocol::Http2.name(),
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

const CHECKS: &str = "`required`, `forbidden`, `duplicates`, `matches`, `matches_not`, `malformed`, \
                      `host_differs_from_sni`, `max_field_bytes`, `max_head_bytes`, `max_fields`, `rate`, `distinct`";

const PROPERTIES: &str = "`client`, `host`, `path`, `field:NAME`, `credential:NAME`";
