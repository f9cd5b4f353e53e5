//! A child pipeline for GitLab: a job a layer, each of which starts as soon as its parents are done.
//!
//! YAML and not JSON, although GitLab reads both: people read a pipeline that went wrong. Its structure is fixed, and
//! every text in it is a double-quoted scalar, which JSON and YAML share, so it needs no YAML library. What comes from
//! the catalog is a variable that GitLab does not expand; the script is the same for all layers and reads variables.
//!
//! Limits of the platform, from "Instance limits" of GitLab's documentation: 50 `needs` a job, and files of 2 MiB, both
//! by default.

use std::fmt::Write;

use super::{Pipeline, Step, equations};
use crate::model::{LayerName, Network, Secret};
use crate::report::count;

/// The most jobs that a job may need, by default.
pub const MAX_NEEDS: usize = 50;

/// The largest pipeline that GitLab reads, in bytes, by default.
pub const MAX_BYTES: usize = 2 << 20;

/// A layer whose arguments can't be passed on line by line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an argument of {layer} holds a line break, and the jobs read one argument a line: {argument:?}")]
pub struct LineBreak {
    /// The layer.
    pub layer: LayerName,
    /// The argument.
    pub argument: String,
}

const HEAD: &str = r#"workflow:
  rules:
    # A pipeline for a merge request would otherwise leave out jobs without rules.
    - when: always

variables:
  LAMINA_DOCKER_IMAGE: "docker:29-cli"
  LAMINA_DOCKER_SERVICE: "docker:29-dind"
  DOCKER_TLS_CERTDIR: "/certs"

"#;

/// What each job does. It runs in any POSIX shell, and reads what it builds from variables.
const BUILD: &str = r#".lamina-build:
  image: "$LAMINA_DOCKER_IMAGE"
  services:
    - name: "$LAMINA_DOCKER_SERVICE"
      alias: docker
  rules:
    - when: on_success
  script:
    - |
      set -eu
      cd "${LAMINA_CATALOG:-.}"
      if [ -n "${LAMINA_REGISTRY_PASSWORD:-}" ]; then
        printf %s "$LAMINA_REGISTRY_PASSWORD" |
          docker login --username "$LAMINA_REGISTRY_USER" --password-stdin "${LAMINA_IMAGE%%/*}"
      elif [ -n "${CI_REGISTRY_PASSWORD:-}" ]; then
        printf %s "$CI_REGISTRY_PASSWORD" | docker login --username "$CI_REGISTRY_USER" --password-stdin "$CI_REGISTRY"
      fi
      # The tag names the inputs: where it is there, the layer is built.
      if docker buildx imagetools inspect -- "$LAMINA_IMAGE" >/dev/null 2>&1; then
        echo "$LAMINA_IMAGE is there already"
        exit 0
      fi
      # One argument a line; nothing of them is read by the shell.
      set --
      while IFS= read -r argument; do
        set -- "$@" "$argument"
      done <<END
      $LAMINA_ARGUMENTS
      END
      while read -r id required variable; do
        if [ -z "$id" ]; then
          continue
        elif printenv "$variable" >/dev/null; then
          set -- "$@" --secret "id=$id,env=$variable"
        elif [ "$required" = true ]; then
          echo "the secret $id is missing: set the variable $variable" >&2
          exit 1
        fi
      done <<END
      $LAMINA_SECRETS
      END
      docker buildx build --progress=plain --push "$@" -- "$LAMINA_CONTEXT"
"#;

const NOTHING: &str = r#""nothing to build":
  image: "$LAMINA_DOCKER_IMAGE"
  script:
    - echo "no layer is affected"
"#;

/// The pipeline.
///
/// # Errors
/// When an argument holds a line break.
pub fn yaml(pipeline: &Pipeline<'_>) -> Result<String, LineBreak> {
    let layers = pipeline.waves.iter().map(Vec::len).sum::<usize>();
    let waves = pipeline.waves.len();
    if layers == 0 {
        return Ok(format!("# Written by lamina: no layer is affected.\n{HEAD}{NOTHING}"));
    }
    let mut text =
        format!("# Written by lamina: builds {} in {}.\n{HEAD}stages:\n", count(layers, "layer"), count(waves, "wave"));
    for wave in 1..=waves {
        let _ = writeln!(text, "  - \"wave {wave}\"");
    }
    let _ = write!(text, "\n{BUILD}");
    for (wave, steps) in pipeline.waves.iter().enumerate() {
        for step in steps {
            job(step, wave + 1, &mut text)?;
        }
    }
    Ok(text)
}

/// What of the platform's limits the pipeline does not keep.
pub fn beyond_limits(pipeline: &Pipeline<'_>, yaml: &str) -> Vec<String> {
    let mut remarks = Vec::new();
    for step in pipeline.waves.iter().flatten().filter(|step| step.needs.len() > MAX_NEEDS) {
        let (name, needs) = (&step.recipe.layer.name, step.needs.len());
        remarks.push(format!("the job of {name} needs {needs} others, and GitLab allows {MAX_NEEDS} by default"));
    }
    if yaml.len() > MAX_BYTES {
        remarks.push(format!("the pipeline has {} bytes, and GitLab reads {MAX_BYTES} by default", yaml.len()));
    }
    remarks
}

fn job(step: &Step<'_>, wave: usize, text: &mut String) -> Result<(), LineBreak> {
    let layer = step.recipe.layer;
    let (cpu, memory_mb, minutes) = layer.build.resources.declared_or_common();
    // A prefix, because `image` and `cache` are names that a layer may have and a job may not.
    let _ = write!(
        text,
        "\n# {}\n{}:\n  extends: .lamina-build\n  stage: \"wave {wave}\"\n  timeout: {} minutes\n",
        bare(&step.reason),
        quoted(&format!("build:{}", layer.name)),
        minutes,
    );
    let needs: Vec<String> = step.needs.iter().map(|name| quoted(&format!("build:{name}"))).collect();
    let _ = writeln!(text, "  needs: [{}]", needs.join(", "));
    let secrets: String = layer.build.secrets.iter().map(secret_line).collect();
    let _ = writeln!(text, "  variables:\n    KUBERNETES_CPU_REQUEST: \"{cpu}\"");
    let _ = writeln!(text, "    KUBERNETES_MEMORY_REQUEST: \"{memory_mb}Mi\"");
    variable("LAMINA_LAYER", &quoted(layer.name.as_str()), text);
    variable("LAMINA_IMAGE", &quoted(&step.recipe.image.to_string()), text);
    variable("LAMINA_SECRETS", &quoted(secrets.trim_end()), text);
    let arguments = arguments(step);
    if let Some(argument) = arguments.iter().find(|argument| argument.contains(['\n', '\r', '\0'])) {
        return Err(LineBreak { layer: layer.name.clone(), argument: argument.clone() });
    }
    variable("LAMINA_CONTEXT", &quoted(&layer.build.context.to_string()), text);
    variable("LAMINA_ARGUMENTS", &lines(&arguments), text);
    Ok(())
}

/// What `docker buildx build` gets, but for secrets and the context.
fn arguments(step: &Step<'_>) -> Vec<String> {
    let build = &step.recipe.layer.build;
    let platforms: Vec<&str> = build.platforms.iter().map(|platform| platform.as_str()).collect();
    let mut arguments = vec![format!("--file={}", build.dockerfile), format!("--tag={}", step.recipe.image)];
    if !platforms.is_empty() {
        arguments.push(format!("--platform={}", platforms.join(",")));
    }
    arguments.extend(build.target.as_ref().map(|target| format!("--target={target}")));
    arguments.extend(step.recipe.build_args().map(|arg| format!("--build-arg={arg}")));
    arguments.extend(build.contexts.iter().map(|(name, folder)| format!("--build-context={name}={folder}")));
    arguments.extend(build.ssh.iter().map(|id| format!("--ssh={id}")));
    if build.network != Network::Default {
        arguments.push(format!("--network={}", build.network.as_str()));
    }
    arguments.extend(equations(&build.labels).into_iter().map(|label| format!("--label={label}")));
    arguments.extend(equations(&build.annotations).into_iter().map(|annotation| format!("--annotation={annotation}")));
    arguments
}

/// `ID REQUIRED VARIABLE`, with a line end.
fn secret_line(secret: &Secret) -> String {
    format!("{} {} {}\n", secret.id, secret.required, secret.variable())
}

/// A variable whose value GitLab leaves as it is.
fn variable(name: &str, value: &str, text: &mut String) {
    let _ = writeln!(text, "    {name}:\n      expand: false\n      value: {value}");
}

/// A double-quoted scalar. Characters that a reader of YAML may take for line ends, or not take at all, are escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            _ => quoted.push(c),
        }
    }
    quoted
}

/// Texts as the lines of a double-quoted scalar, each in a line of the file, where blanks in front don't count: all of
/// them are options, and begin with a dash.
fn lines(texts: &[String]) -> String {
    let mut scalar = String::from("\"\\\n");
    for (at, text) in texts.iter().enumerate() {
        let quoted = quoted(text);
        let inner = &quoted[1..quoted.len() - 1];
        let end = if at + 1 == texts.len() { "\"" } else { "\\n\\\n" };
        let _ = write!(scalar, "        {inner}{end}");
    }
    scalar
}

/// A text for a comment: one line of characters that every reader of YAML takes.
fn bare(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || c.is_ascii_graphic() || "→…".contains(c);
    text.chars().map(|c| if is_plain(c) { c } else { ' ' }).collect()
}
