//! The broker, as jobs see it: two streams of documents, and two subjects on which members talk.
//!
//! Under `NAME.jobs.open` stands what is asked for: a work queue, from which a document goes when
//! its job has ended. Under `NAME.jobs.ended` stands what became of it. Each job has one subject in
//! each of them, under which one document is taken and a second one is refused. What is written
//! and read here is bounded in time; nothing is kept in this process.

use std::error::Error;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use async_nats::connection::State;
use async_nats::jetstream::context::{ContextBuilder, PublishErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{Client, Message, Request, Subscriber, client};

use super::document::{Asked, Ended, Name, decode_effort};
use super::error::BrokerError;
use crate::jobs::JobError;

/// How long the broker may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// How long who searches may take to say how far it is. It may just have ended.
const EFFORT: Duration = Duration::from_millis(500);

/// What the end of a job takes more than what is asked for. It must fit as well, or the job would
/// never end.
const END_MAX: usize = 256;

/// The store has no room (`JSStreamStoreFailedF`), which is what a full stream says.
const STORE_FAILED: ErrorCode = ErrorCode(10077);

/// A connection to the broker.
#[derive(Clone, Debug)]
pub(super) struct Broker {
    client: Client,
    pub(super) context: Context,
    /// What the cluster is called.
    pub(super) cluster: String,
    pub(super) open: Stream<()>,
    ended: Stream<()>,
}

/// An open job, and when it was asked for.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) asked: Asked,
    pub(super) at: SystemTime,
    /// Its place in the queue.
    pub(super) sequence: u64,
}

/// How far the search for a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// Nobody searches.
    None,
    /// So many seeds were tried.
    Hashes(u64),
    /// Somebody searches, or did a moment ago.
    Unknown,
}

impl Effort {
    pub(super) fn hashes(self) -> u64 {
        match self {
            Effort::Hashes(hashes) => hashes,
            Effort::None | Effort::Unknown => 0,
        }
    }
}

impl Broker {
    /// On this connection. To be called on the runtime that has it.
    pub(super) async fn new(client: Client, cluster: &str) -> Result<Broker, BrokerError> {
        let context = ContextBuilder::new().timeout(ANSWER).build(client.clone());
        // It asks nobody: a stream is only named.
        let stream = async |which: &str| {
            let stream = context.get_stream_no_info(format!("{cluster}-jobs-{which}"));
            stream.await.map_err(|error| BrokerError::of(&error))
        };
        Ok(Broker {
            open: stream("open").await?,
            ended: stream("ended").await?,
            client,
            cluster: cluster.to_owned(),
            context,
        })
    }

    pub(super) fn is_there(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Which connection to the broker this is, if there is one: each is another one.
    pub(super) fn connection(&self) -> Option<u64> {
        let connects = self.client.statistics().connects.load(Relaxed);
        self.is_there().then_some(connects)
    }

    fn subject(&self, which: &str, name: &Name) -> String {
        format!("{}.jobs.{which}.{name}", self.cluster)
    }

    /// Queues a job, unless one of that name is there. Whether it did.
    pub(super) async fn put_open(&self, name: &Name, asked: &Asked) -> Result<bool, JobError> {
        // How much it takes is known once it was there.
        self.expect_there()?;
        let document = asked.encode();
        let most = self.client.server_info().max_payload;
        if document.len() + END_MAX > most {
            return Err(JobError::TooLong(most));
        }
        self.put(self.subject("open", name), document).await
    }

    /// Notes the end of a job, unless it has ended. Whether it did.
    pub(super) async fn put_ended(&self, name: &Name, ended: &Ended) -> Result<bool, JobError> {
        self.put(self.subject("ended", name), ended.encode()).await
    }

    /// Writes the first document under a subject.
    async fn put(&self, subject: String, document: Vec<u8>) -> Result<bool, JobError> {
        self.expect_there()?;
        let message = PublishMessage::build()
            .payload(document.into())
            .expected_last_subject_sequence(0);
        let written = match self.context.send_publish(subject.clone(), message).await {
            Ok(sent) => sent.await,
            Err(error) => Err(error),
        };
        match written {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(false),
            Err(error) if is_full(&error) => Err(JobError::Full),
            Err(error) if error.kind() == PublishErrorKind::StreamNotFound => {
                Err(self.no_stream(subject).await)
            }
            Err(error) if error.kind() == PublishErrorKind::TimedOut => {
                Err(BrokerError::Late.into())
            }
            Err(error) => Err(BrokerError::of(&error).into()),
        }
    }

    /// Why no stream takes what is written under a subject: the broker keeps none at all, or not
    /// these. What is written is not told which.
    async fn no_stream(&self, subject: String) -> JobError {
        let read = self.read(&self.open, subject).await;
        read.err().unwrap_or(BrokerError::NoStreams.into())
    }

    /// The open job of that name.
    pub(super) async fn open(&self, name: &Name) -> Result<Option<Open>, JobError> {
        let message = self.read(&self.open, self.subject("open", name)).await?;
        let open = message.map(|message| {
            let asked = Asked::decode(&message.payload);
            let asked = asked.ok_or_else(|| spoiled(&message))?;
            Ok(Open {
                asked,
                at: message.time.into(),
                sequence: message.sequence,
            })
        });
        open.transpose()
    }

    /// The ended job of that name.
    pub(super) async fn ended(&self, name: &Name) -> Result<Option<Ended>, JobError> {
        let message = self.read(&self.ended, self.subject("ended", name)).await?;
        let ended = message.map(|message| {
            let ended = Ended::decode(&message.payload);
            ended.ok_or_else(|| spoiled(&message))
        });
        ended.transpose()
    }

    /// The document under a subject, as who leads the stream has it: a copy may be behind.
    async fn read(
        &self,
        stream: &Stream<()>,
        subject: String,
    ) -> Result<Option<StreamMessage>, JobError> {
        self.expect_there()?;
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(BrokerError::of(&error).into()),
        }
    }

    /// Takes a job that has ended out of the queue, wherever it stands there.
    pub(super) async fn take_out(&self, sequence: u64) {
        // Where it is left, or has gone already: who takes it sees that it has ended.
        let _ = self.open.delete_message(sequence).await;
    }

    /// Tells who waits for its end, and who searches for it, that a job has ended.
    pub(super) async fn tell_over(&self, name: &Name) {
        // Who does not hear of it looks now and then.
        let subject = self.subject("over", name);
        let _ = self.client.publish(subject, Vec::new().into()).await;
    }

    pub(super) async fn hear_over(&self, name: &Name) -> Result<Subscriber, JobError> {
        // Each who waits would fill the queue of what waits for a connection, and what finds it
        // full hangs.
        self.expect_there()?;
        self.subscribe(self.subject("over", name)).await
    }

    /// Asks who searches for a job how far it is.
    pub(super) async fn effort(&self, name: &Name) -> Effort {
        let request = Request::new().timeout(Some(EFFORT));
        let subject = self.subject("effort", name);
        match self.client.send_request(subject, request).await {
            Ok(answer) => decode_effort(&answer.payload).map_or(Effort::Unknown, Effort::Hashes),
            Err(error) if error.kind() == client::RequestErrorKind::NoResponders => Effort::None,
            Err(_) => Effort::Unknown,
        }
    }

    pub(super) async fn hear_effort(&self, name: &Name) -> Result<Subscriber, JobError> {
        self.subscribe(self.subject("effort", name)).await
    }

    pub(super) async fn answer(&self, request: Message, payload: String) {
        if let Some(reply) = request.reply {
            // Who asked asks again.
            let _ = self.client.publish(reply, payload.into()).await;
        }
    }

    async fn subscribe(&self, subject: String) -> Result<Subscriber, JobError> {
        let subscribed = self.client.subscribe(subject).await;
        subscribed.map_err(|error| BrokerError::of(&error).into())
    }

    /// Waits until everything said so far has left.
    pub(super) async fn flush(&self) {
        let _ = tokio::time::timeout(ANSWER, self.client.flush()).await;
    }

    /// What is sent without a connection would come at its return, when nobody expects it any more.
    fn expect_there(&self) -> Result<(), BrokerError> {
        self.is_there().then_some(()).ok_or(BrokerError::Away)
    }
}

fn is_full(error: &(dyn Error + 'static)) -> bool {
    let said = error.source().and_then(|cause| cause.downcast_ref());
    said.is_some_and(|said: &jetstream::Error| said.error_code() == STORE_FAILED)
}

/// Somebody else has written there.
fn spoiled(message: &StreamMessage) -> JobError {
    let subject = message.subject.as_str();
    tracing::error!(subject, "what the broker keeps of a job cannot be read");
    JobError::Failed("what is kept of this job cannot be read: see the log".to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use async_nats::ConnectOptions;
    use powd_core::Difficulty;
    use tokio::runtime::Builder;

    use super::*;
    use crate::engine::Query;

    #[test]
    fn who_waits_for_a_job_does_not_wait_for_the_broker() {
        // It connects, and hears nothing.
        let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = silent.local_addr().expect("it is bound").to_string();
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.expect("a poll").block_on(async {
            let options = ConnectOptions::new().retry_on_initial_connect();
            let client = options.connect(address).await.expect("it may come later");
            let broker = Broker::new(client, "powd").await.expect("it asks nobody");
            let name = Name::drawn().expect("entropy");
            let heard = broker.hear_over(&name).await.err();
            assert_eq!(heard, Some(BrokerError::Away.into()));
            // Nor does who asks for one, who is not told that it is too long.
            let query = Query {
                message: b"hello".to_vec(),
                difficulty: Difficulty::NONE,
                seed_length: None,
                deadline: None,
            };
            let asked = Asked::new(query).expect("entropy");
            let put = broker.put_open(&name, &asked).await;
            assert_eq!(put, Err(BrokerError::Away.into()));
        });
    }
}
