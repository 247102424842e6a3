//! The page for people, in a real browser: what it shows while the service idles, works, refuses,
//! when it is gone, and when it is there again. With `POWD_SCREENSHOTS=DIR` each state is left
//! there as PNG, wide and narrow, to be looked at.

mod browser;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use powd_testkit::{Powd, reserved_port, skip, until};
use serde_json::Value;

use crate::POWD;
use crate::client::{HOPELESS, Http, serve, serve_bounded};
use browser::Browser;

/// A desk and a phone.
const SIZES: [(&str, u32, u32); 2] = [("wide", 1280, 900), ("narrow", 390, 844)];

fn start() -> Option<Browser> {
    let browser = Browser::start();
    if browser.is_none() {
        skip("chromedriver and chromium are not installed");
    }
    browser
}

fn open(powd: &Powd) -> Option<Browser> {
    let browser = start()?;
    browser.visit(&format!("http://{}/", powd.door("admin")));
    Some(browser)
}

/// The text of the element with this id.
fn text(browser: &Browser, id: &str) -> String {
    let script = format!("return document.getElementById('{id}').textContent");
    let text = browser.run(&script);
    text.as_str().unwrap_or_default().to_owned()
}

fn until_shown(browser: &Browser, id: &str, wanted: impl Fn(&str) -> bool) {
    until(&format!("what #{id} is to show"), || {
        wanted(&text(browser, id))
    });
}

/// No word of the page's own in the browser's log: what cannot be fetched is all there is.
fn expect_no_fault(browser: &Browser) {
    let complaints = browser.complaints();
    let own: Vec<_> = complaints
        .iter()
        .filter(|line| !line.contains("Failed to load resource"))
        .collect();
    assert!(own.is_empty(), "{own:?}");
}

/// In each size: nothing sticks out sideways, and there is a picture for who wants to look. Returns
/// where the sections are: they must not jump.
fn look(browser: &Browser, state: &str) -> Vec<Value> {
    let pictures = std::env::var_os("POWD_SCREENSHOTS").map(PathBuf::from);
    let mut places = Vec::new();
    for (size, width, height) in SIZES {
        browser.resize(width, height);
        let sticks_out = browser.run(
            "return document.documentElement.scrollWidth > document.documentElement.clientWidth",
        );
        assert_eq!(sticks_out, false, "{state}, {size}");
        places.push(browser.run(
            "return [...document.querySelectorAll('section')].map(section => section.offsetTop)",
        ));
        if let Some(pictures) = &pictures {
            // All of it, also what one scrolls to.
            let whole = browser.run("return document.documentElement.scrollHeight");
            let whole = whole.as_u64().and_then(|whole| whole.try_into().ok());
            browser.resize(width, whole.expect("pixels"));
            fs::create_dir_all(pictures).expect("a directory");
            let file = pictures.join(format!("{state}-{size}.png"));
            fs::write(file, browser.screenshot()).expect("a file");
        }
    }
    places
}

#[test]
fn the_page_shows_what_the_service_does_and_when_it_is_gone() {
    let powd = serve(&["-d", "1", "--allow", "127.0.0.1"]);
    let Some(browser) = open(&powd) else { return };
    until_shown(&browser, "state", |state| state == "ready");
    until_shown(&browser, "hashes", |rate| rate.starts_with("0 "));
    until_shown(&browser, "searches", |rows| {
        rows.contains("None: everything is answered at once.")
    });
    let places = look(&browser, "idle");

    // The form solves a message and shows how its hash comes about.
    browser.run(
        "document.getElementById('message').value = '<b>&\"';
         document.getElementById('difficulty').value = 3;
         document.getElementById('go').click()",
    );
    until_shown(&browser, "result", |result| {
        result.contains("<b>&\")") && result.contains("= 000") && result.contains(" tried in ")
    });

    // Under load: a search that does not end, and many that do.
    let mut hard = Http::to(&powd);
    let hopeless = HOPELESS.to_string();
    let solve = format!("POST /v1/solve?difficulty={hopeless}");
    hard.request(&solve, &[], b"hard");
    until_shown(&browser, "searches", |rows| rows.contains(&hopeless));
    until_shown(&browser, "hashes", |rate| {
        rate.contains('M') || rate.contains('k')
    });
    assert_eq!(look(&browser, "load"), places);
    // The page can stop what it has begun.
    browser.run(&format!(
        "document.getElementById('difficulty').value = {hopeless};
         document.getElementById('go').click()",
    ));
    until_shown(&browser, "searches-note", |note| {
        note.contains("2 requests")
    });
    browser.run("document.getElementById('stop').click()");
    until_shown(&browser, "result", |result| result.starts_with("Stopped"));
    until_shown(&browser, "searches-note", |note| {
        note.contains("1 request under")
    });
    drop(hard);

    // Errors have names.
    let beyond = format!("/v1/solve?difficulty={}", HOPELESS + 1);
    Http::to(&powd).post(&beyond, b"x");
    until_shown(&browser, "errors", |rows| rows.contains("difficulty"));
    assert_eq!(look(&browser, "errors"), places);

    powd.signal("KILL");
    until_shown(&browser, "state", |state| state == "not reachable");
    until_shown(&browser, "alarm", |alarm| {
        alarm.contains("has not answered since")
    });
    assert_eq!(look(&browser, "gone"), places);
    expect_no_fault(&browser);
}

#[test]
fn the_page_knows_a_service_that_was_started_again() {
    let Some(browser) = start() else { return };
    let (_reserved, address) = reserved_port();
    let admin = address.to_string();
    let serve = |workers| POWD.serve(&["--admin", &admin, "--workers", workers]);
    let hide = |is_hidden: bool| {
        browser.run(&format!(
            "Object.defineProperty(document, 'hidden', {{ value: {is_hidden}, configurable: true }})"
        ))
    };
    let begun = Instant::now();
    let first = serve("1");
    browser.visit(&format!("http://{admin}/"));
    until_shown(&browser, "about", |about| about.contains(" 1 worker "));

    // Nobody looks at it until the second one is up for longer than the first one ever was.
    hide(true);
    drop(first);
    let lived = begun.elapsed().as_secs_f64();
    let second = serve("2");
    until("a longer uptime", || {
        let status = Http::connect(address).get("/status").json();
        status["uptime_seconds"].as_f64() > Some(lived)
    });
    hide(false);
    until_shown(&browser, "about", |about| about.contains(" 2 workers "));
    assert_eq!(text(&browser, "state"), "ready");
    expect_no_fault(&browser);

    // What the page does not understand is not taken for an outage either.
    browser.run("window.known = fetch; fetch = async () => new Response('null')");
    until_shown(&browser, "state", |state| state == "not shown");
    browser.run("fetch = window.known");
    until_shown(&browser, "state", |state| state == "ready");

    // No row is left of a worker that is gone.
    let rows = || browser.run("return document.getElementById('workers').children.length");
    assert_eq!(rows(), 2);
    drop(second);
    let _third = serve("1");
    until_shown(&browser, "about", |about| about.contains(" 1 worker "));
    assert_eq!(rows(), 1);
}

#[test]
fn the_form_can_be_sent_as_it_stands() {
    let powd = serve_bounded(&["--max-difficulty", "3"]);
    let Some(browser) = open(&powd) else { return };
    until_shown(&browser, "state", |state| state == "ready");
    browser.run("document.getElementById('go').click()");
    until_shown(&browser, "result", |result| result.contains("= 000"));

    // What was typed stays, also where the service that comes next allows less.
    let difficulty = || browser.run("return document.getElementById('difficulty').value");
    assert_eq!(difficulty(), "3");
    browser.run(
        "document.getElementById('difficulty').value = 2;
         const known = fetch;
         fetch = async (...call) => {
             const status = await (await known(...call)).json();
             return Response.json({ ...status, kernel: 'another', max_difficulty: 1 });
         }",
    );
    until_shown(&browser, "about", |about| about.contains("another"));
    assert_eq!(difficulty(), "2");
}
