//! Objects with any fields: what is right is answered, what is wrong is told so.

use std::cell::RefCell;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::check;
use crate::client::{Answer, Http, serve_bounded};

/// A value of a field; none where the field is missing.
#[derive(Clone, Debug)]
struct Field {
    value: Option<Value>,
    is_good: bool,
}

/// Nothing, null, one of these good values, or one of those bad ones.
fn field(good: Vec<Value>, bad: Vec<Value>) -> impl Strategy<Value = Field> + Clone {
    let of = |is_good: bool| {
        move |value| Field {
            value: Some(value),
            is_good,
        }
    };
    let missing = Just(Field {
        value: None,
        is_good: true,
    });
    let good = prop::sample::select([good, vec![Value::Null]].concat());
    let bad = prop::sample::select(bad);
    prop_oneof![4 => missing, 4 => good.prop_map(of(true)), 1 => bad.prop_map(of(false))]
}

/// A request: its fields, and what has to come of it.
#[derive(Clone, Debug)]
struct Asked {
    body: Value,
    /// The bytes to be hashed, where there is one message.
    message: Option<Vec<u8>>,
    has_good_difficulty: bool,
    /// All of the others.
    is_good: bool,
}

fn asked() -> impl Strategy<Value = Asked> {
    let wrong = || vec![json!(1), json!([]), json!({}), json!(true)];
    let text = prop_oneof![
        3 => ".{0,20}".prop_map(|text| Some(Value::from(text))),
        2 => Just(None),
        1 => Just(Some(Value::Null)),
        1 => prop::sample::select(wrong()).prop_map(Some),
    ];
    let encoded = prop::collection::vec(any::<u8>(), 0..20)
        .prop_map(|bytes| Value::from(BASE64_STANDARD.encode(bytes)));
    let base64 = prop_oneof![
        2 => encoded.prop_map(Some),
        3 => Just(None),
        1 => Just(Some(Value::Null)),
        1 => "[A-Za-z0-9+/=]{1,9}".prop_map(|text| Some(Value::from(text))),
        1 => prop::sample::select(wrong()).prop_map(Some),
    ];
    let difficulty = field(
        vec![json!(0), json!(1), json!(2.0), json!(3)],
        vec![
            json!(4),
            json!(-1),
            json!(1.5),
            json!("1"),
            json!(1e300),
            json!([]),
            json!(true),
        ],
    );
    let seed_length = field(
        vec![json!(1), json!(5), json!(16), json!(6.0)],
        vec![
            json!(0),
            json!(17),
            json!("5"),
            json!(-1),
            json!(0.5),
            json!({}),
        ],
    );
    let deadline = field(
        vec![json!("50s"), json!("1h"), json!("1m 30s")],
        vec![
            json!("0s"),
            json!("soon"),
            json!("5"),
            json!(5),
            json!(""),
            json!("-1s"),
        ],
    );
    let more = prop_oneof![9 => Just(None), 1 => "[a-z_]{1,12}".prop_map(Some)];
    let fields = (text, base64, difficulty, seed_length, deadline, more);
    fields.prop_map(|(text, base64, difficulty, seed_length, deadline, more)| {
        let is_wrong = |value: &Option<Value>| {
            let value = value.as_ref();
            value.is_some_and(|value| !value.is_string() && !value.is_null())
        };
        let is_good = !is_wrong(&text) && !is_wrong(&base64);
        let as_str = |value: &Option<Value>| Some(value.as_ref()?.as_str()?.to_owned());
        let message = match (as_str(&text), as_str(&base64)) {
            (Some(text), None) => Some(text.into_bytes()),
            (None, Some(base64)) => BASE64_STANDARD.decode(base64).ok(),
            _ => None,
        };
        let mut body = Map::new();
        // One that is known is overwritten.
        body.extend(more.map(|name| (name, json!("more"))));
        let mut set = |name: &str, value: Option<Value>| {
            body.remove(name);
            body.extend(value.map(|value| (name.to_owned(), value)));
        };
        set("message", text);
        set("message_base64", base64);
        set("difficulty", difficulty.value);
        set("seed_length", seed_length.value);
        set("deadline", deadline.value);
        let known = [
            "message",
            "message_base64",
            "difficulty",
            "seed_length",
            "deadline",
        ];
        let is_known = body.keys().all(|name| known.contains(&name.as_str()));
        Asked {
            body: Value::Object(body),
            message,
            has_good_difficulty: difficulty.is_good,
            is_good: is_good && is_known && seed_length.is_good && deadline.is_good,
        }
    })
}

/// Expects a problem that fits; whether there is one.
fn is_refused(asked: &Asked, answer: &Answer) -> Result<bool, TestCaseError> {
    let malformed = asked.message.is_none() || !asked.is_good;
    match (malformed, asked.has_good_difficulty) {
        (false, true) => return Ok(false),
        (true, true) => answer.expect_problem(400, "malformed"),
        (false, false) => answer.expect_problem(422, "difficulty"),
        // Which is told first is not said.
        (true, false) => {
            prop_assert!([400, 422].contains(&answer.status), "{answer:?}");
            let code = &answer.json()["code"];
            prop_assert!(code == "malformed" || code == "difficulty", "{code}");
        }
    }
    Ok(true)
}

fn bytes_of(solved: &Value) -> Option<Vec<u8>> {
    match solved["message"].as_str() {
        Some(text) => Some(text.as_bytes().to_vec()),
        None => BASE64_STANDARD
            .decode(solved["message_base64"].as_str()?)
            .ok(),
    }
}

#[test]
fn a_request_is_answered_or_told_what_is_wrong() {
    let powd = serve_bounded(&["-d", "1", "--max-difficulty", "3"]);
    let http = RefCell::new(Http::to(&powd));
    check(asked(), |asked| {
        let mut http = http.borrow_mut();
        let answer = http.post_json("/v1/solve", &asked.body.to_string());
        if is_refused(&asked, &answer)? {
            return Ok(());
        }
        prop_assert_eq!(answer.status, 200, "{:?}", answer);
        let solved = answer.json();
        prop_assert_eq!(bytes_of(&solved), asked.message);
        let wanted = asked.body["difficulty"].as_f64().unwrap_or(1.0);
        prop_assert_eq!(solved["difficulty"].as_f64(), Some(wanted));
        // What it answers is what it takes, with the message in either form.
        for name in ["hashes", "seconds"] {
            prop_assert!(solved[name].is_number(), "{solved}");
        }
        let mut verify = solved.clone();
        for name in ["hashes", "seconds"] {
            verify
                .as_object_mut()
                .and_then(|fields| fields.remove(name));
        }
        let verdict = http.post_json("/v1/verify", &verify.to_string()).json();
        prop_assert_eq!(&verdict["valid"], true, "{} of {}", verdict, verify);
        Ok(())
    });
}

#[test]
fn a_job_is_found_or_told_what_is_wrong() {
    let powd = serve_bounded(&["-d", "1", "--max-difficulty", "3"]);
    let http = RefCell::new(Http::to(&powd));
    check(asked(), |asked| {
        let mut http = http.borrow_mut();
        let answer = http.post_json("/v1/jobs", &asked.body.to_string());
        if is_refused(&asked, &answer)? {
            return Ok(());
        }
        prop_assert_eq!(answer.status, 202, "{:?}", answer);
        let path = answer.header("location").expect("its path").to_owned();
        let job = http.get(&format!("{path}?wait=50s")).json();
        prop_assert_eq!(&job["state"], "found", "{}", job);
        prop_assert_eq!(bytes_of(&job["solution"]), asked.message);
        Ok(())
    });
}

#[test]
fn any_parameters_are_taken_or_refused() {
    let powd = serve_bounded(&["-d", "1", "--max-difficulty", "3"]);
    let known = prop::sample::select(vec!["difficulty", "seed_length", "deadline", "wait"]);
    let name = prop_oneof![4 => known.prop_map(str::to_owned), 1 => "[!-~&&[^#]]{0,6}"];
    let value = prop_oneof![
        "[0-9]{1,3}",
        "[0-9]{1,2}(ms|s|h)",
        "[!-~&&[^#]]{0,8}",
        "(%[0-9A-F]{2}){1,3}"
    ];
    let query = prop::collection::vec((name, value), 0..4);
    let path = prop::sample::select(vec!["/v1/solve", "/v1/verify", "/v1/batch", "/v1/jobs"]);
    check((path, query), |(path, query)| {
        let query = query.iter().map(|(name, value)| format!("{name}={value}"));
        let query = query.collect::<Vec<_>>().join("&");
        let answer = Http::to(&powd).post(&format!("{path}?{query}"), b"x");
        match answer.status {
            200 | 202 => {}
            // Some characters cannot stand in the first line of a request.
            400 if answer.body.is_empty() => {
                prop_assert!(query.contains(['"', '<', '>']), "{query}")
            }
            400 => answer.expect_problem(400, "malformed"),
            422 => answer.expect_problem(422, "difficulty"),
            504 => answer.expect_problem(504, "deadline"),
            _ => prop_assert!(false, "{answer:?}"),
        }
        Ok(())
    });
}
