use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Midnight of the day on which the cloud signed; all other times are counted from there.
const SIGNED: i64 = 1_800_000_000;

fn up(start: &str, seconds: i64) -> Option<Uptime> {
    Some(Uptime { start: start.to_owned(), seconds })
}

fn signed() -> Mark {
    Mark { floor: SIGNED, claimed: None, uptime: up("a", 0) }
}

/// Returns the time that is believed, in seconds since the cloud signed.
fn believed(mark: &Mark) -> i64 {
    mark.believed() - SIGNED
}

#[test]
fn while_the_machine_runs_its_clock_can_be_set_to_and_fro() {
    let (mark, seen) = signed().judge(SIGNED + 8 * DAY, up("a", HOUR));
    assert_eq!((believed(&mark), &seen), (8 * DAY, &Seen::Steady));
    // Every look that confirms it changes nothing: it is the same clock.
    let (mark, seen) = mark.judge(SIGNED + 9 * DAY, up("a", DAY + HOUR));
    assert_eq!((believed(&mark), &seen), (9 * DAY, &Seen::Steady));
    let (mark, seen) = mark.judge(SIGNED + DAY + 2 * HOUR, up("a", DAY + 2 * HOUR));
    assert_eq!((believed(&mark), &seen), (DAY + 2 * HOUR, &Seen::TakenBack), "forgiven");
    let (mark, seen) = mark.judge(SIGNED + HOUR, up("a", DAY + 2 * HOUR));
    assert_eq!((believed(&mark), seen), (DAY + 2 * HOUR, Seen::Behind(DAY + HOUR)), "but not further back than it ran");
}

#[test]
fn a_night_counts_and_is_no_more_to_be_taken_back_after_the_next_start() {
    let (mark, seen) = signed().judge(SIGNED + DAY, up("b", 0));
    assert_eq!((believed(&mark), &seen), (DAY, &Seen::Steady));
    let (right, seen) = mark.judge(SIGNED + HOUR, up("b", HOUR));
    assert_eq!(
        (believed(&right), seen),
        (HOUR, Seen::TakenBack),
        "the clock had been wrong when the machine was started"
    );
    let (mark, _) = mark.judge(SIGNED + 2 * DAY, up("c", 0));
    let (mark, seen) = mark.judge(SIGNED + HOUR, up("c", HOUR));
    assert_eq!((believed(&mark), seen), (2 * DAY + HOUR, Seen::Behind(2 * DAY)));
}

#[test]
fn where_nobody_counts_one_look_can_be_taken_back() {
    let mark = Mark { uptime: None, ..signed() };
    let (once, _) = mark.judge(SIGNED + 8 * DAY, None);
    assert_eq!(believed(&once.judge(SIGNED + HOUR, None).0), HOUR);
    let (twice, _) = once.judge(SIGNED + 8 * DAY, None);
    assert_eq!(believed(&twice.judge(SIGNED + HOUR, None).0), 8 * DAY);
}

proptest! {
    /// Checks that no setting of the clock leads to a time before the one that the machine's uptime proves.
    #[test]
    fn no_clock_makes_time_that_the_machine_ran_undone(
        looks in prop::collection::vec((0..20 * DAY, -30 * DAY..30 * DAY, any::<bool>()), 1..20)
    ) {
        let (mut mark, mut start, mut running, mut certain) = (signed(), 0, 0, SIGNED);
        for (passed, wall, started) in looks {
            if started {
                start += 1;
                running = 0;
            } else {
                running += passed;
                certain += passed;
            }
            let name = if start == 0 { "a".to_owned() } else { start.to_string() };
            mark = mark.judge(SIGNED + wall, up(&name, running)).0;
            prop_assert!(mark.floor >= certain, "{mark:?}, {certain}");
            prop_assert!(mark.believed() >= mark.floor);
        }
    }

    /// Checks that a clock that is right again is believed, whatever it showed in between, if the machine was not
    /// restarted.
    #[test]
    fn a_clock_that_is_set_right_is_believed(
        looks in prop::collection::vec((0..DAY, -30 * DAY..30 * DAY), 0..20)
    ) {
        let (mut mark, mut running) = (signed(), 0);
        for (passed, wall) in looks {
            running += passed;
            mark = mark.judge(SIGNED + wall, up("a", running)).0;
        }
        mark = mark.judge(SIGNED + running, up("a", running)).0;
        prop_assert!((believed(&mark) - running).abs() <= TOLERANCE);
    }
}

#[test]
fn a_clock_beyond_all_calendars_shows_the_latest_time() {
    let after = |seconds| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    assert_eq!(LATEST.to_string(), "9998-01-01T00:00:00Z");
    assert_eq!(within_calendars(after(1)), Timestamp::from_second(1).unwrap());
    for far in [253_402_300_800, 900_000_000_000] {
        assert_eq!(within_calendars(after(far)), LATEST);
    }
}
