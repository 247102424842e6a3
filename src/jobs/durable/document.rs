//! What the broker keeps of jobs, as bytes. CLUSTER.md describes them for those who write members
//! in other languages.
//!
//! A document is one line of fields, as the messages between members are, then a newline and the
//! message that is searched for. Nothing here knows a broker or a clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use powd_core::{Difficulty, Seed, SeedLength, Solution, verify};

use crate::cluster::digits;
use crate::engine::{MessageBytes, Query, SolveError};
use crate::jobs::{JobError, Key, State, secret};

/// The version that is written and read here.
const VERSION: u64 = 1;

/// The most bytes of a line.
const LINE_MAX: usize = 256;

/// The hex digits of a [`Name`], and of a secret.
const HEX: usize = 32;

/// What a job is called at the broker: the last token of its subjects. It is drawn, or made of the
/// job's key: so that the broker, which takes one document under each subject, begins one job for
/// each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(String);

/// What a job is called by clients: its name, and a secret that is drawn. A key may be guessed, and
/// with it the name; the whole is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) name: Name,
    pub(super) secret: String,
}

/// A job that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) secret: String,
    pub(super) query: Query,
}

/// A job that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) asked: Asked,
    pub(super) end: End,
    /// Seeds tried for it, by who ended it and its helpers.
    pub(super) hashes: u64,
    /// From the request to the end.
    pub(super) time: Duration,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Found(Solution),
    Cancelled,
    Failed(SolveError),
}

impl Name {
    pub(super) fn drawn() -> Result<Name, JobError> {
        secret().map(Name)
    }

    pub(super) fn of_key(key: &Key) -> Name {
        Name(hex::encode(&key[..HEX / 2]))
    }
}

impl FromStr for Name {
    type Err = ();

    fn from_str(text: &str) -> Result<Name, ()> {
        is_hex(text).then(|| Name(text.to_owned())).ok_or(())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Id {
    type Err = ();

    fn from_str(text: &str) -> Result<Id, ()> {
        let (name, secret) = text.split_at_checked(HEX).ok_or(())?;
        Ok(Id {
            name: name.parse()?,
            secret: is_hex(secret).then(|| secret.to_owned()).ok_or(())?,
        })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.secret)
    }
}

impl Asked {
    /// A new job. Its deadline counts in whole milliseconds, as it is written.
    pub(super) fn new(query: Query) -> Result<Asked, JobError> {
        let whole = |limit: Duration| {
            let milliseconds = limit.as_nanos().div_ceil(1_000_000);
            Duration::from_millis(milliseconds.try_into().unwrap_or(u64::MAX))
        };
        Ok(Asked {
            secret: secret()?,
            query: Query {
                deadline: query.deadline.map(whole),
                ..query
            },
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.encode_with("")
    }

    fn encode_with(&self, more: &str) -> Vec<u8> {
        let Query {
            message,
            difficulty,
            seed_length,
            deadline,
        } = &self.query;
        let length = seed_length.map_or(0, SeedLength::get);
        let deadline = deadline.map_or(0, |limit| limit.as_millis());
        let secret = &self.secret;
        let line = format!("{VERSION} {secret} {difficulty} {length} {deadline}{more}\n");
        [line.as_bytes(), message].concat()
    }

    pub(super) fn decode(document: &[u8]) -> Option<Asked> {
        let (asked, mut fields) = Asked::decode_first(document)?;
        fields.next().is_none().then_some(asked)
    }

    /// What both kinds of document begin with, and the fields behind it.
    fn decode_first(document: &[u8]) -> Option<(Asked, Fields<'_>)> {
        let head = &document[..document.len().min(LINE_MAX)];
        let end = memchr::memchr(b'\n', head)?;
        let message = &document[end + 1..];
        let mut fields = str::from_utf8(&head[..end]).ok()?.split(' ');
        let secret = match number(&mut fields)? {
            VERSION => fields.next()?,
            _ => return None,
        };
        let difficulty = Difficulty::new(number(&mut fields)?).ok()?;
        let seed_length = match number(&mut fields)? {
            0 => None,
            length => Some(SeedLength::new(length).ok()?),
        };
        let deadline = match number(&mut fields)? {
            0 => None,
            milliseconds => Some(Duration::from_millis(milliseconds)),
        };
        let fits = is_hex(secret) && message.len() <= MessageBytes::MAX.get();
        let asked = Asked {
            secret: secret.to_owned(),
            query: Query {
                message: message.to_vec(),
                difficulty,
                seed_length,
                deadline,
            },
        };
        fits.then_some((asked, fields))
    }
}

impl Ended {
    pub(super) fn encode(&self) -> Vec<u8> {
        let end = match &self.end {
            End::Found(solution) => format!("found {}", solution.seed()),
            End::Cancelled => "cancelled".to_owned(),
            End::Failed(SolveError::TooLong { max }) => format!("failed too-long {max}"),
            End::Failed(SolveError::Deadline) => "failed deadline".to_owned(),
            End::Failed(SolveError::Exhausted) => "failed exhausted".to_owned(),
            // A drain ends no job: it is given back.
            End::Failed(SolveError::Failed | SolveError::Draining) => "failed failed".to_owned(),
        };
        let (hashes, time) = (self.hashes, self.time.as_micros());
        self.asked.encode_with(&format!(" {hashes} {time} {end}"))
    }

    /// Reads a document, and checks its seed: nobody is believed.
    pub(super) fn decode(document: &[u8]) -> Option<Ended> {
        let (asked, mut fields) = Asked::decode_first(document)?;
        let hashes = number(&mut fields)?;
        let time = Duration::from_micros(number(&mut fields)?);
        let end = match fields.next()? {
            "found" => {
                let seed: Seed = fields.next()?.parse().ok()?;
                let Query {
                    message,
                    difficulty,
                    ..
                } = &asked.query;
                End::Found(verify(seed, message, *difficulty)?)
            }
            "cancelled" => End::Cancelled,
            "failed" => End::Failed(match fields.next()? {
                "too-long" => SolveError::TooLong {
                    max: number(&mut fields)?,
                },
                "deadline" => SolveError::Deadline,
                "exhausted" => SolveError::Exhausted,
                "failed" => SolveError::Failed,
                _ => return None,
            }),
            _ => return None,
        };
        let ended = Ended {
            asked,
            end,
            hashes,
            time,
        };
        fields.next().is_none().then_some(ended)
    }
}

impl From<End> for State {
    fn from(end: End) -> State {
        match end {
            End::Found(solution) => State::Found(solution),
            End::Cancelled => State::Cancelled,
            End::Failed(error) => State::Failed(error),
        }
    }
}

/// How far a search is: what who searches tells who asks.
pub(super) fn encode_effort(hashes: u64) -> String {
    format!("{VERSION} {hashes}")
}

pub(super) fn decode_effort(payload: &[u8]) -> Option<u64> {
    let mut fields = str::from_utf8(payload).ok()?.split(' ');
    let is_read = number::<u64>(&mut fields)? == VERSION;
    let hashes = number(&mut fields)?;
    (is_read && fields.next().is_none()).then_some(hashes)
}

/// Whether a document is of a version that is not known here: members of another release read it.
pub(super) fn is_of_another_version(document: &[u8]) -> bool {
    let head = &document[..document.len().min(LINE_MAX)];
    let first = head.split(|&byte| byte == b' ').next();
    let first = first.and_then(|first| str::from_utf8(first).ok());
    let version = first.and_then(|first| number::<u64>(&mut first.split(' ')));
    version.is_some_and(|version| version != VERSION)
}

type Fields<'a> = std::str::Split<'a, char>;

fn number<T: FromStr>(fields: &mut Fields<'_>) -> Option<T> {
    let text = fields.next()?;
    digits::are_decimal(text)
        .then(|| text.parse().ok())
        .flatten()
}

/// 128 bits.
fn is_hex(text: &str) -> bool {
    digits::are_hex(text, HEX)
}

#[cfg(test)]
mod tests;
