//! What `powd solve` shows on a terminal while it searches, and that a pipe gets none of it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use powd_testkit::process::signal;
use powd_testkit::{DEADLINE, wait};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::POWD;

/// The terminal's end of a pair; what is written to it comes in pieces, until the last writer has
/// gone.
struct Terminal {
    written: Receiver<Vec<u8>>,
    text: String,
}

impl Terminal {
    /// A terminal of so many columns, and the end that a program writes to.
    fn new(columns: u16) -> (Terminal, File) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let ours = openpt(flags).expect("a terminal is free");
        grantpt(&ours).expect("it is ours");
        unlockpt(&ours).expect("it is ours");
        let name = ptsname(&ours, Vec::new()).expect("it has a name");
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, size).expect("a terminal");
        let theirs = open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
        let (pieces, written) = channel();
        let mut ours = File::from(ours);
        thread::spawn(move || {
            let mut some = [0; 1000];
            // An error is the end: nobody has the other side open any more.
            while let Ok(got @ 1..) = ours.read(&mut some) {
                if pieces.send(some[..got].to_vec()).is_err() {
                    return;
                }
            }
        });
        let terminal = Terminal {
            written,
            text: String::new(),
        };
        (terminal, File::from(theirs.expect("it was unlocked")))
    }

    /// Waits for words on it.
    fn wait_for(&mut self, words: &str) {
        while !self.text.contains(words) {
            let some = self.written.recv_timeout(DEADLINE);
            let some = some.unwrap_or_else(|_| panic!("no {words:?} in {:?}", self.text));
            self.text += &String::from_utf8_lossy(&some);
        }
    }

    /// All that was written to it, when nobody can write to it any more.
    fn whole(mut self) -> String {
        while let Ok(some) = self.written.recv_timeout(DEADLINE) {
            self.text += &String::from_utf8_lossy(&some);
        }
        self.text
    }
}

/// Starts `powd solve` with its standard error on a terminal of so many columns.
fn solve(arguments: &[&str], columns: u16) -> (Child, Terminal) {
    let (terminal, stderr) = Terminal::new(columns);
    let mut command = POWD.command(&[&["solve", "--kernel", "portable"], arguments].concat());
    command.env("TERM", "xterm").stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(stderr);
    (command.spawn().expect("powd can be started"), terminal)
}

/// The last line that was shown, and what came behind it.
fn last_shown(text: &str) -> (&str, &str) {
    let (before, after) = text.rsplit_once("MH/s").expect("it was shown");
    let begin = before.rfind(['\r', '\n']).map_or(0, |at| at + 1);
    let end = after.find(['\r', '\n', '\x1b']).unwrap_or(after.len());
    let behind = &after[end..];
    let line = &text[begin..text.len() - behind.len()];
    // Each but the first is shown where the one before was erased.
    (line.trim_start_matches("\x1b[2K"), behind)
}

/// The line is taken away with a carriage return and "erase in line", and nothing is in its place.
fn expect_cleared(text: &str) {
    let (_, behind) = last_shown(text);
    let shown = behind.replace("\x1b[2K", "").replace(['\r', '\n'], "");
    assert!(behind.contains("\x1b[2K") && shown.is_empty(), "{text:?}");
}

#[test]
fn a_long_search_is_shown_until_it_is_interrupted() {
    let (mut powd, mut terminal) = solve(&["-d", "40", "first", "second"], 200);
    terminal.wait_for(" x 16^40, found by now: ");
    signal(powd.id(), "INT");
    assert_eq!(
        wait::for_end(&mut powd).signal(),
        Some(2),
        "ended by the interrupt"
    );
    let text = terminal.whole();
    assert!(text.contains("message 1 of 2, "), "{text:?}");
    expect_cleared(&text);
}

#[test]
fn messages_without_end_are_counted_and_the_line_is_gone_at_the_end() {
    let (mut powd, mut terminal) = solve(&["-d", "5", "--threads", "1"], 200);
    let mut stdin = powd.stdin.take().expect("it was piped");
    let stdout = powd.stdout.take().expect("it was piped");
    let (enough, seen) = channel::<()>();
    let asking = thread::spawn(move || {
        let mut replies = BufReader::new(stdout).lines();
        while seen.try_recv().is_err() {
            stdin.write_all(b"message\n").expect("it reads");
            // One at a time: on a slow machine much work would be left at the end otherwise.
            let reply = replies.next().expect("a reply").expect("text");
            assert!(reply.starts_with("message,"), "{reply}");
        }
        drop(stdin);
        assert!(replies.next().is_none(), "more than was asked for");
    });
    terminal.wait_for("message ");
    terminal.wait_for("MH/s");
    enough.send(()).expect("it asks");
    asking.join().expect("a reply to each message");
    assert!(wait::for_end(&mut powd).success());
    expect_cleared(&terminal.whole());
}

#[test]
fn a_narrow_terminal_gets_one_line_of_its_width() {
    let (mut powd, mut terminal) = solve(&["-d", "40", "message"], 30);
    terminal.wait_for("MH/s");
    terminal.wait_for("\x1b[2K");
    powd.kill().expect("it runs");
    wait::for_end(&mut powd);
    let text = terminal.whole();
    let (line, _) = last_shown(&text);
    assert!(line.trim_end().len() <= 30, "{text:?}");
}

#[test]
fn a_search_ends_quietly_when_nobody_reads_its_output_any_more() {
    let mut command = POWD.command(&["solve", "-d", "40", "message"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut powd = command.spawn().expect("powd can be started");
    drop(powd.stdout.take());
    assert_eq!(wait::for_end(&mut powd).code(), Some(0));
    let mut told = String::new();
    let mut stderr = powd.stderr.take().expect("it was piped");
    stderr.read_to_string(&mut told).expect("text");
    assert_eq!(told, "");
}
