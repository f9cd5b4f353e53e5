//! A caller's directives, laid over the command line of `build`: each is an option and its value, and goes where that
//! option goes. So what may stand there, and what becomes of it, is said once.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::ui::Ui;
use crate::catalog::eval::Overlay;
use crate::model::Directives;

/// The options that say which layers are built.
const SELECTION: [&str; 7] = ["layers", "all", "changed", "since", "dependents", "no_dependents", "only"];

/// An option, by its name in the command, and its values; of one that takes none, no value.
type Given = (&'static str, Vec<OsString>);

/// What the directives say, as options.
fn options(directives: &Directives) -> Vec<Given> {
    let mut options: Vec<Given> = Vec::new();
    let mut many = |name: &'static str, values: Vec<String>| {
        if !values.is_empty() {
            options.push((name, values.into_iter().map(OsString::from).collect()));
        }
    };
    let Directives { layers, .. } = directives;
    many("layers", layers.names.iter().map(ToString::to_string).collect());
    many("changed", layers.changed.clone());
    many("since", layers.since.iter().cloned().collect());
    many("only", layers.only.clone());
    many("runner", directives.runners.clone());
    many("size", directives.size.iter().map(|size| format!("{},{}", size.cpu, size.memory_mb)).collect());
    many("jobs", directives.jobs.iter().map(ToString::to_string).collect());
    many("workspace", directives.workspace.iter().cloned().collect());
    many("actor", directives.actor.iter().cloned().collect());
    many("cache_disposition", directives.disposition.iter().map(|what| what.as_str().to_owned()).collect());
    many("cache", directives.store.iter().map(|place| place.as_str().to_owned()).collect());
    many("promote", directives.promote.iter().map(|when| when.as_str().to_owned()).collect());
    many("events_url", directives.events.iter().map(|servers| servers.addresses().join(",")).collect());
    let flags = [
        ("all", layers.all),
        ("dependents", layers.dependents == Some(true)),
        ("no_dependents", layers.dependents == Some(false)),
    ];
    options.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| (name, Vec::new())));
    options
}

/// The command line as the directives have it. An option that says something else than they do is told.
pub fn command_line(command: &Command, matches: &ArgMatches, directives: &Directives, ui: &Ui) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec![command.get_name().into()];
    let mut positional = Vec::new();
    let Some((name, given)) = matches.subcommand() else { return words };
    let Some(build) = command.find_subcommand(name) else { return words };
    words.push(name.into());
    let directed = options(directives);
    let selects = !directives.layers.is_empty();
    for argument in build.get_arguments() {
        let id = argument.get_id().as_str();
        let typed = (given.value_source(id) == Some(ValueSource::CommandLine)).then(|| given.get_raw(id)).flatten();
        let typed: Option<Vec<OsString>> = typed.map(|values| values.map(OsString::from).collect());
        let takes_values = argument.get_action().takes_values();
        let said = directed.iter().find(|(name, _)| *name == id).map(|(_, values)| values);
        let replaced = said.is_some() || (selects && SELECTION.contains(&id));
        if let (true, Some(typed)) = (replaced, &typed) {
            let is_same = said.is_some_and(|said| !takes_values || said == typed);
            if !is_same {
                let name = argument.get_long().map_or("LAYER".to_owned(), |long| format!("--{long}"));
                ui.remark(&format!("{name} gives way to the directives"));
            }
        }
        let values = match (said, typed) {
            (Some(said), _) => said.clone(),
            (None, Some(typed)) if !replaced => typed,
            _ => continue,
        };
        match argument.get_long() {
            None => positional.extend(values),
            Some(long) if takes_values => words.extend(values.into_iter().map(|value| {
                let mut word = OsString::from(format!("--{long}="));
                word.push(value);
                word
            })),
            Some(long) => words.push(format!("--{long}").into()),
        }
    }
    if !positional.is_empty() {
        words.push("--".into());
        words.extend(positional);
    }
    words
}

/// What the directives say that is the catalog's: merged over it, also over what other overlays set.
pub fn overlay(directives: &Directives) -> Option<Overlay> {
    let registry = directives.registry.as_ref();
    let fields = [
        ("registry", registry.map(|(host, _)| host)),
        ("namespace", registry.map(|(_, namespace)| namespace)),
        ("events.prefix", directives.prefix.as_ref()),
    ];
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace("%{", "\\%{");
    let fields: Vec<String> = fields
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name} | force = \"{}\",\n", quoted(value?))))
        .collect();
    let text = format!("{{\n{}}}\n", fields.concat());
    (!fields.is_empty()).then(|| Overlay { name: "the directives".to_owned(), path: None, text: text.into() })
}

#[cfg(test)]
mod tests {
    use super::options;
    use crate::model::{DirectedLayers, Directives, Disposing, Promoting, Size, Storing};

    #[test]
    fn each_directive_is_an_option_of_build() {
        let text = || "x".to_owned();
        let layers = |dependents| DirectedLayers {
            names: vec!["x".parse().unwrap()],
            all: true,
            changed: vec![text()],
            since: Some(text()),
            dependents: Some(dependents),
            only: vec![text()],
        };
        let directives = |dependents| Directives {
            workspace: Some(text()),
            layers: layers(dependents),
            runners: vec![text()],
            size: Some(Size { cpu: 1, memory_mb: 1 }),
            jobs: Some(1),
            registry: None,
            actor: Some(text()),
            disposition: Some(Disposing::Discard),
            store: Some(Storing::None),
            promote: Some(Promoting::None),
            events: Some("nats://x".parse().unwrap()),
            prefix: None,
        };
        let command = super::super::command();
        let build = command.find_subcommand("build").unwrap();
        let said = [true, false].map(|dependents| options(&directives(dependents))).concat();
        assert_eq!(said.len(), 30);
        for (name, _) in said {
            assert!(build.get_arguments().any(|argument| argument.get_id() == name), "{name}");
        }
    }
}
