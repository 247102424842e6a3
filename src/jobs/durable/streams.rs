//! What jobs are kept in: two streams of JetStream, and the end of a queue that members take from.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::CreateStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use super::broker::Broker;
use super::error::BrokerError;
use crate::jobs::Bounds;

/// A member that does not extend the time of its job for so long has died: another one gets it.
const ACK_WAIT: Duration = Duration::from_secs(5);

/// The shortest that ended jobs are kept: a member that took up what has ended must see that.
const TTL_MIN: Duration = Duration::from_secs(10);

/// The longest that the broker can count.
const TTL_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Members that can wait for a job, and search for one, at once.
const MEMBERS: i64 = 4096;

/// What the broker remembers message ids for; there are none.
const DUPLICATES: Duration = Duration::from_secs(1);

impl Broker {
    /// Makes what jobs are kept in, where it is not there yet, and gives it these bounds. Returns
    /// the end of the queue that all members take from.
    pub(super) async fn prepare(&self, bounds: Bounds) -> Result<PullConsumer, BrokerError> {
        let max_messages = bounds.max.get().try_into().unwrap_or(i64::MAX);
        let config = |which: &str| Config {
            name: format!("{}-jobs-{which}", self.cluster),
            subjects: vec![format!("{}.jobs.{which}.*", self.cluster)],
            storage: StorageType::File,
            max_messages,
            duplicate_window: DUPLICATES,
            ..Config::default()
        };
        let open = Config {
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            ..config("open")
        };
        let ended = Config {
            discard: DiscardPolicy::Old,
            max_age: bounds.ttl.clamp(TTL_MIN, TTL_MAX),
            ..config("ended")
        };
        self.prepare_stream(ended).await?;
        self.prepare_stream(open).await?;
        let consumer = pull::Config {
            durable_name: Some("members".to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_waiting: MEMBERS,
            max_ack_pending: MEMBERS,
            ..pull::Config::default()
        };
        let consumer = self.open.create_consumer(consumer).await;
        consumer.map_err(|error| BrokerError::of(&error))
    }

    /// What an operator has set besides bounds, such as replicas, stays.
    async fn prepare_stream(&self, config: Config) -> Result<(), BrokerError> {
        let (max_messages, max_age) = (config.max_messages, config.max_age);
        let stream = self.context.get_or_create_stream(config).await;
        let stream = stream.map_err(|error| match error.kind() {
            CreateStreamErrorKind::JetStreamUnavailable => BrokerError::NoJetStream,
            _ => BrokerError::of(&error),
        })?;
        let kept = &stream.cached_info().config;
        if (kept.max_messages, kept.max_age) == (max_messages, max_age) {
            return Ok(());
        }
        let config = Config {
            max_messages,
            max_age,
            ..kept.clone()
        };
        let updated = self.context.update_stream(config).await;
        updated.map(drop).map_err(|error| BrokerError::of(&error))
    }
}
