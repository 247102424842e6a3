//! Why the broker keeps no jobs, or tells nothing of them.

use std::error::Error;
use std::fmt;

use async_nats::jetstream::context::{RequestError, RequestErrorKind};
use async_nats::jetstream::stream::{LastRawMessageError, LastRawMessageErrorKind};
use async_nats::jetstream::{self, ErrorCode};

use crate::jobs::JobError;

/// Why the broker keeps nothing, or tells nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BrokerError {
    /// There is no connection.
    Away,
    /// Nobody keeps streams there.
    NoJetStream,
    /// Those of jobs are not made yet, or not any more.
    NoStreams,
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
            if let Some(said) = said_by(cause) {
                return match said.error_code() {
                    ErrorCode::JETSTREAM_NOT_ENABLED
                    | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => BrokerError::NoJetStream,
                    ErrorCode::STREAM_NOT_FOUND => BrokerError::NoStreams,
                    _ => BrokerError::Refused(said.to_string()),
                };
            }
        }
        BrokerError::Refused(error.to_string())
    }
}

/// What the broker itself says. Who reads a message hears that by way of its own errors.
fn said_by(cause: &(dyn Error + 'static)) -> Option<jetstream::Error> {
    let reading = cause.downcast_ref().map(LastRawMessageError::kind);
    match reading {
        Some(LastRawMessageErrorKind::JetStream(said)) => Some(said),
        _ => cause.downcast_ref().cloned(),
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BrokerError::Away => f.write_str("the broker is not there: try again later"),
            BrokerError::NoJetStream => f.write_str(
                "the broker keeps no jobs: start it with JetStream, nats-server -js -sd DIR",
            ),
            BrokerError::NoStreams => {
                f.write_str("the streams of jobs are not made yet: try again later")
            }
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
