//! What is suggested to a project, for people: as text and as Markdown.

mod align;
mod explain;
mod fleet;
mod snippet;
mod verify;

use std::collections::BTreeMap;

pub use align::AlignReport;
pub use explain::{explanation, page, summary};
pub use fleet::FleetReport;
pub use snippet::{Snippet, Source};
pub use verify::VerifyReport;

use super::units::size;
use super::{count, enumeration, table};
use crate::model::LayerName;
use crate::suggest::{Advice, Basis, LibraryAdvice, Ranked, Stack, ToolAdvice};
use crate::unit::{Obstacle, Wall};

/// A suggestion with what a report on it needs.
#[derive(Debug)]
pub struct SuggestReport<'a> {
    /// The project's name.
    pub project: &'a str,
    /// Its folder, as it was named.
    pub folder: String,
    /// The profile it is built with.
    pub profile: &'a str,
    /// The target it is built for, where one was named.
    pub target: Option<&'a str>,
    /// For how many cores times by the clock are.
    pub cores: usize,
    /// What is advised.
    pub advice: &'a Advice<'a>,
    /// What a layer has to save to be shown, in milliseconds of processor time.
    pub least_ms: u64,
    /// The programs that the project needs.
    pub tools: &'a [ToolAdvice<'a>],
    /// The C libraries that it links.
    pub natives: &'a [LibraryAdvice<'a>],
    /// The images of the best set.
    pub stack: Option<&'a Stack<'a>>,
}

/// An obstacle with the layers that it keeps from the project.
pub type Obstacles<'a> = Vec<(&'a Obstacle, Vec<&'a LayerName>)>;

impl<'a> SuggestReport<'a> {
    /// The layers that save enough.
    pub fn shown(&self) -> impl Iterator<Item = &'a Ranked<'a>> {
        self.advice.layers.iter().filter(|ranked| ranked.saved_ms >= self.least_ms.max(1))
    }

    /// What keeps layers from saving anything, or more; the gravest first. Layers that would not save enough without
    /// it are none of them.
    pub fn obstacles(&self) -> Obstacles<'a> {
        let mut found: BTreeMap<&Obstacle, Vec<&LayerName>> = BTreeMap::new();
        for ranked in self.advice.layers.iter().filter(|ranked| ranked.could_ms >= self.least_ms.max(1)) {
            for obstacle in &ranked.offer.obstacles {
                found.entry(obstacle).or_default().push(ranked.offer.layer);
            }
        }
        let mut found: Obstacles<'_> = found.into_iter().collect();
        found.sort_by_key(|(obstacle, _)| (obstacle.leaves, obstacle.hindrance));
        found
    }

    /// What is compared: units, or packages where cargo's plan is not known.
    pub fn noun(&self) -> &'static str {
        noun(self.advice.basis)
    }

    /// Everything for people.
    pub fn text(&self) -> String {
        let mut parts = vec![self.head() + "\n"];
        let obstacles = self.obstacles().into_iter().map(|(obstacle, layers)| {
            let code = obstacle.hindrance.code();
            format!("{code}: {}\n  layers: {}\n  fix: {}\n", obstacle.text, names(&layers), obstacle.fix)
        });
        parts.extend(Some(obstacles.collect::<String>()).filter(|text| !text.is_empty()));
        let rows: Vec<[String; 5]> = self.shown().map(|ranked| self.row(ranked)).collect();
        if !rows.is_empty() {
            let heads = ["layer", "saves", "reuses", "by the clock", "to pull"].map(str::to_owned);
            parts.push(table(&[&[heads], &rows[..]].concat()));
        }
        parts.extend(self.set_text());
        let tools = self.tools.iter().map(|tool| format!("program {}\n", tool_words(tool)));
        let natives = self.natives.iter().map(|native| format!("library {}\n", native_words(native)));
        parts.extend(Some(tools.chain(natives).collect::<String>()).filter(|text| !text.is_empty()));
        if parts.len() == 1 {
            parts.push("nothing to suggest\n".to_owned());
        }
        parts.join("\n")
    }

    /// The names of the layers that are suggested: the base of the set, its donors, then all else that saves enough.
    pub fn names(&self) -> String {
        let stack = self.stack.into_iter().flat_map(|stack| [&[stack.base][..], &stack.donors].concat());
        let shown = self.shown().map(|ranked| ranked.offer.layer);
        let tools = self.tools.iter().flat_map(|tool| tool.layers.iter().copied());
        let natives = self.natives.iter().map(|native| native.layer);
        let mut seen = Vec::new();
        for layer in stack.chain(shown).chain(tools).chain(natives) {
            if !seen.contains(&layer) {
                seen.push(layer);
            }
        }
        seen.into_iter().map(|layer| format!("{layer}\n")).collect()
    }

    /// As a comment on a pull request, or a page of a wiki.
    pub fn markdown(&self) -> String {
        let mut text = format!("### Layers for {}\n\n{}\n", escaped(self.project), escaped(&self.head()));
        for (obstacle, layers) in self.obstacles() {
            let code = obstacle.hindrance.code();
            let what = escaped(&format!("{} {}", obstacle.text, obstacle.fix));
            text.push_str(&format!("\n- **{code}** ({}): {what}", names(&layers)));
        }
        let rows: Vec<[String; 5]> = self.shown().map(|ranked| self.row(ranked)).collect();
        if !rows.is_empty() {
            text.push_str("\n\n| Layer | Saves | Reuses | By the clock | To pull |\n|--|--|--|--|--|\n");
            rows.iter().for_each(|row| text.push_str(&format!("| {} |\n", row.join(" | "))));
        }
        let rest = self.set_text().into_iter().map(|text| format!("\n{}\n", text.trim_end().replace('\n', "  \n")));
        rest.for_each(|part| text.push_str(&part));
        let tools = self.tools.iter().map(|tool| format!("\n- program {}", escaped(&tool_words(tool))));
        let natives = self.natives.iter().map(|native| format!("\n- library {}", escaped(&native_words(native))));
        tools.chain(natives).for_each(|line| text.push_str(&line));
        text.trim_end().to_owned() + "\n"
    }

    fn head(&self) -> String {
        let advice = self.advice;
        let target = self.target.map(|target| format!(" for {target}")).unwrap_or_default();
        let mut head = format!(
            "{}, profile {}{target}: {}, {} of processor time",
            self.project,
            self.profile,
            format_args!("{} of dependencies", count(advice.needed, self.noun())),
            seconds(advice.total_ms),
        );
        match advice.wall {
            Some(time) => head.push_str(&format!(", {} on {}", wall(time), count(self.cores, "core"))),
            None => head.push_str("; by names and versions alone, so every saving is an upper bound"),
        }
        head
    }

    fn row(&self, ranked: &Ranked<'_>) -> [String; 5] {
        let exact = ranked.basis == Basis::Exact;
        let most = if exact { "" } else { "≤ " };
        let share = self.advice.share(ranked.saved_ms);
        let clock = match (ranked.basis, ranked.wall) {
            (Basis::NotCooked, _) => "not cooked yet: upper bound".to_owned(),
            (_, Some(time)) => wall(time),
            (_, None) => "-".to_owned(),
        };
        let bytes = ranked.offer.image.as_ref().and_then(|image| image.bytes);
        let of = if exact { self.noun() } else { noun(ranked.basis) };
        let reuses = match ranked.basis == self.advice.basis {
            true => format!("{most}{} of {} {of}s", ranked.reused, self.advice.needed),
            false => format!("{most}{} {of}s", ranked.reused),
        };
        [
            ranked.offer.layer.to_string(),
            format!("{most}{} ({most}{})", seconds(ranked.saved_ms), percent(share)),
            reuses,
            clock,
            bytes.map_or("-".to_owned(), size),
        ]
    }

    fn set_text(&self) -> Option<String> {
        let stack = self.stack?;
        let advice = self.advice;
        let most = match advice.basis {
            Basis::Exact => "",
            // Of one package, two layers could have different units: together they save more than the better of them.
            _ if advice.set.len() > 1 => "about ",
            _ => "at most ",
        };
        let gain = |layer: &LayerName| {
            let pick = advice.set.iter().find(|pick| advice.layers[pick.layer].offer.layer == layer);
            pick.map(|pick| format!(" (+{})", seconds(pick.gain_ms))).unwrap_or_default()
        };
        let start = if advice.set.is_empty() { "build in" } else { "together: build in" };
        let mut text = format!("{start} {}{}", stack.base, gain(stack.base));
        if !stack.donors.is_empty() {
            let donors: Vec<String> = stack.donors.iter().map(|layer| format!("{layer}{}", gain(layer))).collect();
            text.push_str(&format!(", copy from {}", enumeration(&donors)));
        }
        let saved_ms = advice.set_ms();
        if saved_ms > 0 {
            let share = percent(advice.share(saved_ms));
            text.push_str(&format!("; {most}{} saved ({most}{share})", seconds(saved_ms)));
        }
        if let Some(time) = advice.set_wall.filter(|_| saved_ms > 0) {
            text.push_str(&format!(", {} on {}", wall(time), count(self.cores, "core")));
        }
        text.push('\n');
        if !stack.missing.is_empty() {
            text.push_str(&format!("  not in it: {}\n", enumeration(&stack.missing)));
        }
        if !stack.install.is_empty() {
            text.push_str(&format!("  install beside the program: {}\n", stack.install.join(" ")));
        }
        Some(text)
    }
}

fn noun(basis: Basis) -> &'static str {
    if basis == Basis::Exact { "unit" } else { "package" }
}

fn tool_words(tool: &ToolAdvice<'_>) -> String {
    let version = tool.need.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let other = tool
        .other_version
        .map(|other| format!("; it is {other} there: pin `{} = \"={other}\"` in the project", tool.need.tool));
    let layers = enumeration(&tool.layers);
    format!("{}{version}: {layers} ({}){}", tool.need.tool, tool.need.because, other.unwrap_or_default())
}

fn native_words(native: &LibraryAdvice<'_>) -> String {
    let need = &native.need;
    let install = match native.install.is_empty() {
        true => String::new(),
        false => format!("; install beside the program: {}", native.install.join(" ")),
    };
    format!("{}: {} has what {} {} links{install}", need.library, native.layer, need.package, need.version)
}

fn names(layers: &[&LayerName]) -> String {
    enumeration(layers)
}

/// Processor time: `36.0 s`, `12 min 3 s`.
pub fn seconds(ms: u64) -> String {
    super::duration(std::time::Duration::from_millis(ms))
}

/// A range of time by the clock: `1 min 20 s – 2 min 5 s`.
pub fn wall(wall: Wall) -> String {
    format!("{} – {}", seconds(wall.least_ms), seconds(wall.most_ms))
}

/// `12 %`; what is less than one in a hundred and not nothing is `< 1 %`.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        none if none <= 0.0 => "0 %".to_owned(),
        little if little < 1.0 => "< 1 %".to_owned(),
        some => format!("{} %", some.floor()),
    }
}

/// A text that is no markup.
fn escaped(text: &str) -> String {
    let special = |c: char| matches!(c, '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '|' | '#');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}
