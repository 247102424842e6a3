//! Lines of a request body, cut from the pieces that it comes in, in bounded memory.

/// What is received and not cut yet.
#[derive(Debug)]
pub(super) struct Lines {
    max: usize,
    received: Vec<u8>,
    /// Bytes of `received` that were cut.
    cut: usize,
    /// Bytes of `received` that have no end of a line in them, from `cut` on.
    searched: usize,
    /// In a line that is too long: what comes is forgotten up to its end.
    is_skipping: bool,
    /// Nothing more is received.
    is_over: bool,
}

/// One line, without its `\n`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    TooLong,
}

impl Lines {
    /// Of lines that have at most `max` bytes.
    pub(super) fn new(max: usize) -> Lines {
        Lines {
            max,
            received: Vec::new(),
            cut: 0,
            searched: 0,
            is_skipping: false,
            is_over: false,
        }
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.received.drain(..self.cut);
        self.cut = 0;
        self.received.extend_from_slice(bytes);
    }

    /// What was received last without its `\n` is a line too.
    pub(super) fn end(&mut self) {
        self.is_over = true;
    }

    /// Nothing more is read: a line that has not come whole is none.
    pub(super) fn stop(&mut self) {
        let whole = memchr::memrchr(b'\n', &self.received).map_or(0, |end| end + 1);
        if whole <= self.cut {
            self.is_skipping = false;
        }
        self.received.truncate(whole.max(self.cut));
        self.searched = self.searched.min(self.received.len() - self.cut);
        self.is_over = true;
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The next line, if there is a whole one.
    pub(super) fn cut(&mut self) -> Option<Line> {
        let rest = &self.received[self.cut..];
        match memchr::memchr(b'\n', &rest[self.searched..]) {
            Some(at) => {
                let length = self.searched + at;
                Some(self.take(length, length + 1))
            }
            None if self.is_over && (self.is_skipping || !rest.is_empty()) => {
                let length = rest.len();
                Some(self.take(length, length))
            }
            None if rest.len() > self.max => {
                self.is_skipping = true;
                self.received.clear();
                (self.cut, self.searched) = (0, 0);
                None
            }
            None => {
                self.searched = rest.len();
                None
            }
        }
    }

    /// A line of `length` bytes, with its end `taken`.
    fn take(&mut self, length: usize, taken: usize) -> Line {
        let is_too_long = std::mem::take(&mut self.is_skipping) || length > self.max;
        let line = &self.received[self.cut..self.cut + length];
        let line = match is_too_long {
            true => Line::TooLong,
            false => Line::Whole(line.to_vec()),
        };
        self.cut += taken;
        self.searched = 0;
        line
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 5;

    fn lines_of(pieces: &[&[u8]]) -> Vec<Line> {
        let mut lines = Lines::new(MAX);
        let mut found = Vec::new();
        for piece in pieces {
            lines.receive(piece);
            found.extend(std::iter::from_fn(|| lines.cut()));
            assert!(lines.received.len() - lines.cut <= MAX, "unbounded");
        }
        lines.end();
        found.extend(std::iter::from_fn(|| lines.cut()));
        found
    }

    #[test]
    fn who_stops_loses_no_whole_line_and_gets_no_other() {
        let whole = |line: &[u8]| Line::Whole(line.to_vec());
        for (text, cut_before, left) in [
            (&b"a\nb\nhal"[..], 0, vec![whole(b"a"), whole(b"b")]),
            (b"a\nb\nhal", 2, vec![]),
            (b"hal", 1, vec![]),
            (b"", 0, vec![]),
            (b"much too long", 1, vec![]),
            (b"much too long\nb\n", 0, vec![Line::TooLong, whole(b"b")]),
        ] {
            let mut lines = Lines::new(MAX);
            lines.receive(text);
            for _ in 0..cut_before {
                lines.cut();
            }
            lines.stop();
            assert!(lines.is_over());
            let rest: Vec<Line> = std::iter::from_fn(|| lines.cut()).collect();
            assert_eq!(rest, left, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_come(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..60),
            at in 0..60usize,
            then in 0..60usize,
        ) {
            let (first, rest) = text.split_at(at.min(text.len()));
            let (second, third) = rest.split_at(then.min(rest.len()));
            let mut whole: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
            // What stands behind the last newline is a line only where there is something.
            if whole.last().is_some_and(|last| last.is_empty()) {
                whole.pop();
            }
            let expected = whole.iter().map(|line| match line.len() > MAX {
                true => Line::TooLong,
                false => Line::Whole(line.to_vec()),
            });
            prop_assert_eq!(lines_of(&[first, second, third]), expected.collect::<Vec<_>>());
        }
    }
}
