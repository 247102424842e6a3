//! Batches of any lines, in pieces of any size: exactly one answer for each line.

use std::cell::RefCell;

use powd_testkit::oracle;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{check, cut, places};
use crate::client::{Answer, Http, expect_solution, serve_bounded};

/// The longest message here.
const MAX: usize = 20;

fn max() -> String {
    MAX.to_string()
}

/// Sends a batch in these pieces; its answer.
fn batch(http: &mut Http, kind: &str, pieces: &[Vec<u8>]) -> Answer {
    let head = format!(
        "POST /v1/batch HTTP/1.1\r\nHost: powd\r\nContent-Type: {kind}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    http.send(head.as_bytes());
    for piece in pieces {
        let size = format!("{:x}\r\n", piece.len());
        http.send(&[size.as_bytes(), piece, b"\r\n"].concat());
    }
    http.send(b"0\r\n\r\n");
    let answer = http.answer();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some(kind));
    answer
}

/// The lines of a text; what stands behind the last newline is one where there is something.
fn lines_of(text: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    lines.pop_if(|last| last.is_empty());
    lines
}

#[test]
fn each_line_of_bytes_gets_its_reply_or_its_error_in_order() {
    let powd = serve_bounded(&["-d", "1", "--max-message-bytes", &max()]);
    let http = RefCell::new(Http::to(&powd));
    let byte = prop_oneof![
        3 => Just(b'\n'),
        1 => Just(b','),
        1 => Just(b'\r'),
        20 => any::<u8>(),
    ];
    // Some lines are as long as may be, some a little longer.
    let edge = prop::collection::vec(Just(b'x'), MAX - 1..MAX + 2);
    let part = prop_oneof![prop::collection::vec(byte, 0..40), edge];
    let text = prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat());
    check((text, places()), |(text, places)| {
        let answer = batch(&mut http.borrow_mut(), "text/plain", &cut(&text, &places));
        let lines = lines_of(&text);
        let answers = lines_of(&answer.body);
        prop_assert_eq!(lines.len(), answers.len());
        for (line, answer) in lines.into_iter().zip(answers) {
            match line.len() {
                0..=MAX => drop(oracle::check(answer, line, 1)),
                _ => prop_assert!(answer.starts_with(b"ERR too-long ") && !answer.contains(&b',')),
            }
        }
        Ok(())
    });
}

/// A line of NDJSON.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        "[^\n]{0,8}".prop_map(Value::from),
        ".{0,24}".prop_map(Value::from),
    ];
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from)
    ];
    let other = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
    ];
    let any_value = prop_oneof![text.clone(), number.clone(), other];
    let id = prop::option::of(any_value.clone());
    let request =
        (id, text.clone(), prop::option::of(0..3u8)).prop_map(|(id, message, difficulty)| {
            let mut request = json!({"message": message});
            request["id"] = id.unwrap_or_default();
            request["difficulty"] = difficulty.into();
            request
        });
    let names = prop::sample::select(vec!["id", "message", "difficulty", "other"]);
    let object =
        prop::collection::btree_map(names.prop_map(str::to_owned), any_value.clone(), 0..4);
    let object = object.prop_map(|fields| Value::Object(fields.into_iter().collect()));
    let json = prop_oneof![3 => request, 2 => text, 1 => object, 1 => any_value];
    let json = json.prop_map(|value| value.to_string().into_bytes());
    // With a byte too many, too few, or wrong.
    let broken = (
        json.clone(),
        any::<prop::sample::Index>(),
        any::<u8>(),
        0..3,
    )
        .prop_map(|(mut line, place, byte, how)| {
            let place = place.index(line.len());
            match how {
                0 => line.insert(place, byte),
                1 => line[place] = byte,
                _ => drop(line.remove(place)),
            }
            line
        });
    let blank = prop::collection::vec(prop::sample::select(b" \t\r".to_vec()), 0..3);
    let bytes = prop::collection::vec(any::<u8>(), 0..20);
    let line = prop_oneof![6 => json, 2 => broken, 1 => blank, 1 => bytes];
    line.prop_map(|line| line.into_iter().filter(|&byte| byte != b'\n').collect())
}

/// What is asked for by a line, as far as it is JSON that says so: the id, the message and the
/// difficulty.
fn asked(line: &[u8], number: usize) -> (Value, Option<(String, u8)>) {
    let number = Value::from(number);
    match serde_json::from_slice(line) {
        Ok(Value::String(message)) => (number, Some((message, 1))),
        Ok(Value::Object(mut fields)) => {
            let id = match fields.remove("id") {
                Some(id @ Value::String(_)) => id,
                Some(Value::Number(id)) if !id.is_f64() => Value::Number(id),
                None | Some(Value::Null) => number,
                Some(_) => return (number, None),
            };
            let difficulty = match fields.remove("difficulty") {
                None | Some(Value::Null) => Some(1),
                Some(value) => value
                    .as_f64()
                    .filter(|n| [0.0, 1.0, 2.0].contains(n))
                    .map(|n| n as u8),
            };
            let message = fields.remove("message");
            let message = message.as_ref().and_then(Value::as_str).map(str::to_owned);
            (id, message.zip(difficulty).filter(|_| fields.is_empty()))
        }
        _ => (number, None),
    }
}

#[test]
fn each_line_of_json_gets_one_answer_with_its_id() {
    let powd = serve_bounded(&["-d", "1", "--max-message-bytes", &max()]);
    let http = RefCell::new(Http::to(&powd));
    let lines = prop::collection::vec(line(), 0..12);
    check(
        (lines, any::<bool>(), places()),
        |(lines, is_ended, places)| {
            let mut text = lines.join(&b'\n');
            if is_ended {
                text.push(b'\n');
            }
            let kind = "application/x-ndjson";
            let answer = batch(&mut http.borrow_mut(), kind, &cut(&text, &places));
            let answers = answer.text();
            let answers = answers.lines().map(serde_json::from_str);
            let mut answers: Vec<Value> = answers.collect::<Result<_, _>>().expect("JSON");
            let lines = lines.iter().enumerate();
            let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
            let mut lines: Vec<_> = lines
                .map(|(number, line)| (line, asked(line, number)))
                .collect();
            // Two lines can have one id. Any error will do for a line that asks for nothing: those
            // come last, and take what is left.
            lines.sort_by_key(|(_, (_, asked))| asked.is_none());
            for (line, (id, asked)) in lines {
                let is_possible = |answer: &&Value| match &asked {
                    Some((message, _)) if message.len() > MAX => {
                        answer["error"]["code"] == "too-long"
                    }
                    Some((message, _)) => answer["message"] == **message,
                    None => answer.get("error").is_some(),
                };
                let mut places = (0..answers.len()).filter(|&at| answers[at]["id"] == id);
                let place = places.find(|&at| is_possible(&&answers[at]));
                prop_assert!(
                    place.is_some(),
                    "{line:?}: nothing with {id} in {answers:?}"
                );
                let answer = answers.swap_remove(place.unwrap_or_default());
                match asked {
                    Some((message, difficulty)) if answer.get("error").is_none() => {
                        expect_solution(&answer, &message, difficulty);
                    }
                    _ => prop_assert!(answer["error"]["detail"].is_string(), "{answer}"),
                }
            }
            prop_assert!(answers.is_empty(), "too many: {answers:?}");
            Ok(())
        },
    );
}
