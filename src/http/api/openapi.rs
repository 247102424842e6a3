//! `GET /openapi.json`: the description of the API, made from its own types, and completed by what
//! these cannot say and by what this service was told.

use std::future::{Ready, ready};

use axum::body::{Body, Bytes};
use axum::http::Response;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use serde_json::{Value, json};
use utoipa::OpenApi;

use super::answer::JSON;
use super::{batch, jobs, solve, verify};
use crate::http::options::Options;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "powd",
        description = "Finds a short seed such that SHA-256(seed || message) starts with so many zeros as asked.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        solve::solve,
        verify::verify,
        batch::batch,
        jobs::create,
        jobs::read,
        jobs::cancel
    )
)]
struct Document;

/// What every call can be answered with; a call that has more to say of one of them does so itself.
const REFUSALS: [(&str, &str); 4] = [
    ("403", "This address is not served"),
    ("429", "Too many connections from this address"),
    ("500", "A bug: the service's log says more"),
    ("503", "Too many connections, or the service ends"),
];

/// Base64 as it is read: padded, and with no bits left over (RFC 4648, section 4).
const BASE64: &str =
    "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

/// The call, for a service with these options, which do not change.
pub(super) fn document(options: &Options) -> impl Fn() -> Ready<Response<Body>> + Clone + use<> {
    let document = Bytes::from(describe(options).to_string());
    move || ready(([(CONTENT_TYPE, JSON)], document.clone()).into_response())
}

/// The API of a service with these options.
fn describe(options: &Options) -> Value {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    let schemas = &mut document["components"]["schemas"];
    schemas["AskedDifficulty"]["maximum"] = options.limits.max_difficulty.nibbles().into();
    for name in ["SolveRequest", "VerifyRequest"] {
        schemas[name]["oneOf"] = one_message();
    }
    let mut numbered = schemas["SolveRequest"].clone();
    numbered["description"] =
        "A message of a batch, and how the search for its seed is to be.".into();
    numbered["properties"]["id"] = json!({
        "description": "Comes back with the answer; by default the number of the line, from 0.",
        "type": ["integer", "string", "null"],
        "minimum": i64::MIN,
        "maximum": u64::MAX,
    });
    schemas["BatchRequest"] = numbered;
    let calls = document["paths"].as_object_mut().into_iter().flatten();
    for (_, calls) in calls {
        for (_, call) in calls.as_object_mut().into_iter().flatten() {
            if let Some(body) = call.get_mut("requestBody") {
                // Without a body the message is empty.
                body["required"] = false.into();
            }
            for (status, description) in REFUSALS {
                add_problem(call, status, description);
            }
            if options.tokens.is_some() {
                add_problem(call, "401", "No token that is known");
            }
        }
    }
    // Neither JSON nor text: OpenAPI 3.1 has no word for a schema of each line, 3.2 takes an array
    // for it.
    let batch = &mut document["paths"]["/v1/batch"]["post"];
    batch["requestBody"]["content"]["application/x-ndjson"]["schema"] = lines_of(json!({
        "oneOf": [{"type": "string"}, {"$ref": "#/components/schemas/BatchRequest"}]
    }));
    batch["responses"]["200"]["content"]["application/x-ndjson"]["schema"] =
        lines_of(json!({"$ref": "#/components/schemas/BatchLine"}));
    if options.tokens.is_some() {
        document["components"]["securitySchemes"] =
            json!({"token": {"type": "http", "scheme": "bearer"}});
        document["security"] = json!([{"token": []}]);
    }
    document
}

/// A message is text or Base64, and never both.
fn one_message() -> Value {
    json!([
        {
            "required": ["message"],
            "properties": {"message": {"type": "string"}, "message_base64": {"type": "null"}},
        },
        {
            "required": ["message_base64"],
            "properties": {
                "message_base64": {"type": "string", "pattern": BASE64},
                "message": {"type": "null"},
            },
        },
    ])
}

fn lines_of(line: Value) -> Value {
    json!({"type": "array", "items": line, "description": "One a line."})
}

/// Adds a problem that a call can be answered with, unless it says so itself.
fn add_problem(call: &mut Value, status: &str, description: &str) {
    let responses = call["responses"].as_object_mut();
    let Some(responses) = responses.filter(|responses| !responses.contains_key(status)) else {
        return;
    };
    let schema = json!({"$ref": "#/components/schemas/ProblemDetails"});
    let problem = json!({
        "description": description,
        "content": {"application/problem+json": {"schema": schema}},
    });
    responses.insert(status.to_owned(), problem);
}
