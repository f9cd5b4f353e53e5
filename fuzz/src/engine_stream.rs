//! What a client of BuildKit writes: in the first byte where it is cut, then messages and text.

use lamina::engine::{Ending, Progress, Seen, Stream, judge};
use lamina::event::StepStatus;

pub fn run(data: &[u8]) {
    let Some((&size, data)) = data.split_first() else { return };
    let whole = read([data].into_iter());
    let pieces = read(data.chunks(usize::from(size).max(1)));
    assert_eq!(whole, pieces, "where it is cut does not matter");
    let (told, seen) = whole;
    follows(&told, &seen);
    for code in [None, Some(1), Some(102)] {
        let ending = Ending { code, ..Ending::default() };
        let error = judge(&ending, seen.clone()).expect_err("a client that fails has not built");
        assert!(!error.message.is_empty() && error.message.len() <= 4000, "{error:?}");
        assert!(!error.message.chars().any(char::is_control), "{error:?}");
        assert!(error.step.is_none_or(|step| step < seen.steps), "{error:?}");
        assert!(!(error.retryable && error.exit_code.is_some()), "a step that failed fails again: {error:?}");
    }
    let ending = Ending { code: Some(0), ..Ending::default() };
    assert!(judge(&ending, seen).is_ok());
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Progress>, Seen) {
    let mut told = Vec::new();
    let mut stream = Stream::default();
    pieces.for_each(|piece| stream.feed(piece, &mut |progress| told.push(progress)));
    let seen = stream.finish(&mut |progress| told.push(progress));
    (told, seen)
}

/// Steps have numbers in order of beginning, one begins again only when it had ended, and nothing is told of one that has
/// not begun.
fn follows(told: &[Progress], seen: &Seen) {
    let mut begun = 0;
    let (mut failed, mut runs) = (Vec::new(), Vec::new());
    for progress in told {
        match progress {
            Progress::Started { step, .. } if *step < begun => {
                assert!(!runs.contains(step), "it runs already");
                runs.push(*step);
            }
            Progress::Started { step, .. } => {
                assert_eq!(*step, begun);
                begun += 1;
                runs.push(*step);
            }
            Progress::Finished { step, status, error, .. } => {
                assert!(*step < begun);
                runs.retain(|running| running != step);
                assert_eq!(error.is_some(), matches!(status, StepStatus::Failed | StepStatus::Cancelled));
                failed.extend((*status == StepStatus::Failed).then_some(*step));
            }
            Progress::Output { step, line, .. } => assert!(*step < begun && !line.contains(['\n', '\r'])),
            Progress::Transfer { step, .. } => assert!(*step < begun),
            Progress::Warning(text) => assert!(!text.is_empty()),
        }
    }
    assert_eq!(seen.steps, begun);
    assert!(seen.steps_run + seen.steps_cached <= begun);
    assert!(seen.errors.iter().all(|error| failed.contains(&error.step)));
    assert!(seen.tail.len() <= 200);
}
