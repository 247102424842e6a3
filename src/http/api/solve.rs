//! `POST /v1/solve`: a message in, a seed out.

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::{Response, StatusCode};

use super::answer::{Solved, json, prefers_text, text};
use super::ask::{Ask, Kind, Parameters, SolveRequest, unknown_type};
use super::{Api, Client};
use crate::http::problem::ProblemDetails;
use crate::problem::Problem;
use crate::protocol::Reply;

/// Finds a seed for a message.
///
/// The body is the message, byte for byte, or an object with `Content-Type: application/json`. To
/// close the connection, or reset the stream, ends the search.
#[utoipa::path(
    post,
    path = "/v1/solve",
    params(Parameters),
    request_body(content(
        (SolveRequest = "application/json"),
        (String = "text/plain"),
        (String = "application/octet-stream"),
    )),
    responses(
        (status = 200, description = "A seed was found", content(
            (Solved = "application/json"),
            (String = "text/plain"),
        )),
        (status = 400, description = "Not understood", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 413, description = "The message is too long", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 415, description = "The body has a type that is not taken", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, description = "The difficulty is none, or too high", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "The service ends", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 504, description = "No seed was found in the time allowed", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(super) async fn solve(
    State(api): State<Api>,
    Client(peer): Client,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response<Body>, Problem> {
    // Whatever becomes of it: an answer or an error is counted, too.
    api.counters().requests.add(1);
    let (parts, body) = request.into_parts();
    let ask = Ask::read(&api, &parts.headers, query.as_deref(), body).await?;
    let answer = api.solve(&peer, ask.query()).await?;
    if prefers_text(&parts.headers) {
        let mut line = Vec::new();
        Reply::push_solution(&mut line, &ask.message, &answer.solution);
        return Ok(text(line));
    }
    let solved = Solved::new(&ask.message, ask.difficulty, &answer);
    Ok(json(StatusCode::OK, &solved))
}

/// The same for the page of the admin address, in JSON alone: a page of somebody else cannot have a
/// browser send that.
pub(super) async fn solve_json(
    api: State<Api>,
    client: Client,
    query: RawQuery,
    request: Request,
) -> Result<Response<Body>, Problem> {
    match Kind::of(request.headers())? {
        Kind::Json => solve(api, client, query, request).await,
        Kind::Bytes | Kind::Ndjson => Err(unknown_type("application/json")),
    }
}
