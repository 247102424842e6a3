//! Files of one test, which are gone when it is over.

use std::fs;
use std::path::{Path, PathBuf};

/// A path of one test, short enough for a socket file; what is there is removed at the end.
#[derive(Debug)]
pub struct TestPath(PathBuf);

impl TestPath {
    /// A path at which nothing is. `name` tells those of one test program apart.
    pub fn new(name: &str) -> TestPath {
        let name = format!("powd-test-{}-{name}", std::process::id());
        let path = TestPath(std::env::temp_dir().join(name));
        // A process of the same number may have been killed before its end.
        path.clear();
        path
    }

    /// The path of an empty directory.
    pub fn directory(name: &str) -> TestPath {
        let path = TestPath::new(name);
        fs::create_dir(&path.0).expect("a directory for files");
        path
    }

    /// The path of a file with this text.
    pub fn with_text(name: &str, text: &str) -> TestPath {
        let path = TestPath::new(name);
        fs::write(&path.0, text).expect("a directory for files");
        path
    }

    /// The path as text.
    pub fn text(&self) -> &str {
        self.0.to_str().expect("text")
    }

    /// The path itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in the directory.
    pub fn file(&self, name: &str) -> String {
        let path = self.0.join(name);
        path.to_str().expect("text").to_owned()
    }

    /// A socket file, as powd takes it for an address.
    pub fn address(&self) -> String {
        format!("unix:{}", self.0.display())
    }

    /// Removes what is there, if anything.
    fn clear(&self) {
        let _ = match self.0.is_dir() {
            true => fs::remove_dir_all(&self.0),
            false => fs::remove_file(&self.0),
        };
    }
}

impl Drop for TestPath {
    fn drop(&mut self) {
        self.clear();
    }
}
