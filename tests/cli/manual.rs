//! Pages, completions: made from the command line's own definition, and content for the programs
//! that read them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use powd_testkit::program::{expect_one_line, run};
use powd_testkit::{TestPath, is_there, skip};

use crate::POWD;

/// The pages, in a directory that powd makes.
fn pages(name: &str) -> TestPath {
    let directory = TestPath::new(name);
    let output = POWD.run(&["man", directory.text()]);
    assert!(output.status.success() && output.stdout.is_empty());
    directory
}

#[test]
fn every_command_has_a_page_with_its_options_and_variables() {
    let pages = pages("pages");
    let page = |name: &str| {
        let text = fs::read_to_string(pages.file(name)).expect("a page");
        // As roff writes hyphens.
        text.replace("\\-", "-")
    };
    let help = |arguments: &[&str]| String::from_utf8(POWD.run(arguments).stdout).expect("text");
    let all = help(&["--help"]);
    // Indented by two; what they do may go on in further lines.
    let listed = all.lines().filter_map(|line| line.strip_prefix("  "));
    let listed = listed.filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    let commands = listed.filter_map(|line| line.split_whitespace().next());
    let commands: Vec<&str> = commands.filter(|name| *name != "help").collect();
    assert!(commands.contains(&"serve") && commands.contains(&"man"));
    for name in commands {
        assert!(
            page("powd.1").contains(&format!("powd-{name}(1)")),
            "{name}"
        );
        let page = page(&format!("powd-{name}.1"));
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "EXIT STATUS",
            "EXAMPLES",
        ] {
            let heading = [format!(".SH {section}\n"), format!(".SH \"{section}\"\n")];
            assert!(
                heading.iter().any(|heading| page.contains(heading)),
                "{name}: {section}"
            );
        }
        let help = help(&[name, "--help"]);
        let words = help.split(|c: char| c.is_whitespace() || "[]=,".contains(c));
        let typed: BTreeSet<&str> = words
            .filter(|word| word.starts_with("--") && word.len() > 2 || word.starts_with("POWD_"))
            .filter(|word| {
                word.chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
            })
            .collect();
        assert!(typed.contains("--help"), "{name}");
        for word in typed {
            assert!(page.contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn groff_has_nothing_to_say() {
    if !is_there("groff") {
        return skip("groff is missing");
    }
    let pages = pages("checked");
    for page in fs::read_dir(pages.path()).expect("pages") {
        let path = page.expect("a page").path();
        let mut groff = Command::new("groff");
        groff.args(["-man", "-Tutf8", "-wall", "-z"]).arg(&path);
        let output = run(groff, b"");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.is_empty(),
            "{}: {said}",
            path.display()
        );
    }
}

#[test]
fn pages_that_cannot_be_written_are_told_in_one_line() {
    let told = expect_one_line(
        &POWD.run(&["man", "/dev/null/pages"]),
        1,
        "a file's directory",
    );
    assert!(told.contains("/dev/null/pages"), "{told}");
}

#[test]
fn bash_completes_commands_flags_and_values() {
    // The words typed so far, and one of those that fit. `$0` is the script's own name for powd.
    for (typed, expected) in [
        ("powd se", "serve"),
        ("powd serve --max-conn", "--max-connections-per-ip"),
        ("powd serve --log-format j", "json"),
        ("powd completions z", "zsh"),
    ] {
        let script = r#"
            source <("$0" completions bash)
            read -ra COMP_WORDS <<<"$1"
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _powd powd "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            printf '%s\n' "${COMPREPLY[@]}"
        "#;
        let mut bash = Command::new("bash");
        bash.args(["-c", script, POWD.path(), typed]);
        if !is_there("bash") {
            return skip("bash is missing");
        }
        let output = run(bash, b"");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            said.lines().any(|word| word == expected),
            "{typed}: {said} {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn there_are_completions_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = POWD.run(&["completions", shell]);
        assert!(output.status.success(), "{shell}");
        let script = String::from_utf8(output.stdout).expect("text");
        assert!(script.contains("half-close-timeout"), "{shell}");
    }
    let told = expect_one_line(&POWD.run(&["completions", "dos"]), 2, "no such shell");
    assert!(told.contains("bash"), "{told}");
}
