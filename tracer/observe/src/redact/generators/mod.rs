//! Generators of exchanges, with a secret in every place that a rule masks, or with arbitrary bytes.
//!
//! A planted secret is a word that nothing else contains, with odd characters around it, and percent-encoded at random.

mod tables;

use http_decode::{End, Ended, Exchange, Fields, Request, RequestHead, Response, ResponseHead, Timestamp, Unredacted};
use proptest::{
    collection::vec,
    option,
    prelude::{BoxedStrategy, Just, Strategy, any},
    prop_oneof,
    sample::select,
};

use self::tables::{
    AFTER_COOKIES, ATTRIBUTES, AUTHORIZATIONS, CHALLENGES, COOKIES, FIELD_AFTER, FIELD_BEFORE, FORMS, MEMBERS,
    NAME_FORMS, NAMES, NO_BLANK, NO_QUOTE, NO_SEMICOLON, NO_SLASH, ODD, OPEN_FIELDS, PARAMETERS, PATH_BEFORE, PIECES,
    PLAIN, SCHEMES, SECRET_FIELDS, URL_STARTS,
};
use crate::output::sample::{self, OwnedField};

/// A value, and the word in it that must not be printed.
#[derive(Clone, Debug)]
pub(crate) struct Planted<T> {
    pub(crate) sent: T,
    pub(crate) word: String,
}

/// An exchange, the end of another one, and the words in them that must not be printed.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) exchange: Exchange,
    pub(crate) end: End,
    pub(crate) words: Vec<String>,
}

/// Generates exchanges with planted secrets.
pub(crate) fn sent() -> impl Strategy<Value = Sent> {
    let plan = (
        planted_path(),
        planted_authority(),
        vec(vec(planted_field(), 0..4), 6),
        vec(secret(ODD), 3),
    );
    plan.prop_map(|(path, authority, fields, shown)| planted(path, authority, fields, &shown))
}

/// Generates an exchange with planted secrets, each part from one seed. Any number of any seeds gives an exchange.
#[cfg(feature = "fuzz")]
pub(crate) fn sent_by_seeds(seeds: &mut dyn Iterator<Item = u32>) -> Sent {
    /// Maximum number of fields: more take longer and test nothing new.
    const MOST_FIELDS: usize = 24;
    type Text = BoxedStrategy<Planted<String>>;
    thread_local! {
        static TEXTS: [Text; 3] = [planted_path().boxed(), planted_authority().boxed(), secret(ODD).boxed()];
        static FIELD: BoxedStrategy<Planted<OwnedField>> = planted_field();
    }
    let mut seeds = seeds.fuse();
    let [path, authority, shown] = TEXTS.with(Clone::clone);
    let (path, authority) = (made_by(&path, seeds.next()), made_by(&authority, seeds.next()));
    let shown = [(); 3].map(|()| made_by(&shown, seeds.next()));
    let mut fields = vec![Vec::new(); 6];
    for (number, seed) in seeds.take(MOST_FIELDS).enumerate() {
        let list = number % fields.len();
        if let Some(list) = fields.get_mut(list) {
            list.push(FIELD.with(|field| made_by(field, Some(seed))));
        }
    }
    planted(path, authority, fields, &shown)
}

#[cfg(feature = "fuzz")]
#[expect(clippy::unwrap_used, reason = "none of these strategies refuses")]
fn made_by<T: std::fmt::Debug>(strategy: &impl Strategy<Value = T>, seed: Option<u32>) -> T {
    use proptest::{
        strategy::ValueTree as _,
        test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
    };
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(seed.unwrap_or_default().to_le_bytes()) {
        *to = from;
    }
    let chance = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), chance);
    strategy.new_tree(&mut runner).unwrap().current()
}

fn planted(
    path: Planted<String>,
    authority: Planted<String>,
    fields: Vec<Vec<Planted<OwnedField>>>,
    shown: &[Planted<String>],
) -> Sent {
    let mut words = vec![path.word, authority.word];
    words.extend(shown.iter().map(|planted| planted.word.clone()));
    let mut shown = shown.iter().map(|planted| planted.sent.clone());
    let mut lists = fields.into_iter().map(|list| {
        words.extend(list.iter().map(|planted| planted.word.clone()));
        list.into_iter().map(|planted| planted.sent).collect::<Fields>()
    });
    let mut next = || lists.next().unwrap_or_default();
    let head = RequestHead {
        method: shown.next().map(Into::into),
        scheme: shown.next().map(Into::into),
        protocol_upgrade: shown.next().map(Into::into),
        path: Some(path.sent.into_bytes().into()),
        target_authority: Some(authority.sent.into_bytes().into()),
        fields: next(),
        ..RequestHead::default()
    };
    let request = Request {
        head,
        body_bytes: None,
        trailers: next(),
    };
    let informational = vec![ResponseHead {
        fields: next(),
        ..ResponseHead::default()
    }];
    let head = ResponseHead {
        fields: next(),
        ..ResponseHead::default()
    };
    let response = Response {
        head,
        body_bytes: None,
        trailers: next(),
    };
    let exchange = Exchange {
        request: Some(request),
        informational,
        response: Some(response),
        ..sample::whole()
    };
    let (began, ended_at) = (Timestamp(0), Timestamp(1));
    let end = End {
        ordinal: 1,
        began,
        ended_at,
        ended: Ended::Complete,
        body_bytes: None,
        trailers: next(),
        events: None,
    };
    drop(lists);
    Sent { exchange, end, words }
}

/// Generates exchanges of arbitrary bytes.
pub(crate) fn arbitrary_exchange() -> impl Strategy<Value = Exchange> {
    let token = || option::of(any::<String>());
    let value = || option::of(arbitrary_value());
    (
        token(),
        token(),
        token(),
        value(),
        value(),
        vec(vec(arbitrary_field(), 0..4), 5),
        option::of(any::<u16>()),
    )
        .prop_map(|(method, scheme, protocol_upgrade, path, authority, fields, status)| {
            let mut lists = fields.into_iter().map(|list| list.into_iter().collect::<Fields>());
            let mut next = || lists.next().unwrap_or_default();
            let head = RequestHead {
                method: method.map(Into::into),
                scheme: scheme.map(Into::into),
                target_authority: authority,
                path,
                protocol_upgrade: protocol_upgrade.map(Into::into),
                fields: next(),
                unknown: 1,
                ..RequestHead::default()
            };
            let informational = vec![ResponseHead {
                status,
                fields: next(),
                ..ResponseHead::default()
            }];
            let response = ResponseHead {
                status,
                fields: next(),
                ..ResponseHead::default()
            };
            Exchange {
                request: Some(Request {
                    head,
                    body_bytes: None,
                    trailers: next(),
                }),
                informational,
                response: Some(Response {
                    head: response,
                    body_bytes: None,
                    trailers: next(),
                }),
                ..sample::whole()
            }
        })
}

/// Generates values of bytes that rules search for, and of any others.
pub(crate) fn arbitrary_value() -> impl Strategy<Value = Unredacted> {
    prop_oneof![
        vec(any::<u8>(), 0..40),
        // What some rule searches for, in any order.
        vec(select(PIECES), 0..12).prop_map(|pieces| pieces.concat().into_bytes()),
    ]
    .prop_map(Unredacted::from)
}

fn arbitrary_field() -> impl Strategy<Value = OwnedField> {
    let name = prop_oneof![select(NAMES).prop_map(str::to_owned), any::<String>()].prop_map(Into::into);
    let never_indexed = proptest::bool::weighted(0.1);
    (
        option::weighted(0.9, name),
        option::weighted(0.9, arbitrary_value()),
        never_indexed,
    )
        .prop_map(|(name, value, never_indexed)| OwnedField {
            name,
            value,
            never_indexed,
        })
}

fn planted_field() -> BoxedStrategy<Planted<OwnedField>> {
    let whole = (select(SECRET_FIELDS), secret(ODD)).prop_map(|(name, secret)| (Some(name), "", secret, "", false));
    let credentials = (select(AUTHORIZATIONS), select(SCHEMES), secret(ODD))
        .prop_map(|(name, scheme, secret)| (Some(name), scheme, secret, "", false));
    let cookie = (
        select(&["cookie", "set-cookie"][..]),
        select(COOKIES),
        secret(NO_SEMICOLON),
        select(AFTER_COOKIES),
    )
        .prop_map(|(name, before, secret, after)| (Some(name), before, secret, after, false));
    let nameless_cookie = (select(&["cookie", "set-cookie"][..]), secret(PLAIN))
        .prop_map(|(name, secret)| (Some(name), "", secret, "", false));
    let attribute = (select(ATTRIBUTES), secret(NO_SEMICOLON))
        .prop_map(|(before, secret)| (Some("set-cookie"), before, secret, "", false));
    let challenge = (select(CHALLENGES), secret(PLAIN))
        .prop_map(|(before, secret)| (Some("www-authenticate"), before, secret, "\", realm=\"a\"", false));
    let never_indexed =
        (select(OPEN_FIELDS), secret(ODD)).prop_map(|(name, secret)| (Some(name), "", secret, "", true));
    let nameless = (Just(None::<&str>), secret(ODD)).prop_map(|(name, secret)| (name, "", secret, "", false));
    let userinfo = (
        select(OPEN_FIELDS),
        select(URL_STARTS),
        secret(NO_SLASH),
        select(&["@a.test", "%40a.test/x"][..]),
    )
        .prop_map(|(name, before, secret, after)| (Some(name), before, secret, after, false));
    let simple = prop_oneof![
        whole,
        credentials,
        cookie,
        nameless_cookie,
        attribute,
        challenge,
        never_indexed,
        nameless,
        userinfo
    ];
    let simple = simple.prop_map(|(name, before, secret, after, never_indexed)| {
        let value = Unredacted::new(format!("{before}{}{after}", secret.sent).as_bytes());
        let sent = OwnedField {
            name: name.map(Into::into),
            value: Some(value),
            never_indexed,
        };
        Planted {
            sent,
            word: secret.word,
        }
    });
    let parameter = (
        select(OPEN_FIELDS),
        select(FIELD_BEFORE),
        parameter(NO_BLANK),
        select(FIELD_AFTER),
    )
        .prop_map(|(name, before, parameter, after)| Planted {
            sent: sample::field(name, &format!("{before}{}{after}", parameter.sent)),
            word: parameter.word,
        });
    let member = (
        select(OPEN_FIELDS),
        select(MEMBERS),
        select(PARAMETERS),
        secret(NO_QUOTE),
        select(&["\"}", "\",\"a\":1}", "", "\\\"}\"}"][..]),
    )
        .prop_map(|(name, (before, after_name), parameter, secret, after)| Planted {
            sent: sample::field(name, &format!("{before}{parameter}{after_name}{}{after}", secret.sent)),
            word: secret.word,
        });
    let by_form = (select(OPEN_FIELDS), select(FORMS), "zq[a-z0-9]{14}").prop_map(|(name, before, word)| Planted {
        sent: sample::field(name, &format!("{before}{word}00000000 rest")),
        word,
    });
    let name = (select(NAME_FORMS), "zq[a-z0-9]{14}").prop_map(|(before, word)| Planted {
        sent: sample::field(&format!("{before}{word}00000000"), "x"),
        word,
    });
    prop_oneof![8 => simple, 2 => parameter, 2 => member, 1 => by_form, 1 => name].boxed()
}

fn planted_path() -> impl Strategy<Value = Planted<String>> {
    let query = (select(PATH_BEFORE), parameter(ODD), select(&["", "&a=1", "&b"][..]));
    let matrix = (
        select(&["/x;", "/a/b;v=1;"][..]),
        parameter(NO_SLASH),
        select(&["", "/y", ";v=2", "?a=1"][..]),
    );
    prop_oneof![query, matrix].prop_map(|(before, parameter, after)| Planted {
        sent: format!("{before}{}{after}", parameter.sent),
        word: parameter.word,
    })
}

fn planted_authority() -> impl Strategy<Value = Planted<String>> {
    (secret(ODD), select(&["@a.test", ":x@a.test:443", "%40[::1]"][..])).prop_map(|(secret, after)| Planted {
        sent: secret.sent + after,
        word: secret.word,
    })
}

/// Generates a secret parameter, its name and `=` percent-encoded at random.
fn parameter(odd: &'static str) -> impl Strategy<Value = Planted<String>> {
    let name = (select(PARAMETERS), vec(any::<u8>(), 24)).prop_map(|(name, choices)| encode(name, &choices));
    (name, select(&["=", "%3D", "%3d", "%253D"][..]), secret(odd)).prop_map(|(name, equals, secret)| Planted {
        sent: name + equals + &secret.sent,
        word: secret.word,
    })
}

/// Generates a word with odd characters around it, percent-encoded at random.
#[expect(clippy::unwrap_used, reason = "a pattern that does not parse must not go unnoticed")]
fn secret(odd: &'static str) -> impl Strategy<Value = Planted<String>> {
    let word = proptest::string::string_regex("zq[a-z0-9]{14}").unwrap();
    let around = || proptest::string::string_regex(odd).unwrap();
    (around(), word, around(), option::weighted(0.3, vec(any::<u8>(), 16))).prop_map(
        |(before, word, after, choices)| {
            let encoded = choices.map_or_else(|| word.clone(), |choices| encode(&word, &choices));
            Planted {
                sent: format!("{before}{encoded}{after}"),
                word,
            }
        },
    )
}

/// Percent-encodes a name or word, each byte never, once or twice.
fn encode(plain: &str, choices: &[u8]) -> String {
    let encoded = plain
        .bytes()
        .zip(choices.iter().cycle())
        .map(|(byte, choice)| match choice % 8 {
            0 => format!("%{byte:02x}"),
            1 => format!("%25{byte:02X}"),
            _ => char::from(byte).to_string(),
        });
    encoded.collect()
}
