//! Dockerfiles: what their stages start from and copy from. Parsing is `parse-dockerfile`'s work.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use globset::GlobBuilder;
use parse_dockerfile::{Command, Flag, Instruction, Source};

use crate::diag::{Code, Diagnostic};

/// How many characters are shown of what the parser says: it quotes words of the file, as long as they are.
const MAX_MESSAGE: usize = 160;

/// The arguments that BuildKit sets to what is built for, with the part of OS/ARCHITECTURE/VARIANT that each is. From the
/// Dockerfile reference ("Automatic platform ARGs in the global scope").
const OF_TARGET: [(&str, usize); 3] = [("TARGETOS", 0), ("TARGETARCH", 1), ("TARGETVARIANT", 2)];
/// Those that it sets to where it builds.
const OF_BUILDER: [&str; 3] = ["BUILDOS", "BUILDARCH", "BUILDVARIANT"];

/// What lamina asks of a Dockerfile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// The arguments before the first stage: a stage starts from their values.
    pub global_args: Vec<Arg>,
    /// The stages in order.
    pub stages: Vec<Stage>,
}

/// An `ARG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    /// Its name.
    pub name: String,
    /// Its default, unquoted.
    pub default: Option<String>,
    /// The bytes of its line.
    pub span: Range<usize>,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub name: Option<String>,
    /// What it starts from.
    pub from: Reference,
    /// Its `ARG`s.
    pub args: Vec<Arg>,
    /// What it copies or mounts from other stages and images.
    pub uses: Vec<Reference>,
    /// The files of the build context that it copies, as written.
    pub sources: Vec<(String, Range<usize>)>,
    /// The secrets that it mounts, by id.
    pub secrets: Vec<(String, Range<usize>)>,
    /// The SSH agents that it mounts, by id.
    pub ssh: Vec<(String, Range<usize>)>,
    /// The text of its `RUN`s.
    pub runs: Vec<(String, Range<usize>)>,
    /// The bytes of the instructions that BuildKit numbers, in order: `RUN`, `COPY`, `ADD`, `WORKDIR`.
    pub steps: Vec<Range<usize>>,
    /// The bytes of its `FROM`.
    pub start: Range<usize>,
}

/// A place where a stage or an image is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// As written: `${BUILD_BASE}`, `build`, `debian:trixie-slim`.
    pub text: String,
    /// The bytes of the text.
    pub span: Range<usize>,
    /// Whether a `RUN` mounts it: then it is there for that step alone.
    pub mounted: bool,
}

/// What a reference means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The stage with this index.
    Stage(usize),
    /// One of these stages, by the platform: `FROM tool-${TARGETARCH}`.
    StageOf(Vec<usize>),
    /// Nothing: `FROM scratch`.
    Scratch,
    /// The value of a build argument alone.
    Arg(&'a str),
    /// An image that is written out, or put together from several arguments.
    Literal(String),
}

impl Dockerfile {
    /// Reads a Dockerfile; `file` is its name for findings.
    ///
    /// # Errors
    /// A finding with code `dockerfile-syntax`.
    pub fn parse(file: &str, text: &str) -> Result<Self, Box<Diagnostic>> {
        let parsed = parse_dockerfile::parse(text).map_err(|error| {
            // The parser's own text ends with the place, which the label shows, and quotes the file.
            let message = error.to_string();
            let message = one_line(message.split(" at line ").next().unwrap_or(&message));
            let at = offset(text, error.line(), error.column());
            Box::new(Diagnostic::new(Code::DockerfileSyntax, message).label(file, at..at, ""))
        })?;
        let global_args =
            parsed.global_args().flat_map(|arg| args(&arg.arguments.value, &arg.arguments.span)).collect();
        let stages = parsed
            .stages()
            .map(|stage| {
                let mut found = Stage {
                    name: stage.from.as_.as_ref().map(|(_, name)| name.value.to_string()),
                    from: reference(&stage.from.image.value, &stage.from.image.span),
                    args: Vec::new(),
                    uses: Vec::new(),
                    sources: Vec::new(),
                    secrets: Vec::new(),
                    ssh: Vec::new(),
                    runs: Vec::new(),
                    steps: Vec::new(),
                    start: stage.from.from.span.start..stage.from.image.span.end,
                };
                stage.instructions.iter().for_each(|instruction| found.read(instruction));
                found
            })
            .collect();
        let mut dockerfile = Self { global_args, stages };
        // The parser's places may end within a character, where a comment without a line's end is the end of the file.
        for span in dockerfile.spans() {
            span.start = (0..=span.start).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            span.end = (span.end..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        }
        Ok(dockerfile)
    }

    /// The places of all that has one.
    fn spans(&mut self) -> impl Iterator<Item = &mut Range<usize>> {
        let of_stages = self.stages.iter_mut().flat_map(|stage| {
            let args = stage.args.iter_mut().map(|arg| &mut arg.span);
            let references =
                std::iter::once(&mut stage.from).chain(&mut stage.uses).map(|reference| &mut reference.span);
            let mounts = stage.secrets.iter_mut().chain(&mut stage.ssh);
            let texts = stage.sources.iter_mut().chain(mounts).chain(&mut stage.runs).map(|(_, span)| span);
            let steps = stage.steps.iter_mut().chain(std::iter::once(&mut stage.start));
            args.chain(references).chain(texts).chain(steps)
        });
        self.global_args.iter_mut().map(|arg| &mut arg.span).chain(of_stages)
    }

    /// The index of the stage that becomes the image: the target, or the last one.
    pub fn final_stage(&self, target: Option<&str>) -> Option<usize> {
        match target {
            Some(target) => self.stage_named(target, self.stages.len()),
            None => self.stages.len().checked_sub(1),
        }
    }

    /// The stages that go into the final one, itself included; BuildKit builds no others.
    pub fn reachable(&self, last: usize) -> Vec<usize> {
        let mut reachable = vec![false; self.stages.len()];
        let mut open = vec![last];
        while let Some(stage) = open.pop() {
            if std::mem::replace(&mut reachable[stage], true) {
                continue;
            }
            let references = std::iter::once(&self.stages[stage].from).chain(&self.stages[stage].uses);
            for reference in references {
                match self.target(reference, stage) {
                    Target::Stage(other) => open.push(other),
                    Target::StageOf(others) => open.extend(others),
                    Target::Scratch | Target::Arg(_) | Target::Literal(_) => {}
                }
            }
        }
        (0..reachable.len()).filter(|stage| reachable[*stage]).collect()
    }

    /// What a reference in the stage with index `within` means. Stages only see the stages before them.
    pub fn target<'a>(&'a self, reference: &'a Reference, within: usize) -> Target<'a> {
        let text = reference.text.as_str();
        if let Some(stage) = self.stage_named(text, within) {
            return Target::Stage(stage);
        }
        if text == "scratch" {
            return Target::Scratch;
        }
        if let Some(index) = text.parse().ok().filter(|index| *index < within) {
            return Target::Stage(index);
        }
        let of_platforms = self.stages_of(text, within);
        if !of_platforms.is_empty() {
            return Target::StageOf(of_platforms);
        }
        match sole_variable(text) {
            Some(name) => Target::Arg(name),
            None => Target::Literal(self.expand(text, |_| None)),
        }
    }

    /// The stages before one that a name with BuildKit's own arguments in it can mean.
    fn stages_of(&self, text: &str, within: usize) -> Vec<usize> {
        let is_set = |name: &str| OF_TARGET.iter().any(|(set, _)| *set == name) || OF_BUILDER.contains(&name);
        let any = self.expand(text, |name| is_set(name).then_some("*"));
        if any == self.expand(text, |_| None) {
            return Vec::new();
        }
        let Ok(glob) = GlobBuilder::new(&any).case_insensitive(true).build() else { return Vec::new() };
        let glob = glob.compile_matcher();
        let fits = |stage: &usize| self.stages[*stage].name.as_ref().is_some_and(|name| glob.is_match(name));
        (0..within).filter(fits).collect()
    }

    /// The name of a stage for a platform (OS/ARCHITECTURE/VARIANT), where it follows from that and is no stage before
    /// this one.
    pub fn missing_for(&self, reference: &Reference, platform: &str, within: usize) -> Option<String> {
        let part = |index| platform.split('/').nth(index).unwrap_or_default();
        let set = |name: &str| OF_TARGET.iter().find(|(set, _)| *set == name).map(|(_, index)| part(*index));
        let name = self.expand(&reference.text, set);
        let of_builder = self.expand(&reference.text, |name| OF_BUILDER.contains(&name).then_some("*")).contains('*');
        (!of_builder && self.stage_named(&name, within).is_none()).then_some(name)
    }

    /// The bytes of an instruction by the place that BuildKit gives it: the `number`th, from 1, of a stage. A stage
    /// without a name is `stage-N` by its index, or nothing where it is the only one; a platform may stand before it.
    pub fn step(&self, stage: &str, number: u32) -> Option<Range<usize>> {
        let stage = stage.split_whitespace().next_back().filter(|word| !word.contains('/')).unwrap_or_default();
        let by_index = || stage.strip_prefix("stage-")?.parse().ok().filter(|index| *index < self.stages.len());
        let index = match stage {
            "" => (self.stages.len() == 1).then_some(0)?,
            name => self.stage_named(name, self.stages.len()).or_else(by_index)?,
        };
        let found = &self.stages[index];
        // An image that is pulled is the first step; another stage, or nothing, is none.
        let from = self.target(&found.from, index);
        let pulled = !matches!(from, Target::Stage(_) | Target::StageOf(_) | Target::Scratch);
        let steps = pulled.then_some(&found.start).into_iter().chain(&found.steps);
        steps.into_iter().nth(usize::try_from(number).ok()?.checked_sub(1)?).cloned()
    }

    /// The global argument of a name; the last one counts.
    pub fn global_arg(&self, name: &str) -> Option<&Arg> {
        self.global_args.iter().rev().find(|arg| arg.name == name)
    }

    /// The default of a global argument, with the defaults of others in it; empty where it has none.
    pub fn global_default(&self, arg: &Arg) -> String {
        self.expand(arg.default.as_deref().unwrap_or_default(), |_| None)
    }

    /// All arguments, of all stages.
    pub fn all_args(&self) -> impl Iterator<Item = &Arg> {
        self.global_args.iter().chain(self.stages.iter().flat_map(|stage| &stage.args))
    }

    /// The index of a stage that starts from nothing, by its name: what a builder may put an image in the place of.
    pub fn from_scratch(&self, name: &str) -> Option<usize> {
        let stage = self.stage_named(name, self.stages.len())?;
        (self.target(&self.stages[stage].from, stage) == Target::Scratch).then_some(stage)
    }

    fn stage_named(&self, name: &str, before: usize) -> Option<usize> {
        let named = |stage: &Stage| stage.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name));
        self.stages[..before].iter().rposition(named)
    }

    /// Replaces `$NAME`, `${NAME}` and `${NAME:-default}` by what is set, or by the defaults of the global arguments.
    fn expand<'v>(&self, text: &str, set: impl Fn(&str) -> Option<&'v str>) -> String {
        let defaults: BTreeMap<&str, &str> =
            self.global_args.iter().filter_map(|arg| Some((arg.name.as_str(), arg.default.as_deref()?))).collect();
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let (name, length) = match rest.strip_prefix('{') {
                Some(inner) => match inner.find('}') {
                    Some(end) => (&inner[..end], end + 2),
                    None => (inner, rest.len()),
                },
                None => {
                    let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
                    (&rest[..end], end)
                }
            };
            let (name, fallback) = name.split_once(":-").unwrap_or((name, ""));
            expanded.push_str(set(name).or(defaults.get(name).copied()).unwrap_or(fallback));
            rest = &rest[length..];
        }
        expanded + rest
    }
}

impl Stage {
    fn read(&mut self, instruction: &Instruction<'_>) {
        self.steps.extend(step(instruction));
        match instruction {
            Instruction::Arg(arg) => self.args.extend(args(&arg.arguments.value, &arg.arguments.span)),
            Instruction::Copy(copy) => self.read_copy(&copy.options, &copy.src),
            Instruction::Add(add) => self.read_copy(&add.options, &add.src),
            Instruction::Run(run) => {
                for flag in run.options.iter().filter(|flag| flag.name.value == "mount") {
                    self.read_mount(flag);
                }
                let (text, span) = match &run.arguments {
                    Command::Shell(shell) => (shell.value.to_owned(), shell.span.clone()),
                    Command::Exec(words) => {
                        let words: Vec<&str> = words.value.iter().map(|word| &*word.value).collect();
                        (words.join(" "), run.run.span.clone())
                    }
                    _ => return,
                };
                let documents = run.here_docs.iter().map(|document| &*document.value);
                let text = std::iter::once(text.as_str()).chain(documents).collect::<Vec<_>>().join("\n");
                self.runs.push((text, span));
            }
            _ => {}
        }
    }

    fn read_copy(&mut self, options: &[Flag<'_>], sources: &[Source<'_>]) {
        let from = options.iter().find(|flag| flag.name.value == "from").and_then(|flag| flag.value.as_ref());
        if let Some(from) = from {
            self.uses.push(reference(&from.value, &from.span));
            return;
        }
        for source in sources {
            if let Source::Path(path) = source {
                self.sources.push((path.value.to_string(), path.span.clone()));
            }
        }
    }

    fn read_mount(&mut self, flag: &Flag<'_>) {
        let Some(value) = &flag.value else { return };
        let options: BTreeMap<&str, &str> =
            value.value.split(',').map(|option| option.split_once('=').unwrap_or((option, ""))).collect();
        if let Some(from) = options.get("from") {
            self.uses.push(Reference { mounted: true, ..reference(from, &value.span) });
        }
        if options.get("type") == Some(&"ssh") {
            let id = options.get("id").filter(|id| !id.is_empty()).unwrap_or(&"default");
            self.ssh.push(((*id).to_owned(), value.span.clone()));
        }
        if options.get("type") == Some(&"secret") {
            // Without an id the secret is named by its target, as BuildKit does.
            let target = options.get("target").or(options.get("dst")).or(options.get("destination"));
            let target = target.and_then(|target| target.rsplit('/').next());
            if let Some(id) = options.get("id").copied().or(target) {
                self.secrets.push((id.to_owned(), value.span.clone()));
            }
        }
    }
}

/// The bytes of an instruction that BuildKit numbers, here documents included.
fn step(instruction: &Instruction<'_>) -> Option<Range<usize>> {
    let source_end = |sources: &[Source<'_>]| {
        let end = |source: &Source<'_>| match source {
            Source::Path(path) => path.span.end,
            Source::HereDoc(document) => document.span.end,
            _ => 0,
        };
        sources.iter().map(end).max().unwrap_or_default()
    };
    Some(match instruction {
        Instruction::Run(run) => {
            let end = match &run.arguments {
                Command::Shell(shell) => shell.span.end,
                Command::Exec(words) => words.span.end,
                _ => run.run.span.end,
            };
            let documents = run.here_docs.iter().map(|document| document.span.end);
            run.run.span.start..documents.fold(end, usize::max)
        }
        Instruction::Copy(copy) => copy.copy.span.start..copy.dest.span.end.max(source_end(&copy.src)),
        Instruction::Add(add) => add.add.span.start..add.dest.span.end.max(source_end(&add.src)),
        Instruction::Workdir(workdir) => workdir.workdir.span.start..workdir.arguments.span.end,
        _ => return None,
    })
}

fn reference(text: &str, span: &Range<usize>) -> Reference {
    Reference { text: unquote(text).into_owned(), span: span.clone(), mounted: false }
}

/// The name in `$NAME`, `${NAME}` or `${NAME:-default}`, where the text is nothing else.
fn sole_variable(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('$')?;
    let name = match inner.strip_prefix('{') {
        Some(braced) => braced.strip_suffix('}')?.split(":-").next()?,
        None => inner,
    };
    (!name.is_empty() && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())).then_some(name)
}

/// The arguments of one `ARG` line: `NAME`, `NAME=default`, several of them, with quotes.
fn args(line: &str, span: &Range<usize>) -> Vec<Arg> {
    words(line)
        .into_iter()
        .map(|word| {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name, Some(unquote(default).into_owned())),
                None => (word, None),
            };
            Arg { name: name.to_owned(), default, span: span.clone() }
        })
        .collect()
}

/// Splits at white space outside of quotes.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut quote) = (None, None);
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, c) if c.is_whitespace() => {
                words.extend(start.take().map(|start: usize| &line[start..at]));
                continue;
            }
            _ => {}
        }
        start.get_or_insert(at);
    }
    words.extend(start.map(|start| &line[start..]));
    words
}

fn unquote(text: &str) -> Cow<'_, str> {
    if text.contains(['"', '\'']) { text.replace(['"', '\''], "").into() } else { text.into() }
}

/// The beginning of a message, with its control characters as escapes.
fn one_line(message: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    message.chars().take(MAX_MESSAGE).map(escaped).collect()
}

/// The byte offset of a line and a column, both counted from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut at = (start + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_arguments_and_sources_are_found() {
        let text = "ARG BUILD_BASE=rust:1 A=\"x y\"\nFROM ${BUILD_BASE} AS build\nARG B\n\
                    COPY Cargo.toml src/ .\nRUN --mount=type=secret,id=creds --mount=type=bind,from=tools,target=/t make\n\
                    FROM scratch\nCOPY --from=build /a /b\nCOPY --from=0 /a /b\nCOPY --from=acme/x:1 /a /b\n";
        let dockerfile = Dockerfile::parse("Dockerfile", text).unwrap();
        assert_eq!(dockerfile.global_arg("A").unwrap().default.as_deref(), Some("x y"));
        let [build, last] = &dockerfile.stages[..] else { panic!("{dockerfile:?}") };
        assert_eq!(dockerfile.target(&build.from, 0), Target::Arg("BUILD_BASE"));
        let sources: Vec<&str> = build.sources.iter().map(|(source, _)| source.as_str()).collect();
        assert_eq!(sources, ["Cargo.toml", "src/"]);
        assert_eq!((build.secrets[0].0.as_str(), build.uses[0].text.as_str()), ("creds", "tools"));
        assert_eq!(dockerfile.target(&last.from, 1), Target::Scratch);
        let uses: Vec<_> = last.uses.iter().map(|reference| dockerfile.target(reference, 1)).collect();
        assert_eq!(uses, [Target::Stage(0), Target::Stage(0), Target::Literal("acme/x:1".to_owned())]);
    }

    #[test]
    fn steps_are_found_by_the_numbers_that_buildkit_gives_them() {
        let text = "ARG A=busybox\nFROM ${A} AS Tools\nENV X=1\nRUN one \\\n  && two\nWORKDIR /w\n\
                    FROM tools\nCOPY <<EOF /f\nhello\nEOF\nRUN [\"three\"]\n";
        let dockerfile = Dockerfile::parse("Dockerfile", text).unwrap();
        let step = |stage: &str, number| dockerfile.step(stage, number).map(|span| &text[span]);
        assert_eq!(step("tools", 1), Some("FROM ${A}"));
        assert_eq!(step("linux/amd64 tools", 2), Some("RUN one \\\n  && two"));
        assert_eq!(step("tools", 3), Some("WORKDIR /w"));
        assert!(step("stage-1", 1).is_some_and(|copy| copy.starts_with("COPY <<EOF /f\nhello\n")));
        assert_eq!(step("stage-1", 2), Some("RUN [\"three\"]"));
        for (stage, number) in [("tools", 4), ("tools", 0), ("stage-1", 3), ("stage-2", 1), ("", 1), ("other", 1)] {
            assert_eq!(step(stage, number), None, "{stage} {number}");
        }
        let only = Dockerfile::parse("Dockerfile", "FROM scratch\nADD a /\n").unwrap();
        assert_eq!(only.step("", 1), Some(13..20));
    }

    #[test]
    fn a_stage_for_each_platform_is_found() {
        let text = "FROM scratch AS tool-amd64\nFROM scratch AS tool-arm64\nFROM scratch AS other\n\
                    FROM tool-${TARGETARCH} AS tool\nFROM tool-$BUILDARCH\n";
        let dockerfile = Dockerfile::parse("Dockerfile", text).unwrap();
        let from = |stage: usize| &dockerfile.stages[stage].from;
        assert_eq!(dockerfile.target(from(3), 3), Target::StageOf(vec![0, 1]));
        assert_eq!(dockerfile.target(from(4), 4), Target::StageOf(vec![0, 1]));
        assert_eq!(dockerfile.target(from(3), 0), Target::Literal("tool-".to_owned()));
        assert_eq!(dockerfile.reachable(3), [0, 1, 3]);
        assert_eq!(dockerfile.missing_for(from(3), "linux/arm64/v8", 3), None);
        assert_eq!(dockerfile.missing_for(from(3), "linux/riscv64", 3).as_deref(), Some("tool-riscv64"));
        assert_eq!(dockerfile.missing_for(from(4), "linux/riscv64", 4), None);
    }

    #[test]
    fn a_mistake_has_a_place() {
        let finding = Dockerfile::parse("Dockerfile", "FROM a\nRUNN b\n").unwrap_err();
        assert_eq!(finding.labels[0].span.start, 7);
    }
}
