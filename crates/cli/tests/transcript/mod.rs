//! A document's shell blocks as a list of what its reader types and sees.

pub mod compare;
pub mod shell;

/// One thing that a reader does.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// The line of the document, from 1.
    pub line: usize,
    pub what: What,
    /// The lines that the document shows as its output; nothing is compared where it shows none.
    pub shown: Vec<String>,
}

/// What a reader does.
#[derive(Debug, PartialEq, Eq)]
pub enum What {
    /// Types this, and waits until it ends with this exit code.
    Command(String, i32),
    /// Types this in a terminal of its own, where it stays.
    Server(String),
    /// Presses Ctrl-C in the terminal of the server that was started last.
    Stop,
}

/// Blocks that nobody types: contents of files that are shown, diagrams, answers.
const NOT_TYPED: [&str; 6] = ["", "csv", "json", "mermaid", "text", "toml"];

/// What the document has its reader do, in order.
///
/// | block | what it means |
/// |---|---|
/// | `sh` | commands, each of which must end with exit code 0 |
/// | `console` | commands behind `$ `, each followed by what it shows; `$ echo $?` says which exit code it had |
/// | `sh server`, `console server` | one command that runs in a terminal of its own |
/// | `console stop` | `^C` in that terminal, and what is shown then |
pub fn steps(document: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = document.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let block: Vec<(&str, usize)> =
            lines.by_ref().take_while(|(line, _)| !line.starts_with("```")).collect();
        match language {
            "sh" => steps.extend(typed(&block)),
            "console" => steps.extend(shown(&block)),
            "sh server" => steps.extend(typed(&block).into_iter().map(in_the_background)),
            "console server" => steps.extend(shown(&block).into_iter().map(in_the_background)),
            "console stop" => {
                assert_eq!(block.first().map(|(line, _)| *line), Some("^C"), "line {number}");
                let shown = block.iter().skip(1).map(|(line, _)| (*line).to_owned()).collect();
                steps.push(Step { line: number, what: What::Stop, shown });
            }
            other => assert!(NOT_TYPED.contains(&other), "line {number}: a block `{other}`"),
        }
    }
    steps
}

fn in_the_background(step: Step) -> Step {
    let What::Command(command, 0) = step.what else { panic!("line {}: no server", step.line) };
    Step { what: What::Server(command), ..step }
}

/// The commands of a block that shows nothing else.
fn typed(block: &[(&str, usize)]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut open = false;
    for (line, number) in block {
        match steps.last_mut() {
            Some(Step { what: What::Command(command, _), .. }) if open => {
                command.push('\n');
                command.push_str(line);
                open = !is_whole(command);
            }
            _ if line.trim().is_empty() || line.starts_with('#') => {}
            _ => {
                open = !is_whole(line);
                let what = What::Command((*line).to_owned(), 0);
                steps.push(Step { line: *number, what, shown: Vec::new() });
            }
        }
    }
    steps
}

/// The commands of a block that shows what they say.
fn shown(block: &[(&str, usize)]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (line, number) in block {
        if let Some(command) = line.strip_prefix("$ ") {
            let what = What::Command(command.to_owned(), 0);
            steps.push(Step { line: *number, what, shown: Vec::new() });
            continue;
        }
        let Some(Step { what: What::Command(command, _), shown, .. }) = steps.last_mut() else {
            panic!("line {number}: a block `console` begins with `$ `");
        };
        if shown.is_empty() && !is_whole(command) {
            command.push('\n');
            command.push_str(line);
        } else {
            shown.push((*line).to_owned());
        }
    }
    with_exit_codes(steps)
}

/// `echo $?` is what the document says about the command before it.
fn with_exit_codes(steps: Vec<Step>) -> Vec<Step> {
    let mut kept: Vec<Step> = Vec::new();
    for step in steps {
        let asks = step.what == What::Command("echo $?".to_owned(), 0);
        match kept.last_mut() {
            Some(Step { what: What::Command(_, exit), .. }) if asks => {
                *exit = step.shown.first().and_then(|code| code.parse().ok()).unwrap();
            }
            _ => kept.push(step),
        }
    }
    kept
}

/// Whether a shell would run it, or wait for more lines.
fn is_whole(command: &str) -> bool {
    if let Some((_, rest)) = command.split_once("<<'") {
        let (word, rest) = rest.split_once('\'').unwrap_or((rest, ""));
        return rest.lines().any(|line| line == word);
    }
    command.matches('\'').count().is_multiple_of(2) && !command.ends_with('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: usize, command: &str, exit: i32, shown: &[&str]) -> Step {
        let what = What::Command(command.to_owned(), exit);
        Step { line, what, shown: shown.iter().map(|line| (*line).to_owned()).collect() }
    }

    #[test]
    fn every_command_of_a_document_is_found_with_what_it_shows() {
        let document = "\
Text.

```sh
# a remark
cat > a <<'END'
'$ no command'
END
one \\
  two
```

```toml
not = \"typed\"
```

```console
$ three 'a
b'
shown
$ four
error
$ echo $?
3
```
";
        assert_eq!(
            steps(document),
            [
                command(5, "cat > a <<'END'\n'$ no command'\nEND", 0, &[]),
                command(8, "one \\\n  two", 0, &[]),
                command(17, "three 'a\nb'", 0, &["shown"]),
                command(20, "four", 3, &["error"]),
            ]
        );
    }

    #[test]
    fn a_server_stays_and_is_stopped() {
        let found = steps("```sh server\nserve\n```\n```console stop\n^C\nbye\n```\n");
        assert_eq!(found[0].what, What::Server("serve".to_owned()));
        assert_eq!((&found[1].what, found[1].shown[0].as_str()), (&What::Stop, "bye"));
    }

    #[test]
    #[should_panic(expected = "a block `bash`")]
    fn a_block_that_nobody_would_run_is_refused() {
        steps("```bash\nls\n```\n");
    }
}
