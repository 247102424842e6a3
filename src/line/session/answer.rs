//! Answering: from the bytes at hand to the bytes of replies.

use powd_core::{Job, Progress};

use super::{Request, Session, Shelf, Stage};
use crate::engine::{Budget, Cancel, Drain, Host, TurnKind};
use crate::line::buffers::Buffer;
use crate::protocol::{Cut, ErrorLine, Reply};

impl<T> Session<T> {
    /// Answers requests, in order, until none is whole, the output is full, the budget spent, or
    /// helpers must finish first.
    pub(crate) fn answer<H: Host<Task = T>>(
        &mut self,
        host: &mut H,
        shelf: &mut Shelf<'_, T>,
        budget: &mut Budget,
    ) {
        while self.stage == Stage::Open && !budget.is_spent() && self.has_room(shelf) {
            // The request stays where it is: moving it out and back takes a hundredth of an easy
            // reply.
            if self.request.get().is_none()
                && let Some(request) = self.cut(host, shelf)
            {
                self.request.put(request, shelf.rooms);
            }
            if let Some(error) = self.refusal(host, shelf) {
                self.refuse_request(error, host, shelf);
                budget.spend_request();
                continue;
            }
            let Some(request) = self.request.get_mut() else {
                return;
            };
            if budget.kind() == TurnKind::New && host.is_hard(self.difficulty, request.length) {
                // Its time comes in its class.
                return;
            }
            let message = self
                .input
                .as_ref()
                .map_or(&[][..], |input| &input.filled()[..request.length]);
            let job = Job {
                message,
                difficulty: self.difficulty,
            };
            let progress = host.advance(&mut request.task, job, budget);
            request.stalled = progress == Progress::Stalled;
            match progress {
                Progress::Found(solution) => {
                    let output = self.output.get_or_insert_with(|| shelf.pool.output());
                    output.push_reply(message, &solution);
                    shelf.counters.replies.add(1);
                    shelf
                        .durations
                        .record(self.difficulty, request.age(host.now()));
                    self.finish();
                }
                Progress::Exhausted => {
                    self.refuse(ErrorLine::Exhausted, shelf);
                    self.finish();
                }
                Progress::Pending => {}
                Progress::Stalled => return,
            }
        }
    }

    /// Why the request at hand is refused before it gets any more time, if it is.
    fn refusal(&self, host: &impl Host<Task = T>, shelf: &Shelf<'_, T>) -> Option<ErrorLine> {
        let request = self.request.get()?;
        if host.drain() == Drain::Expired {
            return Some(ErrorLine::Draining);
        }
        // When there are more searches than time for them, those that come to nothing must not
        // take half of it.
        let limit = shelf.options.limits.deadline?;
        (request.age(host.now()) >= limit).then_some(ErrorLine::Deadline)
    }

    /// Puts an error line in the place of the request at hand, and ends its search.
    #[cold]
    fn refuse_request(
        &mut self,
        error: ErrorLine,
        host: &mut impl Host<Task = T>,
        shelf: &mut Shelf<'_, T>,
    ) {
        self.refuse(error, shelf);
        let why = match error {
            ErrorLine::Draining => Cancel::Abandoned,
            _ => Cancel::Refused,
        };
        if let Some(request) = self.finish() {
            host.cancel(request.task, why);
        }
    }

    /// The next request of the input, if there is a whole one.
    fn cut(
        &mut self,
        host: &mut impl Host<Task = T>,
        shelf: &mut Shelf<'_, T>,
    ) -> Option<Request<T>> {
        let input = self.input.as_ref().map_or(&[][..], Buffer::filled);
        match self.cutter.cut(input, self.has_read_eof()) {
            Cut::Message { length, taken } => {
                shelf.counters.requests.add(1);
                Some(Request {
                    length,
                    taken,
                    since: host.now(),
                    task: host.begin(length),
                    stalled: false,
                })
            }
            Cut::Incomplete => {
                self.needs_input = true;
                None
            }
            Cut::TooLong => {
                let max = shelf.options.limits.max_message_bytes.get();
                self.refuse(ErrorLine::TooLong { max }, shelf);
                self.stage = Stage::Closing;
                if let Some(input) = self.input.take() {
                    shelf.pool.keep_input(input);
                }
                None
            }
        }
    }

    /// Whether the output has room for the next reply, whichever it is.
    fn has_room(&self, shelf: &Shelf<'_, T>) -> bool {
        let Some(output) = &self.output else {
            return true;
        };
        // The next message is not cut yet; it is no longer than the input.
        let input = self.input.as_ref().map_or(0, Buffer::len);
        let longest = shelf.options.limits.max_message_bytes.get().min(input);
        output.spare() >= longest + Reply::OVERHEAD + ErrorLine::MAX_BYTES
    }

    fn refuse(&mut self, error: ErrorLine, shelf: &mut Shelf<'_, T>) {
        shelf.counters.count_error(error);
        let output = self.output.get_or_insert_with(|| shelf.pool.output());
        output.push_error(error);
    }

    /// Takes the request at hand, which has its reply or its error, from the input.
    #[inline]
    fn finish(&mut self) -> Option<Request<T>> {
        let request = self.request.take();
        if let (Some(input), Some(request)) = (&mut self.input, &request) {
            input.take(request.taken);
        }
        // Where a read is a message, the next message needs a read.
        self.needs_input = self.input.as_ref().is_none_or(Buffer::is_empty);
        request
    }
}
