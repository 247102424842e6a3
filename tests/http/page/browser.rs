//! A headless Chromium, by WebDriver (W3C): JSON over HTTP to `chromedriver`.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::client::Http;

/// A browser with one window; ended when dropped.
pub(super) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    /// Kept open: it may have more to say.
    _said: BufReader<ChildStdout>,
}

impl Browser {
    /// None where there is no chromedriver.
    pub(super) fn start() -> Option<Browser> {
        // It chooses a free port and says which.
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut said = BufReader::new(driver.stdout.take().expect("a pipe"));
        let mut port = None;
        while port.is_none() {
            let mut line = String::new();
            let read = said.read_line(&mut line).expect("text");
            assert!(read > 0, "chromedriver ended without a port");
            let number = line.split("successfully on port ").nth(1);
            port = number.and_then(|rest| rest.split('.').next()?.trim().parse().ok());
        }
        let mut browser = Browser {
            driver,
            address: SocketAddr::from(([127, 0, 0, 1], port.expect("what was waited for"))),
            session: String::new(),
            _said: said,
        };
        // The last ones keep it from looking for its maker's servers.
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = browser.command("POST", "/session", &wanted);
        browser.session = session["sessionId"].as_str().expect("an id").to_owned();
        Some(browser)
    }

    /// Sends a command; its `value`.
    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "POST" {
            body.to_string()
        } else {
            String::new()
        };
        let headers = ["Content-Type: application/json"];
        let mut driver = Http::connect(self.address);
        let answer = driver.ask(&format!("{method} {path}"), &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()["value"].take()
    }

    fn in_session(&self, path: &str, body: &Value) -> Value {
        self.command("POST", &format!("/session/{}{path}", self.session), body)
    }

    pub(super) fn visit(&self, url: &str) {
        self.in_session("/url", &json!({"url": url}));
    }

    /// Runs a script; what it returns.
    pub(super) fn run(&self, script: &str) -> Value {
        self.in_session("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Makes the page so large, as on a screen of that size.
    pub(super) fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        }});
        self.in_session("/goog/cdp/execute", &metrics);
    }

    /// The page as PNG.
    pub(super) fn screenshot(&self) -> Vec<u8> {
        let path = format!("/session/{}/screenshot", self.session);
        let picture = self.command("GET", &path, &Value::Null);
        let picture = picture.as_str().expect("text");
        BASE64_STANDARD.decode(picture).expect("Base64")
    }

    /// What the browser's log says so far.
    pub(super) fn complaints(&self) -> Vec<String> {
        let log = self.in_session("/se/log", &json!({"type": "browser"}));
        let lines = log.as_array().into_iter().flatten();
        lines
            .map(|line| line["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // Ends the browser's processes, too.
            let path = format!("/session/{}", self.session);
            self.command("DELETE", &path, &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
