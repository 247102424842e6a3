//! What members tell each other, as bytes. CLUSTER.md describes them for those who write members in
//! other languages.
//!
//! Each message is one line of text, its fields separated by single spaces; behind the line of a
//! number the message that is searched for follows. The first field is the version: whoever reads
//! another one there reads no further. What a message is about is the last token of its subject.
//! Nothing here knows a broker, a clock, or who is to be believed.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use powd_core::{Difficulty, Seed, SeedLength};

use super::digits;
use crate::engine::MessageBytes;

/// The version that is spoken here.
const VERSION: u64 = 1;

/// The most bytes of a line.
const LINE_MAX: usize = 256;

/// The most bytes of a message between members.
pub(super) const PAYLOAD_MAX: usize = LINE_MAX + MessageBytes::MAX.get();

/// The most bytes of a label.
const LABEL_MAX: usize = 64;

/// A member, by a number that it draws at its start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MemberId(pub(super) u64);

/// A search, by a number that its owner draws.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct JobId(pub(super) u64);

/// Which part of all seeds of a length is meant: those whose last four characters are this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Number(u32);

/// The characters of a seed that make its number.
const NUMBER_CHARACTERS: u32 = 4;

impl Number {
    /// There are 62^4 of them.
    pub(super) const COUNT: u32 = 62u32.pow(NUMBER_CHARACTERS);

    pub(super) fn new(number: u32) -> Option<Number> {
        (number < Number::COUNT).then_some(Number(number))
    }

    /// The `distance`th behind this one, in a circle.
    pub(super) fn behind(self, distance: u32) -> Number {
        let sum = u64::from(self.0) + u64::from(distance);
        Number((sum % u64::from(Number::COUNT)) as u32)
    }

    /// How many seeds of that length have one number.
    pub(super) fn seeds(length: SeedLength) -> u128 {
        length.space() / u128::from(Number::COUNT)
    }

    /// The indices of its seeds among all of that length: the last characters are the highest
    /// digits.
    pub(super) fn steps(self, length: SeedLength) -> Range<u128> {
        let seeds = Number::seeds(length);
        let first = u128::from(self.0) * seeds;
        first..first + seeds
    }
}

/// The length of the seeds that members try for each other: longer than those that the owner tries
/// itself, so that none is tried twice, and at least 11 characters, so that numbers do not run out.
/// `None` for owners that begin with the longest: they search alone.
pub(super) fn helpers_length(owners: SeedLength) -> Option<SeedLength> {
    owners.longer().map(|longer| longer.max(SHORTEST))
}

const SHORTEST: SeedLength = SeedLength::of::<11>();

/// Which search is meant, and for the how many-th time it was begun: of two owners the later one
/// counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Search {
    pub(super) job: JobId,
    pub(super) epoch: u32,
}

/// A message between members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// Who says it.
    pub(super) from: MemberId,
    pub(super) body: Body<'a>,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body<'a> {
    /// To all: I am here, and say so again after `period_ms`. 0: I leave.
    Beat {
        period_ms: u32,
        workers: u32,
        /// Seeds per second, for whomever.
        hash_rate: u64,
        /// What people call it: visible ASCII.
        label: &'a str,
    },
    /// To all: I search for this, and whoever has time may help. Said again every second: my sign
    /// of life.
    Announce {
        search: Search,
        difficulty: Difficulty,
        /// The length of the seeds that helpers try.
        length: SeedLength,
        /// The length of the message.
        bytes: u32,
    },
    /// To an owner: give me a number. `claim` comes back with it.
    Claim { search: Search, claim: u32 },
    /// To a helper: this is yours alone, and here is the message.
    Number {
        search: Search,
        claim: u32,
        number: Number,
        message: &'a [u8],
    },
    /// To an owner: so many seeds of that number were tried so far.
    Report {
        search: Search,
        number: Number,
        hashes: u64,
    },
    /// To an owner: this one is a solution.
    Found {
        search: Search,
        number: Number,
        hashes: u64,
        seed: Seed,
    },
    /// To all, or to who has not heard it: the search is over.
    Over { search: Search },
}

/// The last token of a subject: what a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Beat,
    Announce,
    Claim,
    Number,
    Report,
    Found,
    Over,
}

impl Kind {
    pub(super) const ALL: [Kind; 7] = [
        Kind::Beat,
        Kind::Announce,
        Kind::Claim,
        Kind::Number,
        Kind::Report,
        Kind::Found,
        Kind::Over,
    ];

    pub(super) fn token(self) -> &'static str {
        match self {
            Kind::Beat => "beat",
            Kind::Announce => "announce",
            Kind::Claim => "claim",
            Kind::Number => "number",
            Kind::Report => "report",
            Kind::Found => "found",
            Kind::Over => "over",
        }
    }

    /// That of a subject, if it is one of ours.
    pub(super) fn of_subject(subject: &str) -> Option<Kind> {
        let token = subject.rsplit('.').next()?;
        Kind::ALL.into_iter().find(|kind| kind.token() == token)
    }
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    All,
    One(MemberId),
}

/// The subject of a message in the cluster of that name.
pub(super) fn subject(cluster: &str, to: To, kind: Kind) -> String {
    let kind = kind.token();
    match to {
        To::All => format!("{cluster}.cluster.{kind}"),
        To::One(member) => format!("{cluster}.cluster.{member}.{kind}"),
    }
}

/// The subjects that a member listens to.
pub(super) fn subscriptions(cluster: &str, me: MemberId) -> [String; 2] {
    [
        format!("{cluster}.cluster.*"),
        format!("{cluster}.cluster.{me}.*"),
    ]
}

/// Whether members or the broker speak there: what a client asks is never answered there, for it
/// would be said with the rights of a member.
pub(super) fn is_internal(cluster: &str, subject: &str) -> bool {
    let rest = subject.strip_prefix(cluster);
    rest.is_some_and(|rest| rest.starts_with('.')) || subject.starts_with('$')
}

/// Why a message is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    /// Its sender is another program, or an older or newer one.
    #[error("a message of another version than {VERSION}")]
    Version,
    /// Not a message.
    #[error("not a message")]
    Malformed,
    /// A number in it is none that it can be.
    #[error("a number out of bounds")]
    Bounds,
}

impl Message<'_> {
    pub(super) fn kind(&self) -> Kind {
        match self.body {
            Body::Beat { .. } => Kind::Beat,
            Body::Announce { .. } => Kind::Announce,
            Body::Claim { .. } => Kind::Claim,
            Body::Number { .. } => Kind::Number,
            Body::Report { .. } => Kind::Report,
            Body::Found { .. } => Kind::Found,
            Body::Over { .. } => Kind::Over,
        }
    }

    /// The payload.
    pub(super) fn encode(&self) -> Vec<u8> {
        let from = self.from;
        let line = match &self.body {
            Body::Beat {
                period_ms,
                workers,
                hash_rate,
                label,
            } => format!("{VERSION} {from} {period_ms} {workers} {hash_rate} {label}"),
            Body::Announce {
                search,
                difficulty,
                length,
                bytes,
            } => format!("{VERSION} {from} {search} {difficulty} {length} {bytes}"),
            Body::Claim { search, claim } => format!("{VERSION} {from} {search} {claim}"),
            Body::Number {
                search,
                claim,
                number,
                message,
            } => {
                let line = format!("{VERSION} {from} {search} {claim} {}\n", number.0);
                return [line.as_bytes(), message].concat();
            }
            Body::Report {
                search,
                number,
                hashes,
            } => format!("{VERSION} {from} {search} {} {hashes}", number.0),
            Body::Found {
                search,
                number,
                hashes,
                seed,
            } => format!("{VERSION} {from} {search} {} {hashes} {seed}", number.0),
            Body::Over { search } => format!("{VERSION} {from} {search}"),
        };
        line.into_bytes()
    }
}

impl<'a> Message<'a> {
    /// Reads a payload.
    pub(super) fn decode(kind: Kind, payload: &'a [u8]) -> Result<Message<'a>, Unread> {
        let end = payload.iter().position(|&byte| byte == b'\n');
        let (line, message) = match end {
            Some(end) => (&payload[..end], Some(&payload[end + 1..])),
            None => (payload, None),
        };
        if line.len() > LINE_MAX || message.is_some() != (kind == Kind::Number) {
            // What another version puts there is not known.
            return Err(match payload.starts_with(b"1 ") {
                true => Unread::Malformed,
                false => Unread::Version,
            });
        }
        let line = str::from_utf8(line).map_err(|_| Unread::Malformed)?;
        let mut fields = Fields(line.split(' '));
        if fields.number::<u64>()? != VERSION {
            return Err(Unread::Version);
        }
        let from = fields.id().map(MemberId)?;
        let body = match kind {
            Kind::Beat => Body::Beat {
                period_ms: fields.number()?,
                workers: fields.number()?,
                hash_rate: fields.number()?,
                label: fields.label()?,
            },
            Kind::Announce => Body::Announce {
                search: fields.search()?,
                difficulty: Difficulty::new(fields.number()?).map_err(|_| Unread::Bounds)?,
                length: fields.length()?,
                bytes: fields.bytes()?,
            },
            Kind::Claim => Body::Claim {
                search: fields.search()?,
                claim: fields.number()?,
            },
            Kind::Number => Body::Number {
                search: fields.search()?,
                claim: fields.number()?,
                number: fields.part()?,
                message: message
                    .filter(|message| message.len() <= MessageBytes::MAX.get())
                    .ok_or(Unread::Bounds)?,
            },
            Kind::Report => Body::Report {
                search: fields.search()?,
                number: fields.part()?,
                hashes: fields.number()?,
            },
            Kind::Found => Body::Found {
                search: fields.search()?,
                number: fields.part()?,
                hashes: fields.number()?,
                seed: fields.next()?.parse().map_err(|_| Unread::Bounds)?,
            },
            Kind::Over => Body::Over {
                search: fields.search()?,
            },
        };
        match fields.0.next() {
            None => Ok(Message { from, body }),
            Some(_) => Err(Unread::Malformed),
        }
    }
}

/// What is left of a line.
struct Fields<'a>(std::str::Split<'a, char>);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<&'a str, Unread> {
        self.0.next().ok_or(Unread::Malformed)
    }

    fn number<T: FromStr>(&mut self) -> Result<T, Unread> {
        let text = self.next()?;
        if !digits::are_decimal(text) {
            return Err(Unread::Malformed);
        }
        text.parse().map_err(|_| Unread::Bounds)
    }

    /// 64 bits as 16 lowercase hex digits.
    fn id(&mut self) -> Result<u64, Unread> {
        let text = self.next()?;
        let id = digits::are_hex(text, 16).then(|| u64::from_str_radix(text, 16).ok());
        id.flatten().ok_or(Unread::Malformed)
    }

    fn search(&mut self) -> Result<Search, Unread> {
        Ok(Search {
            job: self.id().map(JobId)?,
            epoch: self.number()?,
        })
    }

    fn part(&mut self) -> Result<Number, Unread> {
        Number::new(self.number()?).ok_or(Unread::Bounds)
    }

    fn length(&mut self) -> Result<SeedLength, Unread> {
        let length = SeedLength::new(self.number()?).ok();
        length
            .filter(|length| *length >= SHORTEST)
            .ok_or(Unread::Bounds)
    }

    fn bytes(&mut self) -> Result<u32, Unread> {
        let bytes: u32 = self.number()?;
        let fits = bytes as usize <= MessageBytes::MAX.get();
        fits.then_some(bytes).ok_or(Unread::Bounds)
    }

    fn label(&mut self) -> Result<&'a str, Unread> {
        let label = self.next()?;
        let fits = is_label(label);
        fits.then_some(label).ok_or(Unread::Malformed)
    }
}

/// Whether a text can be the label of a member.
pub(super) fn is_label(text: &str) -> bool {
    (1..=LABEL_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemberId({self})")
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.job, self.epoch)
    }
}

#[cfg(test)]
mod tests;
