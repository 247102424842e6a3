//! What a client asks for: read from the path's parameters and the body, and checked.

use std::fmt::Display;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use powd_core::{Difficulty, SeedLength};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use crate::asked;
use crate::engine::Query;
use crate::problem::{Code, Problem};

/// The most bytes of a character of a message in JSON: `\u0000`.
const ESCAPED: usize = 6;

/// The bytes that a request in JSON may have besides its message.
const FIELDS: usize = 4096;

/// The most characters of what is said of a request that cannot be read. It quotes the request,
/// which may be long, and thousands of a batch may wait to be sent.
const SAID: usize = 200;

/// How the search is to be, behind the `?`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Zeros that the hash must start with; by default those of the service's `--difficulty`.
    #[param(value_type = Option<AskedDifficulty>)]
    difficulty: Option<String>,
    /// Characters of the first seeds tried; by default those of the service's `--seed-length`.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 16)]
    seed_length: Option<String>,
    /// The longest search, with its unit: `300ms`, `5s`. It can shorten the service's `--deadline`.
    #[param(example = "5s", pattern = "^[1-9][0-9]{0,5}(ms|s|m|h)$")]
    deadline: Option<String>,
}

/// A message, and how the search for its seed is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SolveRequest {
    /// The message as text.
    message: Option<String>,
    /// The message in Base64, in place of `message`: for bytes that are not UTF-8.
    message_base64: Option<String>,
    /// Zeros that the hash must start with.
    #[schema(value_type = Option<AskedDifficulty>)]
    difficulty: Option<Value>,
    /// Characters of the first seeds tried.
    #[schema(value_type = Option<u8>, minimum = 1, maximum = 16)]
    seed_length: Option<Value>,
    /// The longest search, with its unit.
    #[schema(example = "5s", pattern = "^[1-9][0-9]{0,5}(ms|s|m|h)$")]
    deadline: Option<String>,
}

/// The same in a line of a batch: with an id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchRequest {
    id: Option<Value>,
    message: Option<String>,
    message_base64: Option<String>,
    difficulty: Option<Value>,
    seed_length: Option<Value>,
    deadline: Option<String>,
}

/// A difficulty that can be asked for here.
#[derive(ToSchema)]
#[schema(minimum = 0, maximum = 64)]
#[expect(
    dead_code,
    reason = "only described: it is read as whatever stands there, since its error is its own"
)]
pub(super) struct AskedDifficulty(u8);

/// What is asked for, checked.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) message: Bytes,
    pub(super) difficulty: Difficulty,
    pub(super) seed_length: Option<SeedLength>,
    pub(super) deadline: Option<Duration>,
}

impl Parameters {
    /// Those of a request.
    pub(super) fn parse(query: Option<&str>) -> Result<Parameters, Problem> {
        read_parameters(query)
    }

    /// A search for `message`, as these say.
    pub(super) fn ask(&self, message: Bytes, api: &Api) -> Result<Ask, Problem> {
        let limits = &api.options().limits;
        let difficulty = match &self.difficulty {
            Some(text) => asked::difficulty(text.parse().ok(), limits.max_difficulty)?,
            None => api.options().difficulty,
        };
        let seed_length = self.seed_length.as_deref().map(|text| {
            let length = text.parse().map_err(|_| bad_seed_length());
            length.and_then(seed_length)
        });
        let deadline = asked::deadline(self.deadline.as_deref(), limits.deadline)?;
        bounded(&message, api.max_message_bytes())?;
        Ok(Ask {
            message,
            difficulty,
            seed_length: seed_length.transpose()?,
            deadline,
        })
    }
}

impl SolveRequest {
    /// That of a message alone.
    pub(super) fn of_text(message: String) -> SolveRequest {
        SolveRequest {
            message: Some(message),
            message_base64: None,
            difficulty: None,
            seed_length: None,
            deadline: None,
        }
    }

    /// The search that this asks for; what it does not say, `parameters` do.
    pub(super) fn ask(self, parameters: &Parameters, api: &Api) -> Result<Ask, Problem> {
        let message = message(self.message, self.message_base64)?;
        let mut ask = parameters.ask(message, api)?;
        let limits = &api.options().limits;
        if let Some(value) = &self.difficulty {
            ask.difficulty = asked::difficulty(whole(value), limits.max_difficulty)?;
        }
        if let Some(value) = &self.seed_length {
            let length = whole(value).ok_or_else(bad_seed_length)?;
            ask.seed_length = Some(seed_length(length)?);
        }
        if self.deadline.is_some() {
            ask.deadline = asked::deadline(self.deadline.as_deref(), limits.deadline)?;
        }
        Ok(ask)
    }
}

impl BatchRequest {
    /// The id, if it has one, and the request.
    pub(super) fn split(self) -> (Option<Value>, SolveRequest) {
        let request = SolveRequest {
            message: self.message,
            message_base64: self.message_base64,
            difficulty: self.difficulty,
            seed_length: self.seed_length,
            deadline: self.deadline,
        };
        (self.id, request)
    }
}

impl Ask {
    /// Reads a whole request.
    pub(super) async fn read(
        api: &Api,
        headers: &HeaderMap,
        query: Option<&str>,
        body: Body,
    ) -> Result<Ask, Problem> {
        let parameters = Parameters::parse(query)?;
        let max = api.max_message_bytes();
        match Kind::of(headers)? {
            Kind::Bytes => parameters.ask(collect(api, body, max).await?, api),
            Kind::Json => {
                let body = collect(api, body, json_room(max)).await?;
                parse_object::<SolveRequest>(&body)?.ask(&parameters, api)
            }
            Kind::Ndjson => Err(unknown_type("application/json, or the message itself")),
        }
    }

    pub(super) fn query(&self) -> Query {
        Query {
            message: self.message.to_vec(),
            difficulty: self.difficulty,
            seed_length: self.seed_length,
            deadline: self.deadline,
        }
    }
}

/// What a body is, by its `Content-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The bytes as they are.
    Bytes,
    Json,
    Ndjson,
}

impl Kind {
    pub(super) fn of(headers: &HeaderMap) -> Result<Kind, Problem> {
        if let Some(encoding) = headers.get(CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            return Err(Problem::new(
                Code::Encoding,
                "a body is taken as it is: without Content-Encoding",
            ));
        }
        let Some(value) = headers.get(CONTENT_TYPE) else {
            return Ok(Kind::Bytes);
        };
        let value = value.to_str().unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/json" => Ok(Kind::Json),
            "application/x-ndjson" => Ok(Kind::Ndjson),
            // The last is what curl sends with -d.
            "" | "application/octet-stream" | "application/x-www-form-urlencoded" => {
                Ok(Kind::Bytes)
            }
            text if text.starts_with("text/") => Ok(Kind::Bytes),
            _ => Err(unknown_type(
                "application/json, application/x-ndjson, application/octet-stream or text/plain",
            )),
        }
    }
}

pub(super) fn unknown_type(taken: &str) -> Problem {
    Problem::new(Code::MediaType, format!("this call takes {taken}"))
}

/// The bytes that a request in JSON may have, for messages of at most `max` bytes.
pub(super) fn json_room(max: usize) -> usize {
    ESCAPED * max + FIELDS
}

/// The whole body, of at most `room` bytes.
pub(super) async fn collect(api: &Api, body: Body, room: usize) -> Result<Bytes, Problem> {
    match unless_expired(api, Limited::new(body, room).collect()).await? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Problem::too_long(api.max_message_bytes()))
        }
        Err(_) => Err(cut_off()),
    }
}

/// What is read of a request, unless the time of a drain is over before it has come.
pub(super) async fn unless_expired<T>(
    api: &Api,
    reading: impl Future<Output = T>,
) -> Result<T, Problem> {
    tokio::select! {
        biased;
        read = reading => Ok(read),
        // Not asked for where all has come.
        () = async { api.expired().await } => Err(Problem::draining()),
    }
}

pub(super) fn cut_off() -> Problem {
    Problem::malformed("the body did not come whole")
}

pub(super) fn read_parameters<T: DeserializeOwned>(query: Option<&str>) -> Result<T, Problem> {
    let parameters = serde_urlencoded::from_str(query.unwrap_or_default());
    parameters.map_err(|error| unread("parameters", &error))
}

/// What is in a JSON object.
pub(super) fn parse_object<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    // A struct would be read from an array, too.
    if json.trim_ascii_start().starts_with(b"{") {
        parse_json(json)
    } else {
        Err(Problem::malformed("JSON: an object is expected"))
    }
}

pub(super) fn parse_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(json).map_err(|error| unread("JSON", &error))
}

/// What cannot be read as what it should be.
fn unread(what: &str, error: &impl Display) -> Problem {
    let said = format!("{what}: {error}");
    Problem::malformed(said.chars().take(SAID).collect::<String>())
}

/// The message of a request in JSON: one of both fields.
pub(super) fn message(text: Option<String>, base64: Option<String>) -> Result<Bytes, Problem> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into()),
        (None, Some(base64)) => {
            let message = BASE64_STANDARD.decode(base64);
            let message =
                message.map_err(|error| Problem::malformed(format!("message_base64: {error}")))?;
            Ok(message.into())
        }
        (Some(_), Some(_)) => Err(Problem::malformed(
            "either message or message_base64, not both",
        )),
        (None, None) => Err(Problem::malformed("no message and no message_base64")),
    }
}

/// Whether a message has at most `max` bytes.
pub(super) fn bounded(message: &[u8], max: usize) -> Result<(), Problem> {
    let is_short = message.len() <= max;
    is_short.then_some(()).ok_or_else(|| Problem::too_long(max))
}

/// A whole number from 0 to 255. JSON has one kind of number: 3.0 is 3.
fn whole(value: &Value) -> Option<u8> {
    let number = value.as_f64()?;
    let is_whole = number.fract() == 0.0 && (0.0..=255.0).contains(&number);
    is_whole.then_some(number as u8)
}

/// Any difficulty, in JSON.
pub(super) fn difficulty_of(value: &Value) -> Result<Difficulty, Problem> {
    asked::difficulty(whole(value), Difficulty::MAX)
}

/// Any difficulty, as text.
pub(super) fn difficulty_in(text: &str) -> Result<Difficulty, Problem> {
    asked::difficulty(text.parse().ok(), Difficulty::MAX)
}

fn seed_length(characters: u8) -> Result<SeedLength, Problem> {
    SeedLength::new(characters).map_err(|_| bad_seed_length())
}

fn bad_seed_length() -> Problem {
    Problem::malformed(format!(
        "seed_length is a whole number from {} to {}",
        SeedLength::MIN,
        SeedLength::MAX
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_json_are_whole() {
        for (json, number) in [
            ("0", Some(0)),
            ("64", Some(64)),
            ("3.0", Some(3)),
            ("256", None),
            ("-1", None),
            ("1.5", None),
            ("\"3\"", None),
            ("true", None),
            ("1e400", None),
        ] {
            let value = serde_json::from_str(json).unwrap_or(Value::Null);
            assert_eq!(whole(&value), number, "{json}");
        }
    }

    #[test]
    fn bodies_are_told_apart_by_their_type() {
        let kind = |value: &str| {
            let value = value.parse().expect("a header");
            Kind::of(&HeaderMap::from_iter([(CONTENT_TYPE, value)])).ok()
        };
        assert_eq!(Kind::of(&HeaderMap::new()), Ok(Kind::Bytes));
        assert_eq!(kind("Application/JSON; charset=utf-8"), Some(Kind::Json));
        assert_eq!(kind("application/x-ndjson"), Some(Kind::Ndjson));
        assert_eq!(kind("text/plain"), Some(Kind::Bytes));
        assert_eq!(kind("application/octet-stream"), Some(Kind::Bytes));
        assert_eq!(kind("multipart/form-data"), None);
    }
}
