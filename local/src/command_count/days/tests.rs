//! A day's commands, wherever and whenever that day is.

use super::*;

const LIMIT: i64 = 10;

/// A person with a clock and a place.
struct Person {
    days: Days,
    now: Zoned,
}

impl Person {
    fn at(time: &str) -> Self {
        Self { days: Days::default(), now: time.parse().unwrap() }
    }

    /// Uses all commands that there are, and says how many.
    fn use_up(&mut self) -> i64 {
        self.days = std::mem::take(&mut self.days).at(&self.now);
        let left = self.days.allowance(LIMIT, self.now.time_zone()).left();
        self.days.used += left;
        left
    }

    fn next_day(&self) -> Zoned {
        let allowance = self.days.clone().at(&self.now).allowance(LIMIT, self.now.time_zone());
        allowance.next_day_at.to_zoned(self.now.time_zone().clone())
    }

    fn fly(&mut self, zone: &str) -> &mut Self {
        self.now = self.now.in_tz(zone).unwrap();
        self
    }

    /// The clock goes on, or is set.
    fn turn(&mut self, hours: i64) -> &mut Self {
        self.now = self.now.checked_add(SignedDuration::from_hours(hours)).unwrap();
        self
    }
}

#[test]
fn a_day_is_from_midnight_to_midnight() {
    let mut person = Person::at("2026-06-15T09:00[Europe/Berlin]");
    assert_eq!(person.use_up(), LIMIT);
    assert_eq!(person.next_day().to_string(), "2026-06-16T00:00:00+02:00[Europe/Berlin]");
    person.now = "2026-06-15T23:59:59[Europe/Berlin]".parse().unwrap();
    assert_eq!(person.use_up(), 0);
    person.now = "2026-06-16T00:00[Europe/Berlin]".parse().unwrap();
    assert_eq!(person.use_up(), LIMIT);
    // Days without a command leave nothing over.
    assert_eq!(person.turn(24 * 30).use_up(), LIMIT);
}

#[test]
fn days_of_23_and_25_hours_are_days() {
    for (morning, midnight) in [
        ("2026-03-29T00:00[Europe/Berlin]", "2026-03-30T00:00:00+02:00[Europe/Berlin]"),
        ("2026-10-25T00:00[Europe/Berlin]", "2026-10-26T00:00:00+01:00[Europe/Berlin]"),
        // Where summer begins at midnight, that day begins at one.
        ("2018-11-03T12:00[America/Sao_Paulo]", "2018-11-04T01:00:00-02:00[America/Sao_Paulo]"),
    ] {
        let mut person = Person::at(morning);
        assert_eq!(person.use_up(), LIMIT);
        assert_eq!(person.next_day().to_string(), midnight);
        let next = person.next_day();
        person.now = next.checked_sub(SignedDuration::from_secs(1)).unwrap();
        assert_eq!(person.use_up(), 0, "{morning}");
        person.now = next;
        assert_eq!(person.use_up(), LIMIT, "{morning}");
    }
}

#[test]
fn a_journey_is_no_second_day() {
    // East: the new date has begun there, but this day hasn't ended.
    let mut person = Person::at("2026-06-15T20:00[America/New_York]");
    assert_eq!(person.use_up(), LIMIT);
    assert_eq!(person.fly("Europe/London").use_up(), 0);
    assert_eq!(person.next_day().to_string(), "2026-06-16T05:00:00+01:00[Europe/London]");
    assert_eq!(person.turn(4).use_up(), LIMIT);
    // West: the day has ended where it began, but its date goes on.
    assert_eq!(person.turn(19).fly("America/New_York").use_up(), 0, "2026-06-16T19:00, London's midnight");
    assert_eq!(person.next_day().to_string(), "2026-06-17T00:00:00-04:00[America/New_York]");
    assert_eq!(person.turn(5).use_up(), LIMIT);
}

#[test]
fn no_time_zone_gives_more_than_a_days_number_a_day() {
    // A zone for each hour, in the order that meets a new date most often.
    let mut person = Person::at("2026-06-15T00:00[Etc/GMT-14]");
    let mut used = 0;
    for hour in 0..240_i64 {
        for offset in -14..=12 {
            used += person.fly(&format!("Etc/GMT{offset:+}")).use_up();
        }
        assert!(used <= LIMIT * (hour / 24 + 2), "{used} after {hour} hours");
        person.turn(1);
    }
}

#[test]
fn a_clock_set_back_brings_no_day_again() {
    let mut person = Person::at("2026-06-15T12:00[Europe/Berlin]");
    assert_eq!(person.use_up(), LIMIT);
    for back in [2, 24, 24 * 30] {
        assert_eq!(person.turn(-back).use_up(), 0, "{back} hours back");
    }
    // Later than the 15th by more than the 30 days: a day's number a day, and no more.
    let mut used = 0;
    for _ in 0..40 {
        used += person.turn(24).use_up();
    }
    assert_eq!(used, 40 * LIMIT, "nobody is locked out for having had a wrong clock");
}

#[test]
fn days_that_were_begun_ahead_have_been_had() {
    let mut person = Person::at("2026-06-15T12:00[Europe/Berlin]");
    let mut used = person.use_up();
    // Forward three times and back, which gives tomorrow's and the next days' today.
    for days in 1..=3 {
        used += person.turn(24 * days).use_up();
        used += person.turn(-24 * days).use_up();
    }
    assert_eq!(used, 4 * LIMIT);
    for _ in 0..3 {
        assert_eq!(person.turn(24).use_up(), 0, "{}", person.now);
    }
    assert_eq!(person.next_day().to_string(), "2026-06-19T00:00:00+02:00[Europe/Berlin]");
    assert_eq!(person.turn(24).use_up(), LIMIT);
}

#[test]
fn one_command_in_a_wrong_year_costs_a_day_and_not_years() {
    let mut person = Person::at("2031-01-01T12:00[Europe/Berlin]");
    person.days = std::mem::take(&mut person.days).at(&person.now);
    person.days.used += 1;
    person.now = "2026-06-15T12:00[Europe/Berlin]".parse().unwrap();
    assert_eq!(person.use_up(), LIMIT - 1, "what is left of that day serves now");
    assert_eq!(person.next_day().to_string(), "2026-06-16T00:00:00+02:00[Europe/Berlin]");
    assert_eq!(person.turn(12).use_up(), LIMIT);
}

#[test]
fn a_clock_that_is_corrected_changes_nothing() {
    let mut person = Person::at("2026-06-16T00:00:05[Europe/Berlin]");
    assert_eq!(person.use_up(), LIMIT);
    person.now = "2026-06-15T23:59:55[Europe/Berlin]".parse().unwrap();
    assert_eq!(person.use_up(), 0);
    assert_eq!(person.next_day().to_string(), "2026-06-17T00:00:00+02:00[Europe/Berlin]");
}
