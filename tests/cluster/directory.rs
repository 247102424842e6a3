//! Files of one test.

use std::fs;
use std::path::PathBuf;

/// A directory that is gone when the test is over.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("powd-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("it can be made");
        Directory(path)
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> String {
        let path = self.0.join(name);
        path.to_str().expect("text").to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
