//! What is pasted into a project to build in layers: by digest, with the target folder where cargo finds it.

use std::fmt::Write;

/// A layer's image in a snippet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The layer.
    pub layer: String,
    /// The image by digest.
    pub image: String,
    /// Cargo's target folder in it; absent where nothing is cooked into it.
    pub target_dir: Option<String>,
}

/// What a snippet is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    /// The image to build in.
    pub base: Source,
    /// The images to copy crates from, besides.
    pub donors: Vec<Source>,
    /// The arguments for cargo, with the command: `build --release`.
    pub arguments: Vec<String>,
    /// The packages to install beside the finished program.
    pub install: Vec<String>,
}

impl Snippet {
    /// The target folder of the build, where anything is cooked into an image.
    pub fn cooked(&self) -> Option<&str> {
        std::iter::once(&self.base).chain(&self.donors).find_map(|source| source.target_dir.as_deref())
    }

    /// The target folder of the build: where the base's crates lie, or those of the first donor.
    fn target_dir(&self) -> &str {
        self.cooked().unwrap_or("/src/target")
    }

    fn cargo(&self) -> String {
        let words = self.arguments.iter().map(|word| quoted(word));
        std::iter::once("cargo".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
    }

    /// The stage of a Dockerfile.
    pub fn dockerfile(&self) -> String {
        self.prepared() + &self.build()
    }

    /// That stage, `build`, up to where cargo is run.
    pub fn prepared(&self) -> String {
        let mut text = String::new();
        for donor in &self.donors {
            let _ = writeln!(text, "FROM {} AS {}", donor.image, donor.layer);
        }
        let _ = writeln!(text, "FROM {} AS build", self.base.image);
        text + &self.stage()
    }

    /// A call of buildx, with the Dockerfile on its input and the images as named contexts.
    pub fn buildx(&self) -> String {
        let mut text = "docker buildx build \\\n".to_owned();
        for source in std::iter::once(&self.base).chain(&self.donors) {
            let _ = writeln!(text, "  --build-context {}=docker-image://{} \\", source.layer, source.image);
        }
        let _ = writeln!(text, "  --file - . <<'EOF'\nFROM {} AS build", self.base.layer);
        text + &self.stage() + &self.build() + "EOF\n"
    }

    /// What comes before cargo.
    fn stage(&self) -> String {
        let target = self.target_dir();
        let mut text = String::new();
        for donor in &self.donors {
            let there = donor.target_dir.as_deref().unwrap_or(target);
            let _ = writeln!(text, "COPY --from={} {there} {target}", donor.layer);
        }
        let folders = std::iter::once(&self.base).chain(&self.donors).filter(|source| source.target_dir.is_some());
        if folders.count() > 1 {
            // A file that both have is now of the last one's time.
            text.push_str(
                "# cargo compiles a crate again that is older than what it depends on: give all the same time.\n",
            );
            let _ = writeln!(
                text,
                "RUN touch /tmp/now && find {target} -exec touch --no-dereference --reference=/tmp/now {{}} +"
            );
        }
        let _ = writeln!(text, "WORKDIR /src\nCOPY . .\nENV CARGO_TARGET_DIR={target}");
        text
    }

    /// The run of cargo, and what follows on it.
    fn build(&self) -> String {
        let mut text = format!("RUN {}\n", self.cargo());
        if !self.install.is_empty() {
            let _ = writeln!(text, "# The stage that runs the program installs: {}", self.install.join(" "));
        }
        text
    }

    /// A job of a workflow of GitHub Actions.
    pub fn github(&self) -> String {
        let mut text = self.left_out("    # ");
        let _ = write!(
            text,
            "    runs-on: ubuntu-latest\n    container: {}\n    env:\n      CARGO_TARGET_DIR: {}\n    steps:\n      \
             - uses: actions/checkout@v4\n      - run: {}\n",
            self.base.image,
            self.target_dir(),
            yaml(&self.cargo())
        );
        format!("jobs:\n  build:\n{text}")
    }

    /// A job of a pipeline of GitLab.
    pub fn gitlab(&self) -> String {
        let left_out = self.left_out("  # ");
        format!(
            "build:\n{left_out}  image: {}\n  variables:\n    CARGO_TARGET_DIR: {}\n  script:\n    - {}\n",
            self.base.image,
            self.target_dir(),
            yaml(&self.cargo())
        )
    }

    /// A job runs in one image.
    fn left_out(&self, start: &str) -> String {
        let donors: Vec<&str> = self.donors.iter().map(|donor| donor.layer.as_str()).collect();
        match donors.is_empty() {
            true => String::new(),
            false => format!(
                "{start}A job runs in one image. To have {} as well, build with a Dockerfile.\n",
                donors.join(", ")
            ),
        }
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:@+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// A text as a value in YAML: in quotes, as JSON has them.
fn yaml(text: &str) -> String {
    crate::report::json::to_line(&text)
}
