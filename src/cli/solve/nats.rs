//! `powd solve --nats`: the cluster searches.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Args;
use super::display::Display;
use crate::cli::values::{MAX_MESSAGE_BYTES, credentials};
use crate::cli::{Error, closed_output, lines};
use crate::cluster::{AskError, Asker, Name, Server};

#[derive(Debug, clap::Args)]
#[group(id = "cluster")]
pub(super) struct Flags {
    /// Ask the cluster behind this NATS broker, nats://HOST:PORT; several addresses are separated by
    /// commas. Its members decide about everything but the difficulty.
    #[arg(
        long,
        value_name = "URL",
        value_delimiter = ',',
        conflicts_with_all = ["threads", "kernel", "seed_length", "rng_seed"]
    )]
    nats: Vec<Server>,

    /// A file that proves to the broker who this is, as nsc makes it.
    #[arg(long, value_name = "FILE", requires = "nats")]
    nats_creds: Option<PathBuf>,

    /// What the cluster is called; by default powd.
    #[arg(long, value_name = "NAME", requires = "nats")]
    nats_name: Option<Name>,
}

impl Flags {
    pub(super) fn is_given(&self) -> bool {
        !self.nats.is_empty()
    }
}

impl From<AskError> for Error {
    fn from(error: AskError) -> Error {
        Error::Failed(error.to_string())
    }
}

pub(super) fn run(args: Args) -> Result<ExitCode, Error> {
    let flags = args.nats;
    let credentials = credentials(flags.nats_creds.as_deref())?;
    let name = flags.nats_name.unwrap_or_default();
    let asker = Asker::connect(&flags.nats, credentials.as_ref(), name)?;
    let in_all = Some(args.messages.len() as u64).filter(|&number| number > 0);
    let (tried, members) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let counted = Arc::clone(&tried);
    let display = Display::new(args.difficulty, in_all, move || counted.load(Relaxed))?;
    let display = display.with_members(Arc::clone(&members));
    let shown = display.clone();
    closed_output::end_with_reader(move || shown.clear())?;
    // Messages answered before the batch at hand.
    let mut before = 0;
    let solved = lines::for_each_batch(args.messages, MAX_MESSAGE_BYTES, |messages, output| {
        // Of the one that is shown: the others are easy, or wait for it.
        let shown = AtomicU64::new(0);
        let hashes = AtomicU64::new(0);
        display.search(before + 1);
        asker.solve(
            messages,
            args.difficulty,
            |number, news| {
                if number as u64 == shown.load(Relaxed) {
                    let more = news.hashes.saturating_sub(hashes.load(Relaxed));
                    hashes.fetch_add(more, Relaxed);
                    tried.fetch_add(more, Relaxed);
                    members.store(news.members, Relaxed);
                }
            },
            |line| {
                display
                    .aside(|| {
                        output.write_all(line)?;
                        output.write_all(b"\n")?;
                        // The next one may take long.
                        output.flush()
                    })
                    .map_err(Error::Stream)?;
                hashes.store(0, Relaxed);
                let answered = shown.fetch_add(1, Relaxed) + 1;
                if answered < messages.len() as u64 {
                    display.search(before + answered + 1);
                }
                Ok::<(), Error>(())
            },
        )?;
        before += messages.len() as u64;
        display.rest();
        Ok(())
    });
    display.clear();
    solved?;
    Ok(ExitCode::SUCCESS)
}
