//! The flags of the doors by HTTP, and what they mean.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::Args as ServeArgs;
use super::listen::{Asked, Sockets, proxies, unknown_address};
use crate::cli::Error;
use crate::cli::endpoint::Endpoint;
use crate::cli::tokens;
use crate::cli::values::{count, duration};
use crate::http::{Doors, Limits, Options};
use crate::jobs::Bounds;
use crate::sockets::Listener;

/// How long a connection may do nothing where `--idle-timeout` says nothing. HTTP clients keep
/// connections in store, and expect that unused ones are closed; longer than the minute for which
/// nginx keeps its own.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Where to answer HTTP/1.1 and HTTP/2 (without TLS, which is a proxy's): POST /v1/solve and
    /// more, as /openapi.json there and HTTP.md describe. By default nowhere. ADDR:PORT, NAME:PORT
    /// or unix:PATH.
    #[arg(long, env = "POWD_HTTP", value_name = "WHERE")]
    http: Option<Endpoint>,

    /// Where to answer those who watch the service, while it is saturated too: a page for people at
    /// /, /metrics for Prometheus, /livez and /readyz for balancers, /status in JSON. By default
    /// nowhere. Keep strangers from it.
    #[arg(long, env = "POWD_ADMIN", value_name = "WHERE")]
    admin: Option<Endpoint>,

    /// A file with a token on each line, of which each HTTP request has to show one: Authorization:
    /// Bearer TOKEN. It is read at start. By default none is asked for.
    #[arg(long, env = "POWD_HTTP_TOKEN_FILE", value_name = "FILE")]
    http_token_file: Option<PathBuf>,

    /// Jobs (POST /v1/jobs) that wait or search at once, of all members of a cluster together; more
    /// are told that the service is busy. As many that have ended are kept.
    #[arg(long, env = "POWD_MAX_JOBS", value_name = "N", default_value = "10000", value_parser = count)]
    max_jobs: NonZeroUsize,

    /// How long a job that has ended is kept for who asks; in a cluster, 10s at least.
    #[arg(long, env = "POWD_JOB_TTL", value_name = "TIME", default_value = "1h", value_parser = duration)]
    job_ttl: Duration,
}

/// Doors that are asked for, and not bound yet.
#[derive(Debug)]
pub(super) struct Unbound {
    http: Sockets,
    admin: Sockets,
    options: Options,
}

/// Reads what is to be read, and looks up names. Sockets that were handed over take the place of
/// flags.
pub(super) fn resolve(
    args: &ServeArgs,
    http: Vec<Listener>,
    admin: Vec<Listener>,
) -> Result<Unbound, Error> {
    let flags = &args.http;
    let tokens = flags.http_token_file.as_deref().map(tokens::read);
    let options = Options {
        difficulty: args.difficulty,
        limits: Limits {
            max_difficulty: args.max_difficulty,
            deadline: args.deadline,
            idle_timeout: args.idle_timeout.unwrap_or(IDLE_TIMEOUT),
        },
        tokens: tokens.transpose()?,
        jobs: Bounds {
            max: flags.max_jobs,
            ttl: flags.job_ttl,
        },
        proxies: proxies(&args.proxy_protocol),
    };
    let unbound = Unbound {
        http: Sockets::resolve(http, flags.http.as_ref())?,
        admin: Sockets::resolve(admin, flags.admin.as_ref())?,
        options,
    };
    if flags.http_token_file.is_some() && !unbound.take_requests() {
        return Err(Error::Usage(
            "--http-token-file needs --http: only requests that come there are asked for a token, not lines, and not those to --admin"
                .to_owned(),
        ));
    }
    Ok(unbound)
}

const HTTP: &str = "--http";
const ADMIN: &str = "--admin";

impl Unbound {
    /// The addresses that are not bound yet.
    pub(super) fn asked(&self) -> impl Iterator<Item = Asked<'_>> {
        self.http.asked(HTTP).chain(self.admin.asked(ADMIN))
    }

    /// Whether requests can come by them.
    pub(super) fn take_requests(&self) -> bool {
        match &self.http {
            Sockets::HandedOver(listeners) => !listeners.is_empty(),
            Sockets::Unbound(addresses) => !addresses.is_empty(),
        }
    }

    /// Binds them.
    pub(super) fn bind(self) -> Result<Doors, Error> {
        Ok(Doors {
            http: self.http.bind(HTTP)?,
            admin: self.admin.bind(ADMIN)?,
            #[cfg(feature = "nats")]
            cluster: None,
            #[cfg(feature = "nats")]
            broker: None,
            options: self.options,
        })
    }
}

/// One line per address, with the real port.
pub(super) fn announce(doors: &Doors) -> Result<String, Error> {
    let line = |name, listener: &Listener| {
        let address = listener.address().map_err(unknown_address)?;
        Ok(format!("powd: {name} on {address}\n"))
    };
    let http = doors.http.iter().map(|listener| line("http", listener));
    let admin = doors.admin.iter().map(|listener| line("admin", listener));
    http.chain(admin).collect()
}
