//! The connection to the broker.

use std::io;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::mpsc;

use super::options::{Credentials, Options, Server};

/// How long the broker may take to answer before it counts as gone.
const PING: Duration = Duration::from_secs(5);

/// The longest wait between two attempts to reach it.
const RETRY_MAX: Duration = Duration::from_secs(1);

/// Messages of one subscription that wait to be read.
const WAITING: usize = 4096;

/// A client that never gives up, set up further by `adjust`, and what it tells of its connection.
pub(crate) async fn connect(
    options: &Options,
    adjust: impl FnOnce(ConnectOptions) -> ConnectOptions,
) -> io::Result<(Client, mpsc::Receiver<Event>)> {
    let (tell, events) = mpsc::channel(16);
    let connect = connect_options(&options.servers, options.credentials.as_ref())?
        .name(format!("powd {}", env!("CARGO_PKG_VERSION")))
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(|attempts| {
            RETRY_MAX.min(Duration::from_millis(50) * u32::try_from(attempts).unwrap_or(u32::MAX))
        })
        .ping_interval(PING)
        .subscription_capacity(WAITING)
        .event_callback(move |event| {
            // Nobody loses anything but a line in the log when there are too many.
            let _ = tell.try_send(event);
            std::future::ready(())
        });
    let client = adjust(connect).connect(servers(&options.servers)).await;
    Ok((client.map_err(io::Error::other)?, events))
}

/// Who we are: by the credentials file, or by what stands in the first address that has a user.
pub(super) fn connect_options(
    servers: &[Server],
    credentials: Option<&Credentials>,
) -> io::Result<ConnectOptions> {
    if let Some(credentials) = credentials {
        return ConnectOptions::with_credentials(credentials.text());
    }
    let options = ConnectOptions::new();
    let mut servers = servers.iter().map(Server::address);
    let Some(server) = servers.find(|server| server.username().is_some()) else {
        return Ok(options);
    };
    let text = |text: Option<&str>| text.map(str::to_owned);
    Ok(match (text(server.username()), text(server.password())) {
        (Some(user), Some(password)) => options.user_and_password(user, password),
        (Some(token), None) => options.token(token),
        (None, _) => options,
    })
}

pub(super) fn servers(servers: &[Server]) -> Vec<async_nats::ServerAddr> {
    servers.iter().map(Server::address).collect()
}
