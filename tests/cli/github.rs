//! Annotations of GitHub Actions.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use lamina::diag::{Code, Diagnostic, Severity};
use lamina::report::github::commands;
use lamina::report::place::{Located, Sources};

use crate::sarif::broken;
use crate::workshop::{RUST, Workshop};

/// A workflow command as the runner reads it.
#[derive(Debug)]
struct Command {
    kind: String,
    properties: BTreeMap<String, String>,
    message: String,
}

fn parse(line: &str) -> Command {
    let (head, message) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
    let (kind, properties) = head.split_once(' ').unwrap();
    let data = |text: &str| text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%");
    let property = |text: &str| {
        let (name, value) = text.split_once('=').unwrap();
        let value = value.replace("%3A", ":").replace("%2C", ",");
        (name.to_owned(), data(&value))
    };
    Command { kind: kind.to_owned(), properties: properties.split(',').map(property).collect(), message: data(message) }
}

#[test]
fn every_finding_is_annotated_at_its_exact_place() {
    let (shop, overlay) = broken();
    let args = ["validate", "--check-dag", "--overlay", overlay.to_str().unwrap(), "--format"];
    let run = |format| shop.run_with(&[&args[..], &[format]].concat(), "", b"", &[]).any_stderr();
    let json = run("json").json(3);
    let answer = run("github").answer(3);
    let mut commands: Vec<Command> = answer.lines().map(parse).collect();
    let last = commands.pop().unwrap();
    assert_eq!((last.kind.as_str(), last.properties["title"].as_str()), ("notice", "lamina validate"));
    assert!(last.message.contains(&format!("9 checks: {} errors", json["errors"])), "{last:?}");
    let findings = json["findings"].as_array().unwrap();
    assert_eq!(commands.len(), findings.len());
    let mut exact = 0;
    for (command, finding) in commands.iter().zip(findings) {
        assert_eq!(
            (command.kind.as_str().into(), &command.properties["title"]),
            (finding["severity"].clone(), &finding["code"].as_str().unwrap().to_owned())
        );
        let said = [&finding["notes"], &finding["help"]].into_iter().flat_map(|list| list.as_array().unwrap());
        for text in said.chain([&finding["message"]]) {
            assert!(command.message.contains(text.as_str().unwrap()), "{command:?}");
        }
        let Some(label) = finding["labels"].get(0) else { continue };
        let Some(file) = command.properties.get("file") else {
            assert!(command.message.contains("over lay.ncl:1:"), "{command:?}");
            continue;
        };
        assert_eq!(*file, format!("build/catalog/{}", label["file"].as_str().unwrap()));
        let Ok(text) = fs::read_to_string(shop.outside().join("repository").join(file)) else { continue };
        let number = |name: &str| command.properties[name].parse::<usize>().unwrap();
        assert_eq!(number("line"), number("endLine"));
        let line: Vec<char> = text.split('\n').nth(number("line") - 1).unwrap().chars().collect();
        let at = |end: &str| usize::try_from(label[end]["offset"].as_u64().unwrap()).unwrap();
        let shown: String = line[number("col") - 1..number("endColumn") - 1].iter().collect();
        assert_eq!(shown, text[at("start")..at("end")], "{command:?}");
        exact += 1;
    }
    assert!(exact > 6, "{exact}");
}

#[test]
fn special_characters_stay_inside_of_their_command() {
    let finding = Diagnostic::new(Code::Cycle, "100% of\r\n::error::it").label("a,b:c%d", 0..1, "");
    let sources = Sources { texts: &|_| None, locate: &|file| Located::Inside(file.to_owned()) };
    assert_eq!(
        commands(&[finding], sources, "1 layer"),
        "::error file=a%2Cb%3Ac%25d,title=cycle::100%25 of%0D%0A::error::it%0A--> a,b:c%25d\n\
         ::notice title=lamina validate::1 layer\n"
    );
}

#[test]
fn columns_are_given_for_places_in_one_line_alone() {
    let place = |start, end| {
        let finding = Diagnostic::new(Code::Cycle, "m").label("f", start..end, "");
        let sources =
            Sources { texts: &|_| Some(Arc::from("ab\ncd\n")), locate: &|file| Located::Inside(file.to_owned()) };
        commands(&[finding], sources, "").split(",title").next().unwrap().to_owned()
    };
    assert_eq!(place(1, 2), "::error file=f,line=1,endLine=1,col=2,endColumn=3");
    assert_eq!(place(1, 4), "::error file=f,line=1,endLine=2");
    // The end of a line belongs to it.
    assert_eq!(place(0, 3), "::error file=f,line=1,endLine=1");
}

#[test]
fn errors_come_first_and_the_last_line_counts_all() {
    let shop = Workshop::new();
    for number in 0..6 {
        shop.layer(&format!("bad-{number:02}"), "missing");
    }
    shop.lock(&[RUST]);
    let answer = shop.run(["validate", "--only", "dag", "pins", "--format", "github"]).answer(3);
    let lines: Vec<&str> = answer.lines().collect();
    let (errors, rest) = lines.split_at(12);
    assert!(errors.iter().all(|line| line.starts_with("::error file=layers/bad-")), "{answer}");
    assert!(rest[0].starts_with("::warning ") && rest.len() == 2, "{answer}");
    assert_eq!(
        rest[1],
        "::notice title=lamina validate::6 layers, 2 checks: 12 errors, 1 warning; \
         GitHub shows ten annotations of a kind, the log of this step has all"
    );
}

#[test]
fn a_valid_catalog_has_one_notice() {
    Workshop::real()
        .run(["validate", "--check-dag", "--format", "github"])
        .stdout("::notice title=lamina validate::13 layers, 9 checks: no problem\n")
        .success();
    let note = Diagnostic::new(Code::Cycle, "to know").severity(Severity::Note);
    let sources = Sources { texts: &|_| None, locate: &|file| Located::Inside(file.to_owned()) };
    assert!(commands(&[note], sources, "").starts_with("::notice title=cycle::to know\n"));
}
