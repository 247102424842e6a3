//! Why the broker keeps no jobs, or tells nothing of them.

use std::error::Error;
use std::fmt;

use async_nats::jetstream::context::{RequestError, RequestErrorKind};
use async_nats::jetstream::{self, ErrorCode};

use crate::jobs::JobError;

/// Why the broker keeps nothing, or tells nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BrokerError {
    /// There is no connection.
    Away,
    /// Nobody keeps streams there.
    NoJetStream,
    /// It does not answer.
    Late,
    /// What it says.
    Refused(String),
}

impl BrokerError {
    /// What an error means, by what caused it.
    pub(super) fn of(error: &(dyn Error + 'static)) -> BrokerError {
        let mut next = Some(error);
        while let Some(cause) = next {
            next = cause.source();
            let request = cause.downcast_ref::<RequestError>().map(RequestError::kind);
            match request {
                Some(RequestErrorKind::NoResponders) => return BrokerError::NoJetStream,
                Some(RequestErrorKind::TimedOut) => return BrokerError::Late,
                _ => {}
            }
            if let Some(said) = cause.downcast_ref::<jetstream::Error>() {
                return match said.error_code() {
                    ErrorCode::JETSTREAM_NOT_ENABLED
                    | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => BrokerError::NoJetStream,
                    _ => BrokerError::Refused(said.to_string()),
                };
            }
        }
        BrokerError::Refused(error.to_string())
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BrokerError::Away => f.write_str("the broker is not there: try again later"),
            BrokerError::NoJetStream => f.write_str(
                "the broker keeps no jobs: start it with JetStream, nats-server -js -sd DIR",
            ),
            BrokerError::Late => f.write_str("the broker does not answer: try again later"),
            BrokerError::Refused(said) => write!(f, "the broker does not keep jobs: {said}"),
        }
    }
}

impl From<BrokerError> for JobError {
    fn from(error: BrokerError) -> JobError {
        JobError::Broker(error)
    }
}
