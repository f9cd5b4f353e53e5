//! The codes of all findings: one table feeds `--explain`, the reference page and the JSON output.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Severity;

macro_rules! codes {
    ($($variant:ident = $name:literal, $severity:ident, $summary:literal, $explanation:literal;)*) => {
        /// What kind of finding a diagnostic is. The names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $summary] $variant,)*
        }

        impl Code {
            /// All codes, in the order of the reference page.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable name, as printed and as `--explain` takes it.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// How much such a finding weighs.
            pub fn severity(self) -> Severity {
                match self { $(Code::$variant => Severity::$severity,)* }
            }

            /// One line: what it means.
            pub fn summary(self) -> &'static str {
                match self { $(Code::$variant => $summary,)* }
            }

            /// Why it matters and what to do.
            pub fn explanation(self) -> &'static str {
                match self { $(Code::$variant => $explanation,)* }
            }
        }
    };
}

codes! {
    Syntax = "syntax", Error, "A Nickel file can't be parsed.",
        "The parser stopped here. The mistake often lies just before the place shown: a comma, a brace or a quote is missing.";
    Contract = "contract", Error, "A value breaks the contract of its field.",
        "Each field of a workflow, of the catalog and of an ADR has a contract in schemas/. The finding shows the value and what the contract allows. The schemas document every field, and so does docs/workflow.md.";
    MissingField = "missing-field", Error, "A mandatory field is missing.",
        "The contract asks for a field that the record does not define. Add it; the schema's documentation says what belongs there.";
    UnknownField = "unknown-field", Error, "A field that the contract does not know.",
        "Contracts are closed: a field that they do not name is most often a slip of the pen, and would otherwise be ignored in silence. Correct the name, or remove the field.";
    ContractNotApplied = "contract-not-applied", Error, "The record does not have the shape of its contract.",
        "The file evaluates, but the result can't be read as what its place asks for. A workflow ends with `| Workflow`, imported from schemas/workflow.ncl; where it does, the schema and this version of lamina disagree.";
    MergeConflict = "merge-conflict", Error, "Two values of one field can't be merged.",
        "A plain value does not override another one. Give the value that is to be overridden the priority `| default`, or the one that overrides `| force`.";
    Type = "type", Error, "An expression has the wrong type.",
        "Nickel's typechecker found the mistake before evaluation.";
    Import = "import", Error, "An import can't be used.",
        "Imports name regular UTF-8 files inside of the catalog, of at most 1 MiB, by a path relative to the importing file. Links are not followed, and nothing outside of the catalog can be imported.";
    Recursion = "recursion", Error, "A value needs itself.",
        "The value is defined by way of itself, within a file or through imports, so it has no end.";
    Evaluation = "evaluation", Error, "Evaluation failed.",
        "Nickel could not compute the value. The message is Nickel's own.";
    LimitTime = "limit-time", Error, "Evaluation took too long and was ended.",
        "A file has a time limit for its evaluation, so that an endless one can't hold up a build. Simplify it, or raise the limit with --eval-timeout.";
    LimitMemory = "limit-memory", Error, "Evaluation needed too much memory and was ended.",
        "A file has a memory limit for its evaluation, so that it can't take the machine down. Simplify it, or raise the limit with --eval-memory.";
    LimitDepth = "limit-depth", Error, "The file is nested too deeply.",
        "The evaluator ran out of stack. No workflow needs to be nested thousands of levels deep.";
    NotUtf8 = "not-utf8", Error, "A file is not UTF-8 text.",
        "Nickel files and Dockerfiles are UTF-8. The finding names the first byte that is not.";
    NotAFile = "not-a-file", Error, "A path is not a regular file inside of the catalog.",
        "lamina reads regular files below the catalog's root. Devices, pipes, sockets and links are refused: through a link a file would have two names, and a change of it would go unnoticed. In a build context a link is an entry of its own, and is not followed either.";
    TooLarge = "too-large", Error, "A file or a build context is too large.",
        "Nickel files and Dockerfiles may have 1 MiB. A build context may have 1 GiB; put what the build does not need into .dockerignore.";
    Unreadable = "unreadable", Error, "A file can't be read.",
        "The operating system refused. The message says why.";
    NotEvaluated = "not-evaluated", Error, "A file was not evaluated because too many others broke the evaluator.",
        "After several files have exhausted time, memory or stack, the rest is left alone. Mend those first.";
    LayerName = "layer-name", Error, "A layer's name differs from its folder's.",
        "layers/NAME/workflow.ncl says `layer = \"NAME\"`. The name of the folder is the name of the layer and of its image, so that each is found by the other.";
    LayerFolder = "layer-folder", Error, "A folder in layers/ holds no workflow.ncl.",
        "Each folder in layers/ is a layer. Add a workflow.ncl, or move the folder elsewhere.";
    UnknownLayer = "unknown-layer", Error, "A base or donor names a layer that does not exist.",
        "`{ layer = \"NAME\" }` names a folder in layers/.";
    Duplicate = "duplicate", Error, "A name is declared twice.",
        "Donors, tools, native dependencies, secrets, SSH agents, artifact paths, tags, platforms and ADRs are unique by name: of two with the same name, one would be ignored.";
    Cycle = "cycle", Error, "Layers depend on each other in a circle.",
        "No order of building exists. The finding lists the circle with the kind of each edge; remove one of them.";
    DockerfileMissing = "dockerfile-missing", Error, "The Dockerfile that the workflow names does not exist.",
        "build.dockerfile names it, relative to the layer's folder; without the field it is `Dockerfile`.";
    DockerfileSyntax = "dockerfile-syntax", Error, "The Dockerfile can't be parsed.",
        "The message names the place. `docker build --check` sees the same mistake.";
    FromUndeclared = "from-undeclared", Error, "The Dockerfile uses an image that the workflow does not declare.",
        "FROM, COPY --from and RUN --mount=from may use: an earlier stage, `scratch`, ${BUILD_BASE}, ${RUNTIME_BASE} and the argument of a declared donor. Everything else is an edge that the graph does not know, so a change of that image would make no layer stale. A stage can be chosen by the platform, `FROM tool-${TARGETARCH}`, and is there for each platform of the layer then.";
    BaseUnused = "base-unused", Error, "The workflow declares a base that the Dockerfile does not use.",
        "The Dockerfile takes the build base by `ARG BUILD_BASE` and the runtime base by `ARG RUNTIME_BASE`. A base that is declared and not used makes the graph claim what is not so.";
    DonorUnused = "donor-unused", Error, "The workflow declares a donor that the Dockerfile does not use.",
        "A donor is taken by its argument: `FROM ${DONOR_NAME} AS name`, then `COPY --from=name`. Remove the donor, or use it.";
    FinalStageBase = "final-stage-base", Error, "The final stage does not start from the runtime base.",
        "What the finished image stands on is `runtime_base` (ADR 001). Where it differs from `build_base`, the stage that becomes the image starts `FROM ${RUNTIME_BASE}` and copies from the build stage.";
    ArgDefault = "arg-default", Error, "A build argument has no default, or another one than the workflow says.",
        "Every Dockerfile also builds with plain `docker build`: `ARG BUILD_BASE=IMAGE`, with an external image. Where the workflow gives an argument a value and the Dockerfile a default, they agree; an external base has the declared image as its default.";
    ArgUndeclared = "arg-undeclared", Error, "The workflow passes a build argument that the Dockerfile does not declare.",
        "BuildKit ignores an argument without an ARG line, so the value would have no effect.";
    SecretUndeclared = "secret-undeclared", Error, "The Dockerfile mounts a secret that the workflow does not declare.",
        "build.secrets lists what the Dockerfile mounts with --mount=type=secret, so that whoever builds knows what to supply.";
    SshUndeclared = "ssh-undeclared", Error, "The Dockerfile mounts an SSH agent that the workflow does not declare.",
        "build.ssh lists the ids that the Dockerfile mounts with --mount=type=ssh, so that whoever builds knows what to supply. A mount without an id has the id `default`.";
    ContextUnused = "context-unused", Warning, "The workflow declares a named context that the Dockerfile does not use.",
        "A named context of build.contexts is used by `FROM NAME`, `COPY --from=NAME` or `RUN --mount=from=NAME`. Its files are inputs of the layer all the same: a change of them would have it rebuilt for nothing.";
    ContextEmpty = "context-empty", Error, "A named context has no file.",
        "build.contexts names a folder relative to the layer's folder. Either it is not there, or the .dockerignore at its root leaves out all that is in it.";
    ContextName = "context-name", Error, "A named context has the name of a stage.",
        "BuildKit would put the context in the place of the stage, which is then never built. Rename one of them.";
    DonorStage = "donor-stage", Error, "The stage that an earlier image stands in for is not empty, or more than mounted.",
        "`lamina build` may put the layer's last good image in the place of `FROM scratch AS donor`. It only makes the build faster, so the stage has no instructions of its own, and is taken by RUN --mount=type=bind,from=donor alone: what is copied from it would be in the image whatever the inputs are.";
    TargetUnknown = "target-unknown", Error, "build.target names a stage that the Dockerfile does not have.",
        "The target is the name of a stage: `FROM … AS NAME`.";
    CopySource = "copy-source", Error, "COPY or ADD names a file that is not in the build context.",
        "The context is the folder of build.context without what .dockerignore leaves out. workflow.ncl, the Dockerfile and .dockerignore are never part of it.";
    Unpinned = "unpinned", Error, "An external image has no digest in lamina.lock.",
        "A tag can move. lamina.lock holds the digest next to the tag, and the fingerprint of a layer covers it. `lamina lock` asks the registry for it.";
    LockSyntax = "lock-syntax", Error, "lamina.lock can't be read.",
        "It is TOML: `version = 1` and one [[image]] table for each image, with reference = \"NAME:TAG@sha256:…\".";
    LockUnused = "lock-unused", Warning, "lamina.lock pins an image that no layer uses.",
        "An entry that nobody needs hides the one that is missing. `lamina lock` removes it.";
    PlatformMissing = "platform-missing", Error, "A base is not there for a platform that a layer is built for.",
        "By lamina.lock the image is an index without a manifest for this platform, or the layer that it builds on is not built for it. BuildKit would take another platform's image without a word and label the result wrongly. Take a base that has it, or leave the platform out of build.platforms.";
    NativeDeps = "native-deps", Error, "Class and native_deps of a layer do not fit each other.",
        "A native-dep layer declares at least one C library, so that its consumers know what to install (ADR 002).";
    NativeDepsInstalled = "native-deps-installed", Error, "A declared Debian package is not installed by the Dockerfile.",
        "Each native dependency with source 'apt that is needed at build time stands in an apt-get install of the Dockerfile.";
    Cooked = "cooked", Error, "A layer's cooked dependency set is missing or incomplete.",
        "A source-dep or native-dep layer names its dependency set in `cooked`: a folder with Cargo.toml and the Cargo.lock that cargo made for it.";
    CargoLock = "cargo-lock", Error, "The Cargo.lock of a cooked set does not fit its Cargo.toml.",
        "Each dependency of the Cargo.toml has an entry in the Cargo.lock, of a version that the requirement allows, and the lock has no other one for the set itself. Run `cargo update --workspace` in that folder.";
    BuildGraph = "build-graph", Error, "The build-graph snapshot of a cooked set is missing, stale or can't be read.",
        "units.snap beside a Cargo.lock says which units cargo compiles of it. `lamina crates snapshot --write` writes it; it has to be written again when the Cargo.toml, the Cargo.lock or the `cooked` of the workflow change, and without it no ceiling can be checked. docs/crates.md describes the file.";
    Ceiling = "ceiling", Error, "A cooked set has grown over a ceiling.",
        "`cooked.ceilings` bounds what a set compiles, and how much a new version of a crate compiles again. The finding says which dependencies are new since the ceilings last held, each with the way to it from what the set asks for. Leave them out, or raise the ceiling: then `lamina crates snapshot --write` takes the set as the new baseline.";
    SecondTime = "second-time", Error, "A layer compiles units that the layer below it has already.",
        "A set that is cooked on top of another one takes a compiled unit over only where version, features and all that it depends on are the same. `cooked.ceilings.second_time` bounds how many are compiled all the same; 0 is what it should be. `lamina crates align PARENT CHILD` says what to declare in which of the two.";
    AdrHard = "adr-hard", Error, "A hard constraint of an architecture decision is broken.",
        "adrs/ holds the decisions, each with constraints that lamina checks. `lamina adr ID` prints the record.";
    AdrSoft = "adr-soft", Warning, "A soft constraint of an architecture decision is broken.",
        "adrs/ holds the decisions, each with constraints that lamina checks. `lamina adr ID` prints the record.";
    AdrInvalid = "adr-invalid", Error, "An architecture decision record can't be checked.",
        "Its file name begins with its id; its patterns are regular expressions and its globs are valid.";
    CatalogValue = "catalog-value", Error, "A value of the catalog can't be used.",
        "catalog/catalog.ncl, merged with the overlays, holds a value that its contract let pass and that is no valid name, image, platform or glob.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
