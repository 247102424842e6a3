//! The flags of the doors by HTTP, and what they mean.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::Args as ServeArgs;
use crate::cli::Error;
use crate::cli::values::{count, duration};
use crate::http::{Doors, Jobs, Limits, Listener, Options, Tokens};
use powd_core::Difficulty;

/// How long a connection may do nothing where `--idle-timeout` says nothing. HTTP clients keep connections in store, and
/// expect that unused ones are closed; longer than the minute for which nginx keeps its own.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Where to answer HTTP/1.1 and HTTP/2 (without TLS, which is a proxy's): POST /v1/solve and more, as
    /// /openapi.json there and HTTP.md describe. By default nowhere. Port 0 takes a free one.
    #[arg(long, env = "POWD_HTTP", value_name = "ADDR:PORT", value_parser = address)]
    http: Option<SocketAddr>,

    /// Where to answer those who watch the service, while it is saturated too: a page for people at /, /metrics for
    /// Prometheus, /livez and /readyz for balancers, /status in JSON. By default nowhere. Keep strangers from it.
    #[arg(long, env = "POWD_ADMIN", value_name = "ADDR:PORT", value_parser = address)]
    admin: Option<SocketAddr>,

    /// The highest difficulty that can be asked for by HTTP, 0 to 64. Raise it with --deadline: at 10 a search
    /// takes some hours of a fast core.
    #[arg(
        long,
        env = "POWD_MAX_DIFFICULTY",
        value_name = "N",
        default_value = "10"
    )]
    max_difficulty: Difficulty,

    /// A file with a token on each line, of which each HTTP request has to show one: Authorization: Bearer TOKEN. It
    /// is read at start. By default none is asked for.
    #[arg(long, env = "POWD_HTTP_TOKEN_FILE", value_name = "FILE")]
    http_token_file: Option<PathBuf>,

    /// Jobs (POST /v1/jobs) that wait or search at once; more are told that the service is busy. As many that have
    /// ended are kept.
    #[arg(long, env = "POWD_MAX_JOBS", value_name = "N", default_value = "10000", value_parser = count)]
    max_jobs: NonZeroUsize,

    /// How long a job that has ended is kept for who asks.
    #[arg(long, env = "POWD_JOB_TTL", value_name = "TIME", default_value = "1h", value_parser = duration)]
    job_ttl: Duration,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "expected ADDR:PORT with a numeric address: 127.0.0.1:8080, [::]:8080".to_owned()
    })
}

/// Reads what is to be read, and binds the doors that are asked for.
pub(super) fn bind(args: &ServeArgs) -> Result<Doors, Error> {
    let http = &args.http;
    let tokens = http.http_token_file.as_deref().map(|path| {
        let failed = |error: &dyn std::error::Error| {
            Error::Usage(format!("--http-token-file {}: {error}", path.display()))
        };
        let text = std::fs::read(path).map_err(|error| failed(&error))?;
        Tokens::parse(&text).map_err(|error| failed(&error))
    });
    let options = Options {
        difficulty: args.difficulty,
        limits: Limits {
            max_difficulty: http.max_difficulty,
            deadline: args.deadline,
            idle_timeout: args.idle_timeout.unwrap_or(IDLE_TIMEOUT),
        },
        tokens: tokens.transpose()?,
        jobs: Jobs {
            max: http.max_jobs,
            ttl: http.job_ttl,
        },
    };
    Ok(Doors {
        http: http.http.map(Listener::bind).transpose()?,
        admin: http.admin.map(Listener::bind).transpose()?,
        options,
    })
}

/// One line per door, with the real port.
pub(super) fn announce(doors: &Doors) -> Result<String, Error> {
    let mut lines = String::new();
    for (name, listener) in [("http", &doors.http), ("admin", &doors.admin)] {
        if let Some(listener) = listener {
            lines += &format!("powd: {name} on {}\n", listener.address()?);
        }
    }
    Ok(lines)
}
