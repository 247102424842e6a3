//! What is answered in place of a result by the doors that have room to say why: a code for
//! programs, with a status as of HTTP, and a detail for people.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use crate::engine::SolveError;

/// Defines the codes, with the status and the word of each: one list, of which the counters are
/// made too.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal $word:literal,)+) => {
        /// What kind of problem it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            $($(#[$doc])* $name,)+
        }

        impl Code {
            /// All of them, in the order of their numbers.
            pub(crate) const ALL: &[Code] = &[$(Code::$name,)+];

            /// The status of HTTP (RFC 9110).
            pub(crate) fn status(self) -> u16 {
                match self {
                    $(Code::$name => $status,)+
                }
            }

            /// The word that clients can rely on.
            pub(crate) fn word(self) -> &'static str {
                match self {
                    $(Code::$name => $word,)+
                }
            }
        }
    };
}

codes! {
    /// The request cannot be understood.
    Malformed = 400 "malformed",
    /// Who asked has gone: nobody hears this. Who asks by HTTP has, once it ends its half of the
    /// connection. A job that is cancelled is counted as such.
    Gone = 400 "gone",
    /// No token, or one that is not known.
    Token = 401 "token",
    /// An address that is not served.
    Denied = 403 "denied",
    /// No such path, or no such job.
    NotFound = 404 "not-found",
    /// A path that takes other methods.
    Method = 405 "method",
    /// A message longer than allowed.
    TooLong = 413 "too-long",
    /// A body of a type that is not taken.
    MediaType = 415 "media-type",
    /// A body in an encoding, such as one that is compressed.
    Encoding = 415 "encoding",
    /// No difficulty, or a higher one than allowed.
    Difficulty = 422 "difficulty",
    /// An idempotency key that was used for another job.
    Idempotency = 422 "idempotency",
    /// No seed of any length is a solution.
    Exhausted = 422 "exhausted",
    /// Too many connections from one address.
    BusyAddress = 429 "busy",
    /// Too many connections, requests or jobs.
    Busy = 503 "busy",
    /// The broker, which keeps the jobs, does not answer.
    Broker = 503 "broker",
    /// The service ends.
    Draining = 503 "draining",
    /// The search took longer than allowed.
    Deadline = 504 "deadline",
    /// A bug.
    Failed = 500 "failed",
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// A code, and what is said to people. As JSON it is what stands in place of a single answer among
/// others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub(crate) struct Problem {
    /// What kind of problem it is: a word that clients can rely on.
    #[cfg_attr(feature = "http", schema(value_type = String, example = "difficulty"))]
    pub(crate) code: Code,
    /// What is wrong here, for people.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub(crate) detail: Cow<'static, str>,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem {
            code,
            detail: detail.into(),
        }
    }

    pub(crate) fn malformed(detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(Code::Malformed, detail)
    }

    pub(crate) fn draining() -> Problem {
        Problem::new(Code::Draining, "this server is ending: ask again later")
    }
}

impl From<SolveError> for Problem {
    fn from(error: SolveError) -> Problem {
        let code = match error {
            SolveError::TooLong { .. } => Code::TooLong,
            SolveError::Deadline => Code::Deadline,
            SolveError::Exhausted => Code::Exhausted,
            SolveError::Draining => return Problem::draining(),
            SolveError::Failed => Code::Failed,
        };
        Problem::new(code, error.to_string())
    }
}
