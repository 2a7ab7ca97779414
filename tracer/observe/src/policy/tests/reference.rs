//! Exchanges by chance, and a reference that reads a policy without the parser of policies and searches every head for every
//! rule.

use std::{collections::BTreeMap, net::Ipv4Addr};

use regex::Regex;
use toml::{Table, Value};

/// A part of each secret.
pub(super) const SECRET: &str = "hunter";

/// What an exchange is to be.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) at_ns: u64,
    pub(super) side: &'static str,
    pub(super) protocol: &'static str,
    pub(super) method: &'static str,
    pub(super) host: Option<&'static str>,
    pub(super) path: &'static str,
    pub(super) status: u16,
    pub(super) client: Ipv4Addr,
    pub(super) request: Vec<(&'static str, String)>,
    pub(super) response: Vec<(&'static str, String)>,
    pub(super) request_malformed: bool,
    pub(super) response_malformed: bool,
}

/// A generator of numbers (PCG without its permutation): the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// Returns exchanges, a thousand a second.
pub(super) fn specs(count: u64) -> impl Iterator<Item = Spec> {
    let mut chance = Chance(7);
    (0..count).map(move |number| spec(&mut chance, number * 1_000_000))
}

fn spec(chance: &mut Chance, at_ns: u64) -> Spec {
    let host = chance.pick(&["a.test", "x.b.test:8443", "c.test", "d.test"]);
    let client = Ipv4Addr::new(10, 0, 0, u8::try_from(chance.below(30)).unwrap());
    Spec {
        at_ns,
        side: chance.pick(&["server", "server", "client"]),
        protocol: chance.pick(&["http/1.1", "http/2"]),
        method: chance.pick(&["GET", "GET", "POST"]),
        host: Some(host).filter(|_| !chance.one_in(50)),
        path: chance.pick(&["/a", "/a/b?x=1", "/private", "/login", "/c"]),
        status: chance.pick(&[200, 200, 200, 204, 301, 404, 500, 503]),
        client,
        request: request(chance, host),
        response: response(chance),
        request_malformed: chance.one_in(100),
        response_malformed: chance.one_in(100),
    }
}

fn request(chance: &mut Chance, host: &str) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    let agents = [
        "curl/7.88.1",
        "Mozilla/5.0 (MSIE 9.0)",
        "sqlmap/1.7",
        "okhttp",
        "python/3.11",
    ];
    let mut add = |is_there: bool, name, value: String| {
        if is_there {
            fields.push((name, value));
        }
    };
    add(!chance.one_in(40), "host", host.to_owned());
    add(!chance.one_in(10), "user-agent", chance.pick(&agents).to_owned());
    add(!chance.one_in(10), "accept", "*/*".to_owned());
    add(!chance.one_in(10), "accept-encoding", "gzip".to_owned());
    add(
        !chance.one_in(3),
        "authorization",
        format!("Bearer {SECRET}{}", chance.below(20)),
    );
    add(
        chance.one_in(3),
        "x-forwarded-for",
        format!("192.0.2.{}", chance.below(60)),
    );
    add(chance.one_in(50), "x-forwarded-for", "unknown".to_owned());
    add(
        !chance.one_in(4),
        "x-request-id",
        format!("{:08x}", chance.below(1 << 30)),
    );
    add(chance.one_in(60), "x-request-id", "not hexadecimal".to_owned());
    add(chance.one_in(80), "proxy", "http://c.test".to_owned());
    add(chance.one_in(80), "x-debug", "1".to_owned());
    add(chance.one_in(90), "content-length", "5".to_owned());
    add(chance.one_in(90), "content-length", "6".to_owned());
    add(chance.one_in(40), "content-type", "text/plain".to_owned());
    add(chance.one_in(40), "content-type", "text/html".to_owned());
    add(chance.one_in(100), "x-lookup", "${jndi:ldap://c.test}".to_owned());
    add(
        chance.one_in(20),
        "cookie",
        format!(
            "session={SECRET}{}",
            "x".repeat(usize::try_from(chance.below(400)).unwrap())
        ),
    );
    for name in ["x-a", "x-b", "x-c", "x-d", "x-e"] {
        add(chance.one_in(3), name, "some value that takes room".to_owned());
    }
    fields
}

fn response(chance: &mut Chance) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    let mut add = |is_there: bool, name, value: String| {
        if is_there {
            fields.push((name, value));
        }
    };
    add(
        !chance.one_in(5),
        "server",
        chance.pick(&["nginx", "nginx/1.22.1"]).to_owned(),
    );
    add(chance.one_in(40), "server", "again".to_owned());
    add(!chance.one_in(4), "strict-transport-security", "max-age=1".to_owned());
    add(!chance.one_in(4), "x-content-type-options", "nosniff".to_owned());
    add(
        !chance.one_in(4),
        "content-security-policy",
        "default-src 'self'".to_owned(),
    );
    add(!chance.one_in(4), "x-frame-options", "DENY".to_owned());
    add(!chance.one_in(4), "content-length", "5".to_owned());
    add(chance.one_in(20), "x-powered-by", "PHP".to_owned());
    add(
        chance.one_in(4),
        "cache-control",
        chance.pick(&["no-store", "public"]).to_owned(),
    );
    add(chance.one_in(10), "set-cookie", format!("session={SECRET}; Path=/"));
    add(chance.one_in(10), "set-cookie", "theme=dark".to_owned());
    add(chance.one_in(30), "x-backend", "10.1.2.3:80".to_owned());
    add(
        chance.one_in(20),
        "x-note",
        "x".repeat(usize::try_from(chance.below(300)).unwrap()),
    );
    add(chance.one_in(3), "x-more", "x".repeat(60));
    fields
}

/// A rule's name, the field in its evidence, and the number there.
pub(super) type Found = (String, Option<String>, Option<u64>);

/// Since when, how many, the values, and whether an alert was given.
type Window = (u64, u64, Vec<String>, bool);

/// Judges by reading each rule again for each exchange.
pub(super) struct Reference {
    rules: Vec<Table>,
    patterns: BTreeMap<String, Regex>,
    /// By rule and key.
    windows: BTreeMap<(String, String), Window>,
}

impl Reference {
    pub(super) fn new(policy: &str) -> Self {
        let table: Table = toml::from_str(policy).unwrap();
        let rules = table["rule"].as_array().unwrap().iter();
        Self {
            rules: rules.map(|rule| rule.as_table().unwrap().clone()).collect(),
            patterns: BTreeMap::new(),
            windows: BTreeMap::new(),
        }
    }

    pub(super) fn judge(&mut self, spec: &Spec) -> Vec<Found> {
        let rules = std::mem::take(&mut self.rules);
        let found = rules.iter().filter_map(|rule| {
            if !self.applies(rule, spec) {
                return None;
            }
            let (field, count) = self.find(rule, spec)?;
            Some((text(&rule["name"]).to_owned(), field, count))
        });
        let found = found.collect();
        self.rules = rules;
        found
    }

    fn is_match(&mut self, pattern: &str, value: &str) -> bool {
        let known = self.patterns.entry(pattern.to_owned());
        known.or_insert_with(|| Regex::new(pattern).unwrap()).is_match(value)
    }

    fn applies(&mut self, rule: &Table, spec: &Spec) -> bool {
        let Some(when) = rule.get("when").and_then(Value::as_table) else {
            return true;
        };
        let host = host_of(spec).map(|host| host.split(':').next().unwrap().to_owned());
        when.iter().all(|(name, wanted)| match &**name {
            "side" => text(wanted) == spec.side,
            "protocol" => text(wanted) == spec.protocol,
            "method" => words(wanted).contains(&spec.method),
            "host" => words(wanted).iter().any(|glob| {
                let pattern = format!("^{}$", regex::escape(glob).replace("\\*", ".*"));
                host.as_ref().is_some_and(|host| self.is_match(&pattern, host))
            }),
            "path" => self.is_match(text(wanted), spec.path),
            "status" => text(wanted).split(',').any(|one| match one.strip_suffix("xx") {
                Some(class) => (spec.status / 100).to_string() == class,
                None => spec.status.to_string() == one,
            }),
            other => panic!("{other}"),
        })
    }

    fn find(&mut self, rule: &Table, spec: &Spec) -> Option<(Option<String>, Option<u64>)> {
        let is_response = rule.get("in").is_some_and(|head| text(head) == "response");
        let (fields, malformed) = if is_response {
            (&spec.response, spec.response_malformed)
        } else {
            (&spec.request, spec.request_malformed)
        };
        let has = |name: &str| fields.iter().filter(|(known, _)| *known == name).count();
        if let Some(names) = rule.get("required") {
            let is_host = |name: &str| !is_response && name == "host" && host_of(spec).is_some();
            let missing = first_known(&names_of(rule, "required"), |name| has(name) == 0 && !is_host(name));
            assert!(names.is_array());
            return missing.filter(|_| !malformed).map(|name| (Some(name), None));
        }
        if rule.contains_key("forbidden") {
            return first_known(&names_of(rule, "forbidden"), |name| has(name) > 0).map(|name| (Some(name), None));
        }
        if rule.contains_key("duplicates") {
            let found = first_known(&names_of(rule, "duplicates"), |name| has(name) > 1)?;
            let count = has(&found) as u64;
            return Some((Some(found), Some(count)));
        }
        let of_field = |wanted: Option<&Value>, name: &str| wanted.is_none_or(|wanted| text(wanted) == name);
        if let Some(pattern) = rule.get("matches") {
            let wanted = rule.get("field");
            let found = fields
                .iter()
                .find(|(name, value)| of_field(wanted, name) && self.is_match(text(pattern), value));
            return found.map(|(name, _)| (Some((*name).to_owned()), None));
        }
        if let Some(pattern) = rule.get("matches_not") {
            let wanted = rule.get("field");
            let found = fields
                .iter()
                .find(|(name, value)| of_field(wanted, name) && !self.is_match(text(pattern), value));
            return found.map(|(name, _)| (Some((*name).to_owned()), None));
        }
        if rule.contains_key("malformed") {
            return malformed.then_some((None, None));
        }
        if let Some(most) = number(rule, "max_field_bytes") {
            let longest = fields.iter().map(|(_, value)| value.len() as u64).max()?;
            let first = fields.iter().find(|(_, value)| value.len() as u64 == longest)?;
            return (longest > most).then(|| (Some(first.0.to_owned()), Some(longest)));
        }
        if let Some(most) = number(rule, "max_head_bytes") {
            let bytes = fields
                .iter()
                .map(|(name, value)| (name.len() + value.len()) as u64)
                .sum();
            return (bytes > most).then_some((None, Some(bytes)));
        }
        if let Some(most) = number(rule, "max_fields") {
            let count = fields.len() as u64;
            return (count > most).then_some((None, Some(count)));
        }
        self.count(rule, spec).map(|count| (None, Some(count)))
    }

    fn count(&mut self, rule: &Table, spec: &Spec) -> Option<u64> {
        let (bound, of) = match rule.get("rate") {
            Some(rate) => (rate, None),
            None => (&rule["distinct"], Some(text(&rule["distinct"]["of"]))),
        };
        let value = match of {
            Some(of) => Some(property(of, spec)?),
            None => None,
        };
        let keys: Option<Vec<_>> = text(&bound["per"])
            .split('+')
            .map(|one| property(one.trim(), spec))
            .collect();
        let within = humantime::parse_duration(text(&bound["within"])).ok()?.as_nanos();
        let most = bound.as_table().and_then(|bound| number(bound, "more_than"))?;
        let name = (text(&rule["name"]).to_owned(), keys?.join("\n"));
        let window = self.windows.entry(name).or_insert((spec.at_ns, 0, Vec::new(), false));
        if u128::from(spec.at_ns - window.0) >= within {
            *window = (spec.at_ns, 0, Vec::new(), false);
        }
        match value {
            None => window.1 += 1,
            Some(value) => {
                if !window.2.contains(&value) {
                    window.2.push(value);
                }
                window.1 = window.2.len() as u64;
            }
        }
        (window.1 > most && !std::mem::replace(&mut window.3, window.1 > most)).then_some(window.1)
    }
}

/// Returns the names of a rule, in their order.
fn names_of(rule: &Table, kind: &str) -> Vec<String> {
    words(&rule[kind]).into_iter().map(str::to_owned).collect()
}

/// Returns the first of the names for which that holds.
fn first_known(names: &[String], holds: impl Fn(&str) -> bool) -> Option<String> {
    names.iter().find(|name| holds(name)).cloned()
}

fn property(name: &str, spec: &Spec) -> Option<String> {
    let of_field = |wanted: &str| {
        let mut fields = spec.request.iter();
        fields.find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
    };
    match name.split_once(':') {
        Some((_, field)) => of_field(field),
        None if name == "client" => Some(spec.client.to_string()),
        None if name == "path" => spec.path.split('?').next().map(str::to_owned),
        None => host_of(spec).map(|host| host.split(':').next().unwrap().to_owned()),
    }
}

/// Returns the host of a request: its target's, else that of its field.
fn host_of(spec: &Spec) -> Option<String> {
    let field = spec.request.iter().find(|(name, _)| *name == "host");
    spec.host
        .map(str::to_owned)
        .or_else(|| field.map(|(_, value)| value.clone()))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(text).collect()
}

fn number(rule: &Table, name: &str) -> Option<u64> {
    u64::try_from(rule.get(name)?.as_integer()?).ok()
}
