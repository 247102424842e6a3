//! The thread of a member: between the broker, the workers and the [`Node`], which decides
//! everything.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use async_nats::connection::State;
use async_nats::{Client, Event, Message, SubscribeError, Subscriber};
use futures_util::stream::SelectAll;
use futures_util::{FutureExt as _, StreamExt as _};
use powd_core::Job;
use tokio::sync::{Notify, mpsc};
use tokio::task::unconstrained;
use tokio::time::{sleep_until, timeout};

use super::counters::{Counters, Seen};
use super::helper::Progress;
use super::intake::Intake;
use super::node::{Action, Node, Refusal};
use super::options::Options;
use super::owner::Task;
use super::requests::Requests;
use super::service::{Call, Service};
use super::wire::{
    JobId, Kind, MemberId, Number, PAYLOAD_MAX, helpers_length, is_internal, subject, subscriptions,
};
use crate::engine::{Appeal, Guests, Handle, Pass};

/// How often what time brings is looked at while searches are shared, and while none are.
const TICK: Duration = Duration::from_millis(50);
const IDLE_TICK: Duration = Duration::from_millis(250);

/// How often those who watch see how things are.
const SHOW_EVERY: Duration = Duration::from_millis(500);

/// The log tells no more often that messages of one kind are refused.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What a drain may take longer than the engine's, and then what it takes to tell the others: no
/// more than a second in all, or who waits for ten kills.
const FAREWELL: Duration = Duration::from_millis(500);

/// What comes from the broker.
pub(super) struct Streams {
    to_all: Subscriber,
    to_me: Subscriber,
    solve: Intake,
    verify: Intake,
    about_services: SelectAll<Subscriber>,
    pub(super) events: mpsc::Receiver<Event>,
}

impl Streams {
    pub(super) async fn subscribe(
        client: &Client,
        name: &str,
        me: MemberId,
        events: mpsc::Receiver<Event>,
    ) -> Result<(Streams, Service), SubscribeError> {
        let [to_all, to_me] = subscriptions(name, me);
        let (service, about_services) = Service::subscribe(client, name, me.to_string()).await?;
        let group = || name.to_owned();
        let solve = client.queue_subscribe(format!("{name}.solve"), group());
        let solve = solve.await?;
        let verify = client.queue_subscribe(format!("{name}.verify"), group());
        let verify = verify.await?;
        let streams = Streams {
            to_all: client.subscribe(to_all).await?,
            to_me: client.subscribe(to_me).await?,
            solve: Intake::new(solve),
            verify: Intake::new(verify),
            about_services,
            events,
        };
        Ok((streams, service))
    }
}

/// What the workers leave for this thread.
pub(super) struct FromWorkers {
    pub(super) appeals: Receiver<Arc<Appeal>>,
    pub(super) news: Arc<Notify>,
    pub(super) guests: Guests,
}

/// How far it is with the engine's drain.
enum Stage {
    Serving,
    /// The pass is held until every request that has come is answered.
    Draining {
        pass: Option<Pass>,
        /// The engine's drain is over, whatever is open.
        is_over: Instant,
        /// When nothing more is waited for: known once that end is seen, because what the engine
        /// refuses then comes a moment later, however late this thread sees it.
        until: Option<Instant>,
    },
}

pub(super) struct Member {
    engine: Handle,
    client: Client,
    options: Options,
    counters: Arc<Counters>,
    requests: Arc<Requests>,
    service: Service,
    node: Node,
    workers: FromWorkers,
    /// What other members are asked to help with.
    appeals: BTreeMap<JobId, Arc<Appeal>>,
    /// What they are to be asked as well, once there is room.
    waiting: VecDeque<Arc<Appeal>>,
    started: Instant,
    rate: Rate,
    next_show: Instant,
    told: HashMap<Refusal, Instant>,
    told_of_broker: Option<(String, Instant)>,
    stage: Stage,
}

/// Seeds per second, over the last second or so.
struct Rate {
    since: Instant,
    hashes: u64,
    per_second: u64,
}

impl Member {
    pub(super) fn new(
        engine: Handle,
        client: Client,
        options: Options,
        counters: Arc<Counters>,
        service: Service,
        node: Node,
        workers: FromWorkers,
    ) -> Member {
        let now = Instant::now();
        let requests = Requests::new(
            engine.clone(),
            client.clone(),
            options.clone(),
            Arc::clone(&counters),
        );
        Member {
            rate: Rate {
                since: now,
                hashes: engine.totals().hashes,
                per_second: 0,
            },
            engine,
            client,
            options,
            counters,
            requests,
            service,
            node,
            workers,
            appeals: BTreeMap::new(),
            waiting: VecDeque::new(),
            started: now,
            next_show: now,
            told: HashMap::new(),
            told_of_broker: None,
            stage: Stage::Serving,
        }
    }

    /// Serves until the engine has drained.
    pub(super) async fn run(mut self, mut streams: Streams, drain: Arc<Notify>, pass: Pass) {
        let mut pass = Some(pass);
        let (done, mut ended) = mpsc::unbounded_channel::<(Call, bool, Duration)>();
        let news = Arc::clone(&self.workers.news);
        let mut next_tick = Instant::now();
        loop {
            tokio::select! {
                Some(message) = streams.to_all.next() => self.hear(&message, &mut next_tick),
                Some(message) = streams.to_me.next() => self.hear(&message, &mut next_tick),
                message = streams.solve.next(), if streams.solve.is_open() => {
                    if let Some(message) = message {
                        let done = done.clone();
                        self.requests.solve(message, move |answered, time| {
                            let _ = done.send((Call::Solve, answered, time));
                        });
                    }
                }
                message = streams.verify.next(), if streams.verify.is_open() => {
                    if let Some(message) = message {
                        let begin = Instant::now();
                        let answered = self.requests.verify(message);
                        self.service.count(Call::Verify, answered, begin.elapsed());
                    }
                }
                Some(message) = streams.about_services.next() => self.tell_of_service(message),
                Some((call, answered, time)) = ended.recv() => {
                    self.service.count(call, answered, time);
                    // A drain may wait for it.
                    next_tick = Instant::now();
                }
                Some(event) = streams.events.recv() => self.tell_event(&event),
                () = news.notified() => {
                    self.take_appeals();
                    next_tick = Instant::now();
                }
                () = drain.notified(), if pass.is_some() => {
                    self.begin_drain(pass.take());
                    streams.solve.close();
                    streams.verify.close();
                }
                () = sleep_until(next_tick.into()) => {}
            }
            if Instant::now() >= next_tick {
                self.tick();
                next_tick = Instant::now() + self.tick_period();
            }
            self.act();
            // Without a broker nothing is on its way, and nobody takes what ends it.
            if self.client.connection_state() == State::Connected {
                streams.solve.follow();
                streams.verify.follow();
            }
            if self.has_ended(streams.solve.is_open() || streams.verify.is_open()) {
                break;
            }
        }
        self.leave().await;
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn tick_period(&self) -> Duration {
        match (&self.stage, self.node.is_active()) {
            (Stage::Serving, false) => IDLE_TICK,
            (Stage::Serving, true) | (Stage::Draining { .. }, _) => TICK,
        }
    }

    fn hear(&mut self, message: &Message, next_tick: &mut Instant) {
        let Some(kind) = Kind::of_subject(message.subject.as_str()) else {
            return;
        };
        let (now, guests) = (self.now(), &self.workers.guests);
        let progress = |place| progress(guests, place);
        let payload = &message.payload[..message.payload.len().min(PAYLOAD_MAX + 1)];
        if let Err((refusal, from)) = self.node.hear(kind, payload, now, progress) {
            self.tell_refusal(kind, refusal, from);
        }
        if kind == Kind::Announce {
            // There may be something to help with.
            *next_tick = Instant::now();
        }
    }

    /// Names who is refused in the log, though not each time.
    fn tell_refusal(&mut self, kind: Kind, refusal: Refusal, from: Option<MemberId>) {
        let now = Instant::now();
        let told = self.told.get(&refusal);
        if told.is_some_and(|told| now < *told + TELL_AGAIN) {
            return;
        }
        self.told.insert(refusal, now);
        let member = from.map_or("not read".to_owned(), |member| member.to_string());
        let (kind, reason) = (kind.token(), refusal.word());
        tracing::warn!(%member, kind, reason, "a message of another member is refused");
    }

    fn tell_of_service(&self, message: Message) {
        let Some(answer) = self.service.answer(&message) else {
            return;
        };
        let name = self.options.name.as_str();
        if let Some(reply) = message.reply.filter(|reply| !is_internal(name, reply)) {
            let told = self.client.publish(reply, answer.into());
            let _ = unconstrained(told).now_or_never();
        }
    }

    /// Tells what is wrong with the connection, though not each time.
    fn tell_event(&mut self, event: &Event) {
        let text = match event {
            Event::ServerError(error) => error.to_string(),
            // It is said each second while the broker is not there.
            Event::ClientError(error) => error.to_string(),
            Event::SlowConsumer(_) => "its messages come faster than they are read".to_owned(),
            Event::Connected
            | Event::Disconnected
            | Event::LameDuckMode
            | Event::Draining
            | Event::Closed => return,
        };
        let now = Instant::now();
        let is_new = |(told, at): &(String, Instant)| *told != text || now >= *at + TELL_AGAIN;
        if self.told_of_broker.as_ref().is_none_or(is_new) {
            let servers = &self.options.servers;
            tracing::warn!(error = text, ?servers, "something is wrong with the broker");
            self.told_of_broker = Some((text, now));
        }
    }

    /// Whether the broker is there. Tells of it when that changes.
    fn see_connection(&mut self) -> bool {
        let is_there = self.client.connection_state() == State::Connected;
        let was_there = self.counters.is_connected.swap(is_there, Relaxed);
        match (was_there, is_there) {
            (false, true) => {
                self.counters.connections.fetch_add(1, Relaxed);
                self.node.connected();
                let name = self.options.name.as_str();
                tracing::info!(cluster = name, "the broker is there");
            }
            (true, false) => {
                tracing::warn!("the broker is gone: searching alone until it is back");
            }
            (false, false) | (true, true) => {}
        }
        is_there
    }

    /// Takes what workers have left: searches to ask for help with, and ends of such.
    fn take_appeals(&mut self) {
        let now = self.now();
        let node = &mut self.node;
        self.appeals.retain(|&job, appeal| {
            let is_over = appeal.is_over();
            if is_over {
                node.end(job, now);
            }
            !is_over
        });
        self.waiting.extend(self.workers.appeals.try_iter());
        self.waiting.retain(|appeal| !appeal.is_over());
        while self.node.has_room()
            && let Some(appeal) = self.waiting.pop_front()
        {
            self.begin(appeal);
        }
    }

    fn begin(&mut self, appeal: Arc<Appeal>) {
        let Some(length) = helpers_length(appeal.length()) else {
            return;
        };
        let (Ok(job), Ok(first)) = (getrandom::u64(), getrandom::u32()) else {
            return;
        };
        let task = Task {
            message: appeal.job().message.into(),
            difficulty: appeal.job().difficulty,
            length,
            epoch: 1,
        };
        let (job, now) = (JobId(job), self.now());
        if let Some(first) = Number::new(first % Number::COUNT) {
            self.node.begin(job, task, first, now);
            self.appeals.insert(job, appeal);
        }
    }

    fn tick(&mut self) {
        let is_free = matches!(self.stage, Stage::Serving) && self.engine.has_idle_worker();
        let is_connected = self.see_connection();
        let (now, guests) = (self.now(), &self.workers.guests);
        guests.offer_again();
        let rate = self.rate.of(self.engine.totals().hashes);
        self.node.tick(now, is_free && is_connected, rate, |place| {
            progress(guests, place)
        });
        for (&job, appeal) in &self.appeals {
            let (hashes, helpers) = self.node.help(job, now);
            appeal.set_help(hashes, helpers);
        }
        let now = Instant::now();
        if now >= self.next_show {
            self.next_show = now + SHOW_EVERY;
            self.counters.show(Seen {
                peers: self.node.peers(),
                helping: self.node.helping(),
                hash_rate: rate,
                counts: *self.node.counts(),
            });
        }
    }

    /// Does what the node wants done.
    fn act(&mut self) {
        for action in self.node.take_actions() {
            match action {
                Action::Send { to, kind, payload } => {
                    // What cannot be sent at once is lost: all that is said is said again.
                    if self.client.connection_state() == State::Connected {
                        let subject = subject(self.options.name.as_str(), to, kind);
                        let told = self.client.publish(subject, payload.into());
                        let _ = unconstrained(told).now_or_never();
                    }
                }
                Action::Begin(place, work) => {
                    let job = Job {
                        message: &work.message,
                        difficulty: work.difficulty,
                    };
                    let steps = work.number.steps(work.length);
                    self.workers.guests.begin(place, job, work.length, steps);
                }
                Action::End(place) => self.workers.guests.end(place),
                Action::Found(job, solution) => {
                    if let Some(appeal) = self.appeals.remove(&job) {
                        appeal.win(solution);
                    }
                }
            }
        }
    }

    /// No more requests are taken; those that the broker has sent already are answered.
    fn begin_drain(&mut self, pass: Option<Pass>) {
        self.stage = Stage::Draining {
            pass,
            is_over: self.engine.drain_until().unwrap_or_else(Instant::now),
            until: None,
        };
        self.node.stop_helping();
    }

    /// Whether it is over. Gives the pass back when there is nothing more to answer.
    fn has_ended(&mut self, takes_requests: bool) -> bool {
        let is_connected = self.client.connection_state() == State::Connected;
        let Stage::Draining {
            pass,
            is_over,
            until,
        } = &mut self.stage
        else {
            return false;
        };
        let now = Instant::now();
        let is_late = now >= *is_over && now >= *until.get_or_insert(now + FAREWELL);
        let is_answered = self.requests.is_idle() && (!takes_requests || !is_connected);
        if is_answered || is_late {
            *pass = None;
        }
        pass.is_none() && (self.engine.has_drained() || is_late)
    }

    async fn leave(mut self) {
        let now = self.now();
        for job in std::mem::take(&mut self.appeals).into_keys() {
            self.node.end(job, now);
        }
        self.node.leave();
        self.act();
        let _ = timeout(FAREWELL, self.client.flush()).await;
    }
}

impl Rate {
    fn of(&mut self, hashes: u64) -> u64 {
        let time = self.since.elapsed();
        if time >= Duration::from_secs(1) {
            let more = hashes.saturating_sub(self.hashes);
            self.per_second = (more as f64 / time.as_secs_f64()) as u64;
            (self.since, self.hashes) = (Instant::now(), hashes);
        }
        self.per_second
    }
}

fn progress(guests: &Guests, place: usize) -> Progress {
    let at = guests.progress(place);
    Progress {
        hashes: at.hashes,
        found: at.winner.map(|solution| solution.seed()),
        is_exhausted: at.is_exhausted,
    }
}
