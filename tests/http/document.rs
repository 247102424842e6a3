//! HTTP.md and `/openapi.json`: what they say holds.

use std::collections::BTreeSet;
use std::process::Command;

use powd_testkit::{TestPath, is_there, program, skip};
use serde_json::Value;

use crate::client::{Http, serve_bounded};

#[test]
fn the_description_has_every_call() {
    let powd = serve_bounded(&[]);
    let document = Http::to(&powd).get("/openapi.json").json();
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    let paths = document["paths"].as_object().expect("paths");
    let paths: BTreeSet<&str> = paths.keys().map(String::as_str).collect();
    let expected = [
        "/v1/batch",
        "/v1/jobs",
        "/v1/jobs/{id}",
        "/v1/solve",
        "/v1/verify",
    ];
    assert_eq!(paths, expected.into());
    // Every reference leads somewhere.
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    for reference in references {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

/// What a service takes is what it was told at its start.
#[test]
fn the_description_is_of_this_service() {
    let maximum = "/components/schemas/AskedDifficulty/maximum";
    let open = serve_bounded(&["--max-difficulty", "7"]);
    let document = Http::to(&open).get("/openapi.json").json();
    assert_eq!(document.pointer(maximum), Some(&Value::from(7)));
    assert!(document.get("security").is_none(), "{document}");
    let solve = &document["paths"]["/v1/solve"]["post"];
    assert!(solve["responses"].get("401").is_none(), "{solve}");
    assert_eq!(solve["requestBody"]["required"], false);

    let tokens = TestPath::with_text("tokens-of-a-description", "secret\n");
    let closed = serve_bounded(&["--http-token-file", tokens.text()]);
    let token = ["Authorization: Bearer secret"];
    let document = Http::to(&closed)
        .ask("GET /openapi.json", &token, b"")
        .json();
    assert_eq!(document.pointer(maximum), Some(&Value::from(10)));
    assert_eq!(document["security"], serde_json::json!([{"token": []}]));
    let scheme = &document["components"]["securitySchemes"]["token"]["scheme"];
    assert_eq!(scheme, "bearer");
    let solve = &document["paths"]["/v1/solve"]["post"];
    assert!(solve["responses"].get("401").is_some(), "{solve}");
}

fn collect_references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                into.push(reference.clone());
            }
            fields
                .values()
                .for_each(|value| collect_references(value, into));
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| collect_references(value, into)),
        _ => {}
    }
}

/// The client in Python that HTTP.md shows, as it stands there.
#[test]
fn the_documents_client_checks_what_it_gets() {
    if !is_there("python3") {
        return skip("python3 is missing");
    }
    let document = include_str!("../../HTTP.md");
    let script = document
        .split("```python\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let powd = serve_bounded(&["-d", "2"]);
    let mut python = Command::new("python3");
    python.args([
        "-c",
        script.expect("a script"),
        &format!("http://{}", powd.door("http")),
    ]);
    let output = program::run(python, b"first\nsecond\n");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
}
