//! `powd.solve` and `powd.verify`: who asks the cluster gets an answer from one of its members.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::{Client, HeaderMap, Message, Request, Subject};
use futures_util::FutureExt as _;
use powd_core::Difficulty;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::unconstrained;
use tokio::time::{MissedTickBehavior, interval};

use super::counters::Counters;
use super::options::Options;
use super::wire::is_internal;
use crate::asked;
use crate::engine::{Answer, Flow, Handle, Query, Solve, SolveError};
use crate::problem::{Code, Problem};
use crate::protocol::{Fault, Reply};

/// The zeros asked for.
pub(super) const DIFFICULTY: &str = "Powd-Difficulty";

/// The longest search, with its unit.
pub(super) const DEADLINE: &str = "Powd-Deadline";

/// A subject on which who asks listens for news of its search.
pub(super) const PROGRESS: &str = "Powd-Progress";

/// The code of an error, and the same in words, as of the micro services of NATS (ADR-32).
pub(super) const ERROR_CODE: &str = "Nats-Service-Error-Code";
pub(super) const ERROR: &str = "Nats-Service-Error";

/// How often that is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How long an answer to that is waited for. Who died before it is found to have gone by the next.
const PROGRESS_ANSWER: Duration = Duration::from_secs(2);

/// Requests of one member that wait or search, for each of its workers. More are told that it is
/// busy.
const REQUESTS_PER_WORKER: usize = 256;

/// The problems that requests can have.
pub(super) const CODES: [Code; 9] = [
    Code::Malformed,
    Code::TooLong,
    Code::Difficulty,
    Code::Exhausted,
    Code::Failed,
    Code::Busy,
    Code::Draining,
    Code::Deadline,
    Code::Gone,
];

/// What all requests of one member share.
#[derive(Debug)]
pub(super) struct Requests {
    engine: Handle,
    client: Client,
    options: Options,
    counters: Arc<Counters>,
    room: Arc<Semaphore>,
    room_in_all: usize,
}

impl Requests {
    pub(super) fn new(
        engine: Handle,
        client: Client,
        options: Options,
        counters: Arc<Counters>,
    ) -> Arc<Requests> {
        let room_in_all = engine.options().workers.get() * REQUESTS_PER_WORKER;
        Arc::new(Requests {
            engine,
            client,
            options,
            counters,
            room: Arc::new(Semaphore::new(room_in_all)),
            room_in_all,
        })
    }

    /// Whether nobody waits for an answer.
    pub(super) fn is_idle(&self) -> bool {
        self.room.available_permits() == self.room_in_all
    }

    /// Begins to answer a request for a seed; `done` gets whether it was answered, and how long
    /// that took.
    pub(super) fn solve(
        self: &Arc<Self>,
        message: Message,
        done: impl FnOnce(bool, Duration) + Send + 'static,
    ) {
        self.counters.requests.fetch_add(1, Relaxed);
        let begin = std::time::Instant::now();
        let permit = Arc::clone(&self.room).try_acquire_owned().ok();
        let requests = Arc::clone(self);
        tokio::spawn(async move {
            let answered = requests.solve_and_reply(message, permit).await;
            done(answered, begin.elapsed());
        });
    }

    async fn solve_and_reply(
        &self,
        message: Message,
        permit: Option<OwnedSemaphorePermit>,
    ) -> bool {
        let solved = match permit.is_some() {
            true => self.find(&message).await,
            false => Err(Problem::new(
                Code::Busy,
                "this member has enough to do: ask again",
            )),
        };
        let is_answered = solved.is_ok();
        let result = solved.map(|(difficulty, answer)| {
            self.counters.replies.fetch_add(1, Relaxed);
            let durations = &self.counters.durations;
            durations.record_shared(difficulty, answer.time);
            reply_line(&message.payload, &answer)
        });
        self.respond(message, result).await;
        drop(permit);
        is_answered
    }

    /// Checks a reply line; says whether it was one that can be checked.
    pub(super) fn verify(self: &Arc<Self>, message: Message) -> bool {
        let no = |fault: Fault| format!("false {fault}").into_bytes();
        let can_answer = self.can_answer(&message);
        let asked =
            can_answer.and_then(|()| difficulty_in(message.headers.as_ref(), Difficulty::MAX));
        let verdict = asked.and_then(|asked| {
            let difficulty = asked.unwrap_or(self.options.difficulty);
            let line = Reply::without_end(&message.payload);
            let max = self.engine.options().max_message_bytes.get();
            match Reply::parse(line) {
                Ok(reply) if reply.message.len() > max => Err(SolveError::TooLong { max }.into()),
                Ok(reply) => Ok(match reply.check(difficulty) {
                    Ok(()) => b"true".to_vec(),
                    Err(fault) => no(fault),
                }),
                Err(fault) => Ok(no(fault)),
            }
        });
        let is_answered = verdict.is_ok();
        let requests = Arc::clone(self);
        let mut telling = Box::pin(async move { requests.respond(message, verdict).await });
        // The member does not wait until there is room for it: where the broker is gone there may
        // be none until it is back.
        if unconstrained(&mut telling).now_or_never().is_none() {
            tokio::spawn(telling);
        }
        is_answered
    }

    /// The answer to a request.
    async fn find(&self, message: &Message) -> Result<(Difficulty, Answer), Problem> {
        self.can_answer(message)?;
        let headers = message.headers.as_ref();
        let difficulty = difficulty_in(headers, self.options.max_difficulty)?;
        let difficulty = difficulty.unwrap_or(self.options.difficulty);
        let deadline = asked::deadline(header(headers, DEADLINE), self.options.deadline)?;
        let progress = header(headers, PROGRESS);
        let can_be_told = |subject| Subject::from(subject).is_valid() && !self.is_internal(subject);
        if !progress.is_none_or(can_be_told) {
            return Err(Problem::malformed("progress is not told on that subject"));
        }
        let flow = Flow::named(asker(message.reply.as_deref().unwrap_or_default()));
        let solve = self.engine.of(flow).ask(Query {
            message: message.payload.to_vec(),
            difficulty,
            seed_length: None,
            deadline,
        });
        let outcome = match progress {
            None => solve.await,
            Some(subject) => self.tell_progress(solve, subject).await?,
        };
        outcome
            .map(|answer| (difficulty, answer))
            .map_err(Problem::from)
    }

    /// Waits for an answer, and tells how far it is meanwhile. When nobody listens, who asked has
    /// gone: to drop the search ends it everywhere.
    async fn tell_progress(
        &self,
        mut solve: Solve,
        subject: &str,
    ) -> Result<Result<Answer, SolveError>, Problem> {
        let effort = Arc::clone(solve.effort());
        let mut ticks = interval(PROGRESS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                outcome = &mut solve => return Ok(outcome),
                _ = ticks.tick() => {}
            }
            let seen = self.counters.seen();
            let rates = seen.peers.iter().map(|peer| peer.hash_rate);
            let news = format!(
                "1 {} {} {} {}",
                effort.hashes(),
                effort.helpers(),
                seen.peers.len() + 1,
                rates.fold(seen.hash_rate, u64::saturating_add)
            );
            // In an inbox of its own, which goes with it. In the one for all, the client of the
            // broker would keep a place for each answer that never comes.
            let inbox = self.client.new_inbox();
            let request = Request::new().payload(news.into()).inbox(inbox);
            let request = request.timeout(Some(PROGRESS_ANSWER));
            let told = self.client.send_request(subject.to_owned(), request);
            tokio::select! {
                biased;
                outcome = &mut solve => return Ok(outcome),
                told = told => if let Err(error) = told
                    && error.kind() == RequestErrorKind::NoResponders
                {
                    return Err(Problem::new(Code::Gone, "nobody waits for it any more"));
                }
            }
        }
    }

    fn is_internal(&self, subject: &str) -> bool {
        is_internal(self.options.name.as_str(), subject)
    }

    /// Whether the answer goes where a client may listen. Without that nobody gains by a search, and
    /// nobody could end it.
    fn can_answer(&self, message: &Message) -> Result<(), Problem> {
        match message.reply.as_deref() {
            None => Err(Problem::malformed("there is no subject for the answer")),
            Some(to) if self.is_internal(to) => {
                Err(Problem::malformed("nobody is answered on that subject"))
            }
            Some(_) => Ok(()),
        }
    }

    async fn respond(&self, message: Message, result: Result<Vec<u8>, Problem>) {
        let mut headers = HeaderMap::new();
        let payload = result.unwrap_or_else(|Problem { code, detail }| {
            self.counters.count_error(code);
            headers.insert(ERROR_CODE, code.status().to_string());
            headers.insert(ERROR, format!("{} {detail}", code.word()));
            Vec::new()
        });
        let Some(reply) = message.reply.filter(|reply| !self.is_internal(reply)) else {
            return;
        };
        let sent = match headers.is_empty() {
            true => self.client.publish(reply, payload.into()).await,
            false => {
                let client = &self.client;
                client
                    .publish_with_headers(reply, headers, payload.into())
                    .await
            }
        };
        if let Err(error) = sent {
            tracing::warn!(%error, "an answer could not be sent");
        }
    }
}

fn reply_line(message: &[u8], answer: &Answer) -> Vec<u8> {
    let mut line = Vec::new();
    Reply::push_solution(&mut line, message, &answer.solution);
    // A message between programs ends where it ends.
    line.pop();
    line
}

/// Who listens for the answer, as far as the subject tells: clients have an inbox, and in it a token
/// for each request.
fn asker(reply: &str) -> &str {
    match reply.rsplit_once('.') {
        Some((inbox, _)) if inbox.contains('.') => inbox,
        _ => reply,
    }
}

fn header<'h>(headers: Option<&'h HeaderMap>, name: &str) -> Option<&'h str> {
    headers?.get(name).map(|value| value.as_str().trim())
}

fn difficulty_in(
    headers: Option<&HeaderMap>,
    max: Difficulty,
) -> Result<Option<Difficulty>, Problem> {
    let text = header(headers, DIFFICULTY);
    let difficulty = text.map(|text| asked::difficulty(text.parse().ok(), max));
    difficulty.transpose()
}

#[cfg(test)]
mod tests {
    use super::asker;

    #[test]
    fn a_client_is_known_by_its_inbox() {
        assert_eq!(asker("_INBOX.me.1"), asker("_INBOX.me.2"));
        assert_ne!(asker("_INBOX.me.1"), asker("_INBOX.you.1"));
        // One request each.
        assert_ne!(asker("_INBOX.me"), asker("_INBOX.you"));
        assert_ne!(asker("me"), asker("you"));
    }
}
