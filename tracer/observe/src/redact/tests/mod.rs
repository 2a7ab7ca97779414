//! Tests of redaction as a whole, from [`Observed`](crate::correlate::Observed) to lines.

mod names;
mod rules;
mod users;
mod shape;
mod audit;
mod connection;
mod properties;
mod wire;

use http_decode::{Exchange, Fields, Request, RequestHead, Response, ResponseHead, Unredacted};

use super::{ExchangeLine, Line, Redactor, Rules};
use crate::{
    correlate::ObservedKind,
    event::AddressSource,
    output::sample::{self, OwnedField},
};

fn redactor(rules: Rules) -> Redactor {
    Redactor::new(rules)
}

fn named(names: &[&str]) -> Rules {
    Rules {
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        ..Rules::default()
    }
}

fn patterned(patterns: &[&str]) -> Rules {
    Rules {
        patterns: patterns.iter().map(|pattern| pattern.parse().unwrap()).collect(),
        ..Rules::default()
    }
}

/// An exchange whose request has this path, authority and fields.
fn exchange(path: &str, authority: &str, fields: Vec<OwnedField>) -> Exchange {
    let head = RequestHead {
        method: Some("GET".into()),
        scheme: Some("https".into()),
        path: Some(Unredacted::new(path.as_bytes())),
        target_authority: Some(Unredacted::new(authority.as_bytes())),
        fields: fields.into_iter().collect(),
        ..RequestHead::default()
    };
    let response = ResponseHead {
        status: Some(200),
        ..ResponseHead::default()
    };
    Exchange {
        request: Some(Request {
            head,
            body_bytes: Some(0),
            trailers: Fields::default(),
        }),
        informational: Vec::new(),
        response: Some(Response {
            head: response,
            body_bytes: None,
            trailers: Fields::default(),
        }),
        ..sample::whole()
    }
}

fn redact(rules: Rules, exchange: Exchange) -> ExchangeLine<'static> {
    redact_with(&mut redactor(rules), exchange)
}

fn redact_with(redactor: &mut Redactor, exchange: Exchange) -> ExchangeLine<'static> {
    let observed = sample::observed(ObservedKind::Exchange(Box::new(exchange)), AddressSource::Bio);
    match &*redactor.redact(&observed) {
        Line::Exchange(line) => line.to_static(),
        Line::Hop(_)
        | Line::End(_)
        | Line::Loss(_)
        | Line::Connection(_)
        | Line::Health(_)
        | Line::Hooks(_)
        | Line::Alert(_)
        | Line::Audit(_) => {
            panic!("not an exchange")
        }
    }
}

fn field_with(rules: Rules, name: &str, value: &[u8]) -> String {
    let field = OwnedField {
        value: Some(Unredacted::new(value)),
        ..sample::field(name, "")
    };
    let line = redact(rules, exchange("/", "a.test", vec![field]));
    line.request.unwrap().headers[0].1.as_deref().unwrap().to_owned()
}

fn field(name: &str, value: &str) -> String {
    field_with(Rules::default(), name, value.as_bytes())
}

fn path_with(rules: Rules, path: &str) -> String {
    redact(rules, exchange(path, "a.test", Vec::new()))
        .request
        .unwrap()
        .path
        .unwrap()
        .to_string()
}

fn path(path: &str) -> String {
    path_with(Rules::default(), path)
}

fn authority(authority: &str) -> String {
    redact(Rules::default(), exchange("/", authority, Vec::new()))
        .request
        .unwrap()
        .authority
        .unwrap()
        .to_string()
}
