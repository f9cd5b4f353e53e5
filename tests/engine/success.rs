//! Builds that succeed: what is pushed, what is told, what is passed.

use std::collections::BTreeMap;
use std::fs;

use lamina::engine::{Output, Progress, SecretSource, Solve};
use lamina::event::StepStatus;

use crate::lab::{build_with, folder, on_each, push, with};

#[test]
fn an_image_is_pushed_and_its_digest_is_the_registrys() {
    on_each("push", |lab| {
        let folder = folder();
        fs::write(folder.path().join("file"), "content\n").unwrap();
        let image = lab.image("pushed");
        let steps = "RUN echo to stdout; echo to stderr >&2; printf 'no end'\nCOPY file /file\n";
        let solve = Solve { output: push(&image), ..lab.solve(folder.path(), steps) };
        let built = lab.build(&solve);
        let solved = built.result.as_ref().unwrap_or_else(|error| panic!("{}: {error:?}", lab.name));
        assert_eq!(solved.digest, lab.digest(&image), "{}", lab.name);
        assert!(solved.digest.is_some());
        assert_eq!((solved.steps_run, solved.steps_cached), (2, 0), "{}", lab.name);
        let (mut of_out, mut of_err) = (Vec::new(), Vec::new());
        for progress in &built.progress {
            match progress {
                Progress::Output { stderr: false, line, .. } => of_out.push(line.as_str()),
                Progress::Output { stderr: true, line, .. } => of_err.push(line.as_str()),
                _ => {}
            }
        }
        assert_eq!((of_out, of_err), (vec!["to stdout", "no end"], vec!["to stderr"]), "{}", lab.name);

        // The same again: nothing is run, and it is the same image.
        let again = lab.build(&solve).result.unwrap();
        assert_eq!((again.steps_run, again.steps_cached), (0, 2), "{}", lab.name);
        assert_eq!(again.digest, solved.digest, "{}", lab.name);

        // All of it is run when that is wanted.
        let fresh = lab.build(&Solve { no_cache: true, ..solve }).result.unwrap();
        assert_eq!(fresh.steps_run, 2, "{}", lab.name);
    });
}

#[test]
fn steps_are_told_with_their_instructions() {
    on_each("steps", |lab| {
        let folder = folder();
        let steps = "RUN echo one\nFROM scratch AS last\nCOPY --from=0 /bin/true /true\n";
        let built = lab.build(&lab.solve(folder.path(), steps));
        built.result.as_ref().unwrap();
        let mut of_run = None;
        for progress in &built.progress {
            let Progress::Started { step, instruction: Some(instruction), .. } = progress else { continue };
            if instruction.text == "RUN echo one" {
                assert_eq!((instruction.stage.as_str(), instruction.number, instruction.of), ("stage-0", 2, 2));
                of_run = Some(*step);
            }
        }
        let of_run = of_run.expect("the step is told");
        let ended = built.progress.iter().find_map(|progress| match progress {
            Progress::Finished { step, status, error: None, .. } if *step == of_run => Some(*status),
            _ => None,
        });
        assert_eq!(ended, Some(StepStatus::Done), "{}", lab.name);
    });
}

#[test]
fn what_is_declared_is_passed() {
    on_each("declared", |lab| {
        let folder = folder();
        let other = crate::lab::folder();
        fs::write(other.path().join("of-other"), "other\n").unwrap();
        fs::write(folder.path().join("value"), "from a file").unwrap();
        let text = format!(
            "FROM {} AS first\nARG GREETING\nRUN echo \"arg $GREETING\"; echo net $(ls /sys/class/net)\n\
             RUN --mount=type=secret,id=tok test \"$(cat /run/secrets/tok)\" = 'from a file' && echo secret is there\n\
             COPY --from=more of-other /of-other\n\
             FROM first AS not-built\nRUN false\n",
            lab.busybox()
        );
        let image = lab.image("declared");
        let annotated = BTreeMap::from([("org.example.note".to_owned(), "a, \"quoted\" note".to_owned())]);
        let solve = Solve {
            args: BTreeMap::from([("GREETING".to_owned(), "hello, world".to_owned())]),
            contexts: BTreeMap::from([("more".to_owned(), other.path().display().to_string())]),
            secrets: BTreeMap::from([("tok".to_owned(), SecretSource::File(folder.path().join("value")))]),
            target: Some("first".to_owned()),
            platforms: vec!["linux/amd64".parse().unwrap()],
            network: lamina::model::Network::None,
            labels: BTreeMap::from([("org.example.label".to_owned(), "b, \"c\"".to_owned())]),
            annotations: annotated,
            source_date_epoch: Some(1_700_000_000),
            no_cache: true,
            insecure: true,
            output: push(&image),
            ..lab.solve_of(folder.path(), &text)
        };
        let built = lab.build(&solve);
        let solved = built.result.as_ref().unwrap_or_else(|error| panic!("{}: {error:?}", lab.name));
        assert_eq!(solved.digest, lab.digest(&image));
        assert_eq!(built.output(), ["arg hello, world", "net lo", "secret is there"], "{}", lab.name);
        if lab.engine.about().rewrites_timestamps {
            std::thread::sleep(std::time::Duration::from_millis(1100));
            assert_eq!(lab.build(&solve).result.unwrap().digest, solved.digest, "times are rewritten");
        }
    });
}

#[test]
fn a_builder_of_buildx_is_named() {
    on_each("builder", |lab| {
        let (Ok(host), "buildx") = (std::env::var("BUILDKIT_HOST"), lab.name) else { return };
        let configuration = folder();
        let path = configuration.path().to_str().unwrap();
        let builders = with(&[("BUILDX_CONFIG", path)]);
        let mut create = std::process::Command::new(&lab.engine.command(&Solve::default())[0]);
        create.args(["create", "--name", "of-the-test", "--driver", "remote", &host]);
        let created = create.env_clear().envs(builders.iter()).output().unwrap();
        assert!(created.status.success(), "{created:?}");

        let builder = Some("of-the-test".to_owned());
        let options = lamina::engine::Options { env: builders, builder, ..lab.options.clone() };
        let engine = lamina::engine::open(&options).unwrap();
        assert_eq!((&*engine.about().endpoint, engine.about().rewrites_timestamps), ("builder of-the-test", true));
        let folder = folder();
        let image = lab.image("by-builder");
        let solve = Solve {
            output: push(&image),
            source_date_epoch: Some(1_700_000_000),
            no_cache: true,
            ..lab.solve(folder.path(), "RUN echo made >/made\n")
        };
        let cancel = tokio_util::sync::CancellationToken::new();
        let digest = || build_with(&*engine, &solve, &cancel).result.unwrap().digest;
        let first = digest();
        assert_eq!(first, lab.digest(&image));
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert_eq!(digest(), first, "times are rewritten");
    });
}

#[test]
fn a_result_becomes_a_folder_or_nothing() {
    on_each("outputs", |lab| {
        let folder = folder();
        let target = crate::lab::folder();
        let dest = target.path().join("a, b");
        let steps = "RUN echo made >/made\nFROM scratch\nCOPY --from=0 /made /made\n";
        let solve = Solve { output: Output::Folder(dest.clone()), ..lab.solve(folder.path(), steps) };
        let solved = lab.build(&solve).result.unwrap();
        assert_eq!(solved.digest, None);
        assert_eq!(fs::read_to_string(dest.join("made")).unwrap(), "made\n", "{}", lab.name);
        let nothing = lab.build(&Solve { output: Output::None, ..solve });
        assert!(!nothing.progress.iter().any(|progress| {
            matches!(progress, Progress::Started { name, .. } if name.starts_with("exporting to"))
        }));
        assert_eq!(nothing.result.unwrap().digest, None);
    });
}

#[test]
fn the_layer_cache_travels_through_the_registry() {
    on_each("cache", |lab| {
        let folder = folder();
        let image = lab.image("cached");
        let cache = lab.image("cache").to_string();
        let solve = Solve {
            output: push(&image),
            cache_from: vec![cache.clone()],
            cache_to: Some(cache.clone()),
            insecure: true,
            ..lab.solve(folder.path(), "RUN echo made >/made\n")
        };
        let built = lab.build(&solve);
        built.result.as_ref().unwrap_or_else(|error| panic!("{}: {error:?}", lab.name));
        assert_eq!(built.warnings(), Vec::<&str>::new(), "a cache that is not there yet is nothing: {}", lab.name);
        assert!(lab.digest(&cache.parse().unwrap()).is_some(), "{}", lab.name);

        // Nobody listens there: the image is good.
        let nobody = Solve { cache_to: Some("127.0.0.1:1/cache:t".to_owned()), ..solve };
        let built = lab.build(&nobody);
        let solved = built.result.as_ref().unwrap_or_else(|error| panic!("{}: {error:?}", lab.name));
        assert_eq!(solved.digest, lab.digest(&image));
        let warnings = built.warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("can't be written"), "{}: {warnings:?}", lab.name);
        assert!(!built.progress.iter().any(|told| matches!(told, Progress::Finished { error: Some(_), .. })));
    });
}
