//! The doors by HTTP: the API for those who ask, and the admin address for those who watch.
//!
//! Each has threads of its own, which are bound to no CPU; the workers of the [engine](crate::engine) are asked through
//! its [`Handle`](crate::engine::Handle). The API runs on several threads, the admin address on one, so that it answers while the API has more
//! than it can do. The only user of an async runtime. It must know nothing of kernels, nor of the command line.

mod admin;
mod api;
mod counters;
mod door;
mod gate;
mod options;
mod peer;
mod problem;
mod socket;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use tokio::runtime::{Builder, Runtime};

use crate::cpus;
use crate::engine::EngineError;
use crate::line;
use crate::sockets;

pub use options::{Jobs, Limits, Options, TokenError, Tokens};

/// Why a door by HTTP could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Its threads could not be started.
    #[error(transparent)]
    Start(#[from] EngineError),
}

/// A bound, listening socket for HTTP.
#[derive(Debug)]
pub struct Listener(std::net::TcpListener);

impl Listener {
    /// Binds `address` (port 0: one that is free) and listens.
    ///
    /// # Errors
    ///
    /// When the address is taken, or not one of this machine, or not allowed to this user.
    pub fn bind(address: SocketAddr) -> Result<Listener, HttpError> {
        let listen = || {
            let socket = sockets::listen(address)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        listen()
            .map(Listener)
            .map_err(|source| HttpError::Listen { address, source })
    }

    /// The address it is bound to, with its real port.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// To be called on the runtime that it is to be used on.
    fn into_tokio(self) -> io::Result<tokio::net::TcpListener> {
        tokio::net::TcpListener::from_std(self.0)
    }
}

/// The doors of one service that speak HTTP, and what they are told.
#[derive(Debug)]
pub struct Doors {
    /// Where the API is, if anywhere.
    pub http: Option<Listener>,
    /// Where the admin address is, if anywhere.
    pub admin: Option<Listener>,
    /// What they are told.
    pub options: Options,
}

impl Doors {
    /// Opens them on a running service. When it returns, connections are accepted.
    ///
    /// # Errors
    ///
    /// When the system does not give a thread or a poll.
    pub fn open(self, server: &mut line::Server) -> Result<(), HttpError> {
        let Doors {
            http,
            admin,
            options,
        } = self;
        let api = api::Api::new(server.control().engine().clone(), options);
        if let Some(listener) = admin {
            let watched = admin::Watched::new(server.control(), api.clone());
            admin::open(listener, watched)?;
        }
        if let Some(listener) = http {
            let threads = NonZeroUsize::new(cpus::available()).unwrap_or(NonZeroUsize::MIN);
            let runtime = runtime("http", threads)?;
            let admission = std::sync::Arc::clone(server.admission());
            door::open(server.engine(), listener, admission, api, runtime)?;
        }
        Ok(())
    }
}

/// A runtime with so many threads of that name.
fn runtime(name: &str, threads: NonZeroUsize) -> Result<Runtime, EngineError> {
    Builder::new_multi_thread()
        .worker_threads(threads.get())
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(EngineError::Start)
}
