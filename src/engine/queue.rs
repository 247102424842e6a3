//! The requests of one flow that take about as long, in the order they came: the client of a worker
//! that has no socket.
//!
//! It is to the worker what a connection is on which requests are sent ahead: one client, whatever
//! it has asked for. Who asks for a hundred hard things at once, in a batch or as jobs, gets the
//! time of one; before there were queues, 2,000 jobs of difficulty 9 had others wait 21 s for a
//! reply of difficulty 5 that takes 22 ms alone (Xeon, 2 CPUs, 2026-11). But what is easy does not
//! wait behind what is hard: clients of many kinds can share a flow, behind a proxy for one. So a
//! flow has a queue for each class.

use std::collections::VecDeque;
use std::time::Instant;

use powd_core::Progress;

use super::budget::{Budget, TurnKind};
use super::call::{Call, Outcome, Refusal, SolveError};
use super::client::{Cancel, Class, Host as _, Next, Standing, Work};
use super::context::Context;
use super::flow::Flow;
use super::task::Task;

/// What a worker finds a queue by: whose it is, and how hard what is in it.
pub(crate) type QueueId = (Flow, Work);

/// A client of a worker: calls.
#[derive(Debug)]
pub(crate) struct Queue {
    id: QueueId,
    /// The first is the one that is searched for.
    waiting: VecDeque<Asked>,
    /// What was found in this turn, and is told at its end.
    found: Vec<(Box<Call>, Outcome)>,
    /// How many calls were abandoned since the whole queue was last looked at.
    abandoned: usize,
    /// Helpers of the first must finish.
    stalled: bool,
    /// None of the deadlines is earlier.
    due: Option<Instant>,
}

/// A call, and the search for it.
#[derive(Debug)]
struct Asked {
    call: Box<Call>,
    task: Task,
}

impl Queue {
    pub(crate) fn new(id: QueueId) -> Queue {
        Queue {
            id,
            waiting: VecDeque::new(),
            found: Vec::new(),
            abandoned: 0,
            stalled: false,
            due: None,
        }
    }

    pub(crate) fn id(&self) -> QueueId {
        self.id
    }

    /// Puts a call behind the others.
    pub(crate) fn push(&mut self, call: Box<Call>, context: &mut Context) {
        self.due = earlier(self.due, call.deadline);
        let task = call.task(context);
        self.waiting.push_back(Asked { call, task });
    }

    /// When to [look](Queue::refuse_late) for calls that have waited long enough.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// A turn.
    pub(crate) fn turn(&mut self, context: &mut Context, budget: &mut Budget) -> Next {
        let mut resumes = budget.kind() != TurnKind::New;
        self.stalled = false;
        while !budget.is_spent()
            && let Some(Asked { call, task }) = self.waiting.front_mut()
        {
            // Before it gets another turn: when there are more searches than time for them, those
            // that come to nothing must not take half of it.
            if let Some(refusal) = call.refusal(context) {
                budget.spend_request();
                self.refuse_first(refusal, context);
                resumes = false;
                continue;
            }
            if budget.kind() == TurnKind::New && call.waits_for_its_class(context) {
                break;
            }
            let outcome = match call.advance(task, context, budget) {
                Progress::Found(solution) => Ok(call.answer(solution)),
                Progress::Exhausted => Err(SolveError::Exhausted),
                Progress::Pending => continue,
                Progress::Stalled => {
                    self.stalled = true;
                    break;
                }
            };
            self.end_first(outcome, context);
            resumes = false;
        }
        match self.found.is_empty() {
            true => self.next(resumes),
            false => Next::Flush,
        }
    }

    /// The end of a turn: tells what was found.
    pub(crate) fn flush(&mut self) -> Next {
        for (call, outcome) in self.found.drain(..) {
            call.tell(outcome);
        }
        self.next(false)
    }

    fn next(&self, resumes: bool) -> Next {
        let class = Class {
            standing: Standing::Open,
            work: self.id.1,
        };
        match (self.waiting.is_empty(), self.stalled) {
            (true, _) => Next::Close,
            (false, true) => Next::Stalled(class),
            (false, false) => Next::Turn { class, resumes },
        }
    }

    /// The search for the first is over.
    fn end_first(&mut self, outcome: Outcome, context: &Context) {
        let Some(Asked { call, .. }) = self.waiting.pop_front() else {
            return;
        };
        // Who waits has to be woken, and may take this worker's CPU: better for many answers at
        // once.
        match context.outlasts_a_write(call.difficulty) {
            true => self.found.push((call, outcome)),
            false => call.tell(outcome),
        }
    }

    /// Somebody has stopped waiting for one of these calls. Says whether the first was ended for
    /// that: the queue had its place among its equals for that one.
    ///
    /// A call behind the first costs no time, only memory. So the whole queue is looked at only
    /// when half of its calls may be abandoned, and the cost of a notice does not grow with the
    /// queue.
    pub(crate) fn on_abandoned(&mut self, context: &mut Context) -> bool {
        self.abandoned += 1;
        if 2 * self.abandoned > self.waiting.len() {
            return self.refuse_late(context);
        }
        let is_first = self
            .waiting
            .front()
            .is_some_and(|Asked { call, .. }| call.is_abandoned());
        if is_first {
            self.refuse_first(Refusal::Abandoned, context);
        }
        is_first
    }

    /// Ends those calls for which nobody waits any more, or not any longer. Says whether the first
    /// was among them.
    pub(crate) fn refuse_late(&mut self, context: &mut Context) -> bool {
        let mut is_first = false;
        (self.due, self.abandoned) = (None, 0);
        // Each call goes from the front to the back once, so the order stays.
        for place in 0..self.waiting.len() {
            let Some(asked) = self.waiting.pop_front() else {
                break;
            };
            if let Some(refusal) = asked.call.refusal(context) {
                is_first |= place == 0;
                asked.refuse(refusal, context);
            } else {
                self.due = earlier(self.due, asked.call.deadline);
                self.waiting.push_back(asked);
            }
        }
        is_first
    }

    fn refuse_first(&mut self, refusal: Refusal, context: &mut Context) {
        if let Some(asked) = self.waiting.pop_front() {
            asked.refuse(refusal, context);
        }
    }

    /// Its worker ends.
    pub(crate) fn end(&mut self, context: &mut Context) {
        self.flush();
        for asked in self.waiting.drain(..) {
            asked.refuse(Refusal::Draining, context);
        }
    }
}

impl Asked {
    /// Ends it without an answer, and its search on every core.
    fn refuse(self, refusal: Refusal, context: &mut Context) {
        let Asked { call, task } = self;
        match refusal {
            Refusal::Abandoned => context.cancel(task, Cancel::Abandoned),
            Refusal::Draining => {
                context.cancel(task, Cancel::Abandoned);
                context.counters.calls_refused.add(1);
                call.tell(Err(SolveError::Draining));
            }
            Refusal::Deadline => {
                context.cancel(task, Cancel::Refused);
                call.tell(Err(SolveError::Deadline));
            }
        }
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
}
