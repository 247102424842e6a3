//! The flags of the cluster, and what they mean.

use std::path::PathBuf;

use super::Args as ServeArgs;
use crate::cli::Error;
use crate::cli::values::credentials;
use crate::cluster::{Name, Options, Server};

#[derive(Debug, clap::Args)]
#[group(id = "cluster")]
pub(super) struct Flags {
    /// Join the cluster behind this NATS broker, nats://HOST:PORT or tls://HOST:PORT, several
    /// addresses separated by commas: idle cores of all members help with hard searches, and who
    /// asks powd.solve gets an answer from one of them. Jobs (POST /v1/jobs) are kept at the broker
    /// then, which needs JetStream for them, and are found at every member. By default this machine
    /// is alone. A broker that is not there is waited for.
    #[arg(
        long,
        env = "POWD_NATS",
        hide_env_values = true,
        value_name = "URL",
        value_delimiter = ','
    )]
    nats: Vec<Server>,

    /// A file that proves to the broker who this is, as nsc makes it. It is read at start.
    #[arg(long, env = "POWD_NATS_CREDS", value_name = "FILE", requires = "nats")]
    nats_creds: Option<PathBuf>,

    /// What the cluster is called, and the subjects begin with; by default powd. Two clusters on
    /// one broker need two names.
    #[arg(long, env = "POWD_NATS_NAME", value_name = "NAME", requires = "nats")]
    nats_name: Option<Name>,
}

/// Files of a member: its connection to the broker and its runtime (a poll, its copy, a waker), and
/// the same again for the jobs that are kept there.
pub(super) const FILES: usize = 8;

/// What a member is told, if this is to be one.
pub(super) fn options(args: &ServeArgs) -> Result<Option<Options>, Error> {
    let flags = &args.nats;
    if flags.nats.is_empty() {
        return Ok(None);
    }
    Ok(Some(Options {
        servers: flags.nats.clone(),
        credentials: credentials(flags.nats_creds.as_deref())?,
        name: flags.nats_name.clone().unwrap_or_default(),
        difficulty: args.difficulty,
        max_difficulty: args.max_difficulty,
        deadline: args.deadline,
    }))
}
