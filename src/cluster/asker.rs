//! Asking a cluster, without being one of its members.

use std::io;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::connection::State;
use async_nats::{Client, ConnectErrorKind, Event, HeaderMap, Message, Request, ServerError};
use futures_util::StreamExt as _;
use powd_core::Difficulty;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connection::{connect_options, servers};
use super::options::{Credentials, Name, Server};
use super::requests::{DIFFICULTY, ERROR, ERROR_CODE, PROGRESS};
use crate::protocol::Reply;

/// How long the broker may take to be there.
const CONNECT: Duration = Duration::from_secs(5);

/// Messages that are asked for at once: easy ones need not wait for each other's way.
const AT_ONCE: usize = 64;

/// A member that tells nothing of a search for so long has gone, or the broker has.
const SILENT: Duration = Duration::from_secs(5);

/// How long to wait before a member that had enough to do is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// What a member tells of a search each second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Seeds tried for it, by all members.
    pub hashes: u64,
    /// Members that search for it.
    pub members: u64,
}

/// Why the cluster does not answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no broker.
    #[error("cannot reach the broker: {0}")]
    Connect(String),
    /// It does not want us.
    #[error("the broker does not let us in: {0}")]
    Unwelcome(ConnectErrorKind),
    /// Nobody listens.
    #[error("no member of the cluster is there: start one with powd serve --nats")]
    Nobody,
    /// The broker does not let us ask.
    #[error("the broker forbids it: {0}: its user needs that permission, or --nats-name is wrong")]
    Forbidden(String),
    /// A member says why it does not answer.
    #[error("the cluster says: {0}")]
    Refused(String),
    /// An answer that is none.
    #[error("a member answered wrongly: {0}")]
    Wrong(String),
    /// The connection failed.
    #[error("the connection to the broker failed: {0}")]
    Lost(String),
    /// The system gives no thread or poll.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
}

/// A connection to a cluster.
#[derive(Debug)]
pub struct Asker {
    runtime: Runtime,
    client: Client,
    name: Name,
    /// What the broker forbids, once it has said so. That message or subscription is gone, and
    /// nothing else tells of it.
    forbidden: watch::Receiver<Option<String>>,
}

impl Asker {
    /// Connects to the broker.
    ///
    /// # Errors
    ///
    /// When it is not there within some seconds, or does not want us.
    pub fn connect(
        at: &[Server],
        credentials: Option<&Credentials>,
        name: Name,
    ) -> Result<Asker, AskError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(AskError::Start)?;
        let failed = |error: &dyn std::fmt::Display| AskError::Connect(error.to_string());
        let (forbid, forbidden) = watch::channel(None);
        let options = connect_options(at, credentials).map_err(|error| failed(&error))?;
        let options = options.event_callback(move |event| {
            if let Event::ServerError(ServerError::Other(told)) = event
                && is_prohibition(&told)
            {
                forbid.send_replace(Some(told));
            }
            std::future::ready(())
        });
        let client = runtime.block_on(async {
            let connecting = options.connection_timeout(CONNECT).connect(servers(at));
            match timeout(CONNECT, connecting).await {
                Ok(connected) => connected.map_err(|error| match error.kind() {
                    kind @ (ConnectErrorKind::AuthorizationViolation
                    | ConnectErrorKind::Authentication) => AskError::Unwelcome(kind),
                    _ => failed(&error),
                }),
                Err(_) => Err(failed(&"it does not answer")),
            }
        })?;
        Ok(Asker {
            runtime,
            client,
            name,
            forbidden,
        })
    }

    /// Asks for a seed before each message. `answered` gets the reply lines, in order, without
    /// their newlines; `told` what is heard of the message that is answered next.
    ///
    /// # Errors
    ///
    /// When a message gets no answer, and what `answered` fails with.
    pub fn solve<E: From<AskError>>(
        &self,
        messages: &[&[u8]],
        difficulty: Difficulty,
        told: impl Fn(usize, News),
        mut answered: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let told = &told;
        let searches = messages.iter().enumerate();
        let searches = searches.map(|(number, message)| {
            self.search(message, difficulty, move |news| told(number, news))
        });
        self.runtime.block_on(async {
            let mut replies = futures_util::stream::iter(searches).buffered(AT_ONCE);
            loop {
                tokio::select! {
                    // What has been answered is answered.
                    biased;
                    reply = replies.next() => match reply {
                        Some(reply) => answered(&reply?)?,
                        None => return Ok(()),
                    },
                    told = self.forbidden() => return Err(AskError::Forbidden(told).into()),
                }
            }
        })
    }

    /// Ends when the broker has forbidden something, and says what.
    async fn forbidden(&self) -> String {
        let mut forbidden = self.forbidden.clone();
        match forbidden.wait_for(Option::is_some).await {
            Ok(told) => told.clone().unwrap_or_default(),
            // The client has gone, which the search itself hears of.
            Err(_) => std::future::pending().await,
        }
    }

    /// Asks until a member has answered.
    async fn search(
        &self,
        message: &[u8],
        difficulty: Difficulty,
        told: impl Fn(News),
    ) -> Result<Vec<u8>, AskError> {
        loop {
            let Some(reply) = self.ask_once(message, difficulty, &told).await? else {
                // Another one may have time, or be alive.
                sleep(PAUSE).await;
                continue;
            };
            let wrong = |fault: &dyn std::fmt::Display| AskError::Wrong(fault.to_string());
            let parsed = Reply::parse(&reply).map_err(|fault| wrong(&fault))?;
            parsed.check(difficulty).map_err(|fault| wrong(&fault))?;
            if parsed.message != message {
                return Err(wrong(&"it is for another message"));
            }
            return Ok(reply);
        }
    }

    /// Asks one member. `None`: it has no time, or died.
    async fn ask_once(
        &self,
        message: &[u8],
        difficulty: Difficulty,
        told: &impl Fn(News),
    ) -> Result<Option<Vec<u8>>, AskError> {
        let lost = |error: &dyn std::fmt::Display| AskError::Lost(error.to_string());
        let inbox = self.client.new_inbox();
        let subscribed = self.client.subscribe(inbox.clone()).await;
        let mut news = subscribed.map_err(|error| lost(&error))?;
        let mut headers = HeaderMap::new();
        headers.insert(DIFFICULTY, difficulty.to_string());
        headers.insert(PROGRESS, inbox);
        let request = Request::new()
            .headers(headers)
            .payload(message.to_vec().into())
            .timeout(None);
        let subject = format!("{}.solve", self.name.as_str());
        let mut answer = std::pin::pin!(self.client.send_request(subject, request));
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                answer = &mut answer => return match answer {
                    Ok(answer) => taken(answer),
                    Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                        Err(AskError::Nobody)
                    }
                    Err(error) => Err(lost(&error)),
                },
                Some(message) = news.next() => {
                    heard = Instant::now();
                    if let Some(reply) = message.reply {
                        // That is how the member knows that somebody is there.
                        let _ = self.client.publish(reply, "".into()).await;
                    }
                    if let Some(news) = News::parse(&message.payload) {
                        told(news);
                    }
                }
                () = sleep_until(heard + SILENT) => return match self.client.connection_state() {
                    State::Connected => Ok(None),
                    _ => Err(lost(&"it is gone")),
                },
            }
        }
    }
}

/// Whether the broker says that its user may not do something (nats-server, `client.go`).
fn is_prohibition(told: &str) -> bool {
    told.starts_with("Permissions Violation")
}

/// What a member has answered. `None`: it has no time.
fn taken(answer: Message) -> Result<Option<Vec<u8>>, AskError> {
    let header = |name| {
        let headers = answer.headers.as_ref()?;
        headers.get(name).map(|value| value.as_str().to_owned())
    };
    match header(ERROR_CODE).as_deref() {
        None => Ok(Some(answer.payload.to_vec())),
        Some("503") => Ok(None),
        // A code, and behind a space what it means.
        Some(_) => Err(AskError::Refused(
            header(ERROR).unwrap_or_default().replacen(' ', ": ", 1),
        )),
    }
}

impl News {
    /// Those of a line: version, hashes, other members at it, and what may follow.
    fn parse(line: &[u8]) -> Option<News> {
        let mut fields = str::from_utf8(line).ok()?.split(' ');
        (fields.next()? == "1").then_some(())?;
        Some(News {
            hashes: fields.next()?.parse().ok()?,
            members: fields.next()?.parse::<u64>().ok()?.saturating_add(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_read_if_they_are_of_this_version() {
        let news = News {
            hashes: 5,
            members: 3,
        };
        assert_eq!(News::parse(b"1 5 2 7 1000"), Some(news));
        for other in ["", "1", "1 5", "2 5 2 7 1000", "1 x 2", "1 5 -1"] {
            assert_eq!(News::parse(other.as_bytes()), None, "{other:?}");
        }
    }
}
