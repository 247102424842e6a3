//! What manual pages say beside the options: exit codes, signals, files, examples.

/// A name, and what it means.
pub(super) type Entry = (&'static str, &'static str);

/// What the page of a command says beside its options.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) exit_status: &'static [Entry],
    pub(super) signals: &'static [Entry],
    pub(super) files: &'static [Entry],
    /// What is wanted, and what to type.
    pub(super) examples: &'static [Entry],
    /// Pages of others, with their section.
    pub(super) see_also: &'static [Entry],
}

const PLAIN: Notes = Notes {
    exit_status: &[DONE, FAILED, WRONGLY_ASKED],
    signals: &[],
    files: &[],
    examples: &[],
    see_also: &[],
};

const DONE: Entry = ("0", "It is done.");
const FAILED: Entry = (
    "1",
    "It did not work out; standard error says why, in one line.",
);
const WRONGLY_ASKED: Entry = (
    "2",
    "Asked wrongly; standard error says what is wrong and what is allowed, in one line.",
);

/// The notes of a command, or of powd as a whole.
pub(super) fn of(command: &str) -> Notes {
    match command {
        "serve" => SERVE,
        "solve" => SOLVE,
        "verify" => VERIFY,
        "speed" => SPEED,
        "load" => LOAD,
        "health" => HEALTH,
        "completions" => COMPLETIONS,
        "man" => MAN,
        _ => POWD,
    }
}

const POWD: Notes = Notes {
    files: SERVE.files,
    examples: &[
        (
            "Serve on port 20000 of this machine alone, and ask:",
            "powd serve --listen 127.0.0.1:20000\nprintf 'hello\\n' | nc -N 127.0.0.1 20000",
        ),
        (
            "Find a seed, and check it:",
            "powd solve -d 5 hello | powd verify -d 5",
        ),
    ],
    ..PLAIN
};

const SERVE: Notes = Notes {
    exit_status: &[
        ("0", "It was told to end, and has drained."),
        (
            "1",
            "It could not start, or a thread of it failed; standard error says why.",
        ),
        WRONGLY_ASKED,
        (
            "128 + N",
            "A second signal N ended it at once: 143 for SIGTERM, 130 for SIGINT, 129 for SIGHUP.",
        ),
    ],
    signals: &[
        (
            "SIGTERM, SIGINT, SIGHUP",
            "It goes on for --shutdown-delay, then takes no new connections, answers what it has received for up to --drain-timeout, gives each request that is still open an error line, and ends. A second one ends it at once. Under nohup SIGHUP stays ignored.",
        ),
        (
            "SIGUSR1",
            "It prints its counters on standard error, as one line of JSON.",
        ),
    ],
    files: &[
        (
            "/etc/default/powd",
            "The variables that powd.service serves with, each with its default.",
        ),
        (
            "powd.service, powd.socket",
            "The service of systemd, and the socket that can listen for it: systemctl cat powd shows where they are.",
        ),
    ],
    examples: &[
        (
            "Serve two difficulties, one of them to this machine alone:",
            "powd serve --listen 0.0.0.0:20000@3 --listen 127.0.0.1:20006@6",
        ),
        (
            "Serve strangers:",
            "powd serve --max-connections-per-ip 64 --idle-timeout 5m --deadline 10s",
        ),
        (
            "Serve over HTTP too, watched by Prometheus, behind a balancer that asks /readyz every two seconds:",
            "powd serve --http 0.0.0.0:8080 --admin 10.0.0.11:9100 --shutdown-delay 6s",
        ),
        ("Leave a CPU to others:", "powd serve --workers all-1"),
    ],
    see_also: &[("systemd.socket", "5"), ("systemctl", "1")],
};

const SOLVE: Notes = Notes {
    examples: &[
        ("Two messages:", "powd solve -d 4 hello world"),
        (
            "The lines of a file, on one thread, the same seeds each time:",
            "powd solve -d 2 --threads 1 --rng-seed 1 < messages.txt",
        ),
    ],
    ..PLAIN
};

const VERIFY: Notes = Notes {
    exit_status: &[
        ("0", "All lines are good."),
        ("1", "A line is bad, or there was none to check."),
        WRONGLY_ASKED,
    ],
    examples: &[(
        "What a service answers:",
        "printf 'hello\\n' | nc -N 127.0.0.1 20000 | powd verify -d 3",
    )],
    ..PLAIN
};

const SPEED: Notes = Notes {
    examples: &[
        ("Each kernel on one thread:", "powd speed"),
        (
            "What a service could reach here, for programs:",
            "powd speed --kernel auto --threads all --json",
        ),
    ],
    ..PLAIN
};

const LOAD: Notes = Notes {
    exit_status: &[
        ("0", "Replies came, and all were right."),
        ("1", "A reply was wrong, none came, or nothing listens."),
        WRONGLY_ASKED,
        (
            "130",
            "A second Ctrl-C ended it; the first one ends the measurement.",
        ),
    ],
    signals: &[(
        "SIGINT",
        "It ends the measurement and prints what was measured.",
    )],
    examples: &[
        (
            "The most replies that 100 connections get:",
            "powd load 127.0.0.1:20000 -d 3 -s 10",
        ),
        (
            "Latency at 500 requests per second:",
            "powd load 127.0.0.1:20000 -d 3 --rate 500 -s 10",
        ),
        (
            "1000 requests, each on a connection of its own:",
            "powd load 127.0.0.1:20000 -n 1000 --reconnect",
        ),
    ],
    ..PLAIN
};

const HEALTH: Notes = Notes {
    exit_status: &[
        ("0", "The service is ready."),
        (
            "1",
            "It is not, or does not answer; standard error says which.",
        ),
        WRONGLY_ASKED,
    ],
    examples: &[("In a script:", "powd health 127.0.0.1:9100 && echo ready")],
    ..PLAIN
};

const COMPLETIONS: Notes = Notes {
    examples: &[
        ("For the shell at hand:", "source <(powd completions bash)"),
        (
            "For all users of fish:",
            "powd completions fish > /usr/share/fish/vendor_completions.d/powd.fish",
        ),
    ],
    ..PLAIN
};

const MAN: Notes = Notes {
    examples: &[("Install the pages:", "powd man /usr/local/share/man/man1")],
    ..PLAIN
};
