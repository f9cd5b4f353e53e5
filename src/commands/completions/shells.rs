//! What each shell is told, and how it asks. Zsh, fish and PowerShell are the library's; bash and Nushell are not.
//!
//! The library's script for bash does not put together again what bash has taken apart at `=` and `:`, so
//! `--only class=…` and `rust:1.97…` would be three words. Nushell the library does not know.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use clap::ValueEnum;
use clap_complete::engine::{self, CompletionCandidate};
use clap_complete::env::{EnvCompleter, Fish, Powershell, Zsh};
use serde_json::json;

/// A shell that lines are completed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash 3.2 and newer
    Bash,
    /// Zsh
    Zsh,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
    /// Nushell
    Nushell,
}

/// What a shell wants to know.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    /// The words of the line, the program's name first.
    pub words: Vec<OsString>,
    /// Which of them is to be completed.
    index: usize,
    /// How many bytes of it the shell takes for earlier words.
    cut: usize,
}

/// The script for bash. Bash hands over its own words and the line: from both, the words can be had that a person sees.
const BASH: &str = r#"_lamina_complete() {
    local candidate
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("$(printf '%q' "$candidate")")
    done < <(VARIABLE=bash _LAMINA_INDEX="$COMP_CWORD" _LAMINA_WORD="$2" _LAMINA_LINE="$COMP_LINE" \
        PROGRAM -- "${COMP_WORDS[@]}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *[=:/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}
complete -o nosort -F _lamina_complete lamina 2>/dev/null || complete -F _lamina_complete lamina
"#;

/// The script for Nushell: one closure completes all external programs, so this one hands on what is not its own.
const NUSHELL: &str = r#"const lamina_program = PROGRAM
let lamina_completer_before = $env.config?.completions?.external?.completer?
$env.config.completions.external.enable = true
$env.config.completions.external.completer = {|spans: list<string>|
    if ($spans.0? | default "" | path basename) == "lamina" {
        try {
            with-env { VARIABLE: nushell } { ^$lamina_program -- ...$spans } | from json
        } catch { null }
    } else if $lamina_completer_before != null {
        do $lamina_completer_before $spans
    }
}
"#;

impl Shell {
    /// The shell that the script has named.
    pub fn named(name: &str) -> Option<Self> {
        Self::from_str(name, false).ok()
    }

    /// The script that a shell is to run at its start; `program` is what it calls.
    ///
    /// # Errors
    /// None: it is written to memory. The library's interface has one.
    pub fn script(self, variable: &str, program: &str) -> io::Result<String> {
        let mut script = Vec::new();
        let mut library = |shell: &dyn EnvCompleter| {
            shell.write_registration(variable, "lamina", "lamina", program, &mut script)?;
            Ok(String::from_utf8_lossy(&script).trim_start().to_owned())
        };
        let own = |script: &str, program: &str| Ok(script.replace("VARIABLE", variable).replace("PROGRAM", program));
        match self {
            Self::Bash => own(BASH, &quoted_for_bash(program)),
            Self::Nushell => own(NUSHELL, &json!(program).to_string()),
            Self::Zsh => library(&Zsh),
            Self::Fish => library(&Fish),
            Self::Powershell => library(&Powershell),
        }
    }

    /// What the shell asks with these words and the variables of its script; `None` where it asks nothing.
    pub fn question(self, words: Vec<OsString>) -> Option<Question> {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let last = words.len().checked_sub(1)?;
        match self {
            Self::Bash => {
                let index = variable("_LAMINA_INDEX").parse().ok()?;
                put_together(&words, index, &variable("_LAMINA_LINE"), &variable("_LAMINA_WORD"))
            }
            Self::Zsh => {
                let index = variable("_CLAP_COMPLETE_INDEX").parse().ok()?;
                Some(Question { words, index, cut: 0 })
            }
            Self::Fish | Self::Powershell | Self::Nushell => Some(Question { words, index: last, cut: 0 }),
        }
    }

    /// The candidates, as the shell's script reads them.
    ///
    /// # Errors
    /// When the line can't be completed.
    pub fn answer(self, command: &mut clap::Command, question: Question, folder: Option<&Path>) -> io::Result<Vec<u8>> {
        let Question { words, index, cut } = question;
        let mut answer = Vec::new();
        match self {
            Self::Zsh => Zsh.write_complete(command, words, folder, &mut answer)?,
            Self::Fish => Fish.write_complete(command, words, folder, &mut answer)?,
            Self::Powershell => Powershell.write_complete(command, words, folder, &mut answer)?,
            Self::Bash => {
                for candidate in engine::complete(command, words, index, folder)? {
                    let value = candidate.get_value().to_string_lossy();
                    if let Some(rest) = value.get(cut..) {
                        answer.extend(format!("{rest}\n").into_bytes());
                    }
                }
            }
            Self::Nushell => {
                let candidates = engine::complete(command, words, index, folder)?;
                let record = |candidate: &CompletionCandidate| {
                    let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
                    let help = help.lines().next().unwrap_or_default();
                    json!({ "value": candidate.get_value().to_string_lossy(), "description": help })
                };
                answer = json!(candidates.iter().map(record).collect::<Vec<_>>()).to_string().into_bytes();
            }
        }
        Ok(answer)
    }
}

impl Question {
    /// What has been typed of the word that is to be completed.
    pub fn current(&self) -> String {
        self.words.get(self.index).map(|word| word.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// Quoted so that bash takes it for one word, whatever it holds.
fn quoted_for_bash(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Puts together what bash has taken apart: words between which the line has no blank. `typed` is what bash is going
/// to replace, the end of the word at `index` as far as the cursor.
fn put_together(words: &[OsString], index: usize, line: &str, typed: &str) -> Option<Question> {
    let mut joined: Vec<String> = Vec::with_capacity(words.len());
    // What is left of the line, as long as the words are those of the line.
    let mut rest = Some(line);
    let (mut target, mut cut) = (None, 0);
    for (number, word) in words.iter().enumerate() {
        let word = word.to_string_lossy();
        let behind = rest.and_then(|rest| rest.trim_start().strip_prefix(&*word));
        let is_next = rest.is_some_and(|rest| rest.starts_with(&*word)) && !word.is_empty();
        let glued = number > 0 && is_next;
        rest = behind;
        let is_separator = !word.is_empty() && word.chars().all(|c| matches!(c, '=' | ':'));
        let text = match number == index {
            true if is_separator => format!("{word}{typed}"),
            true => typed.to_owned(),
            false => word.into_owned(),
        };
        match joined.last_mut().filter(|_| glued) {
            Some(last) => last.push_str(&text),
            None => joined.push(text),
        }
        if number == index {
            target = Some(joined.len() - 1);
            cut = joined.last()?.len().checked_sub(typed.len())?;
        }
    }
    // What stands behind the cursor in the same word is not asked for, and is not known to fit.
    Some(Question { index: target?, words: joined.into_iter().map(OsString::from).collect(), cut })
}

#[cfg(test)]
mod tests {
    use super::{OsString, put_together};

    #[track_caller]
    fn check(words: &[&str], index: usize, line: &str, typed: &str, expected: (&[&str], usize, usize)) {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let question = put_together(&words, index, line, typed).unwrap();
        let found: Vec<_> = question.words.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!((&found[..], question.index, question.cut), expected);
    }

    #[test]
    fn what_bash_takes_apart_is_one_word_again() {
        // As bash 5.2 hands them over.
        check(&["lamina", "show", ""], 2, "lamina show ", "", (&["lamina", "show", ""], 2, 0));
        check(&["l", "--only", "class", "="], 3, "l --only class=", "", (&["l", "--only", "class="], 2, 6));
        check(&["l", "--only", "class", "=", "to"], 4, "l --only class=to", "to", (&["l", "--only", "class=to"], 2, 6));
        check(&["l", "--x", "r", ":", "1.9"], 4, "l --x r:1.9", "1.9", (&["l", "--x", "r:1.9"], 2, 2));
        check(&["l", "--format", "="], 2, "l --format=", "", (&["l", "--format="], 1, 9));
        check(&["l", "\"a b"], 1, "l \"a b", "a b", (&["l", "a b"], 1, 0));
        check(&["l", "a", "b"], 1, "l a b", "a", (&["l", "a", "b"], 1, 0));
    }

    #[test]
    fn a_line_that_says_something_else_joins_nothing() {
        check(&["l", "a", "=", "b"], 3, "alias of another line", "b", (&["l", "a", "=", "b"], 3, 0));
        assert!(put_together(&[], 0, "", "").is_none());
        assert!(put_together(&["l".into()], 7, "l", "").is_none());
    }
}
