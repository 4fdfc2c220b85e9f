//! Conditions: whether a permission class counts for a request.

use std::net::IpAddr;
use std::sync::LazyLock;

use jiff::tz::TimeZoneDatabase;
use strongroom_model::{Conditions, Purpose, TimeWindow, Timestamp};

/// The time zones that come with the build, so that a decision reads no file.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Which condition of a class is not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It counts at other times.
    Window,
    /// It counts from other networks.
    Address,
    /// It counts for some time after a second factor was shown.
    SecondFactor,
    /// It counts for other purposes.
    Purpose,
}

/// What conditions are compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    pub(crate) now: Timestamp,
    pub(crate) address: Option<IpAddr>,
    pub(crate) second_factor_at: Option<Timestamp>,
    pub(crate) purpose: PurposeNow<'a>,
}

/// What is known of the purpose when conditions are judged.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PurposeNow<'a> {
    /// It is still to be found: conditions on it are left aside.
    Open,
    /// It is this one, or there is none.
    Settled(Option<&'a Purpose>),
}

/// The first condition that is not met.
pub(crate) fn unmet(
    conditions: &Conditions,
    circumstances: &Circumstances<'_>,
) -> Option<Condition> {
    if !address_fits(conditions, circumstances.address) {
        return Some(Condition::Address);
    }
    if let Some(window) = &conditions.window
        && !window_contains(window, circumstances.now)
    {
        return Some(Condition::Window);
    }
    if let Some(seconds_max) = conditions.second_factor_seconds_max
        && !is_fresh(circumstances.second_factor_at, seconds_max, circumstances.now)
    {
        return Some(Condition::SecondFactor);
    }
    match circumstances.purpose {
        PurposeNow::Open => None,
        PurposeNow::Settled(purpose) => {
            let fits = conditions.purposes.is_empty()
                || purpose.is_some_and(|purpose| conditions.purposes.contains(purpose));
            (!fits).then_some(Condition::Purpose)
        }
    }
}

/// Whether the address is one from which the class counts. An unknown address is in no network.
pub(crate) fn address_fits(conditions: &Conditions, address: Option<IpAddr>) -> bool {
    conditions.addresses.is_empty()
        || address.is_some_and(|address| {
            conditions.addresses.iter().any(|network| network.contains(address))
        })
}

/// Whether a moment lies in the window, by the local time of the window's zone. A window whose zone
/// is not known contains nothing.
pub fn window_contains(window: &TimeWindow, moment: Timestamp) -> bool {
    let Ok(zone) = ZONES.get(&window.zone) else { return false };
    let local = moment.to_jiff().to_zoned(zone);
    let weekday = local.weekday().to_monday_one_offset();
    let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
    window.weekdays.iter().any(|day| i32::from(*day) == i32::from(weekday))
        && i32::from(window.from_minute) <= minute
        && minute < i32::from(window.until_minute)
}

/// Whether a second factor was shown at most so many seconds ago; one from the future is none.
fn is_fresh(shown_at: Option<Timestamp>, seconds_max: u32, now: Timestamp) -> bool {
    shown_at.is_some_and(|shown_at| {
        shown_at <= now && now <= shown_at.plus_seconds(i64::from(seconds_max))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(zone: &str, moment: &str) -> bool {
        let window = TimeWindow {
            zone: zone.to_owned(),
            weekdays: vec![1, 2, 3, 4, 5],
            from_minute: 9 * 60,
            until_minute: 17 * 60,
        };
        window_contains(&window, moment.parse().unwrap())
    }

    #[test]
    fn a_window_follows_the_local_time_of_its_zone() {
        for (zone, moment, inside) in [
            ("UTC", "2026-01-30T08:59:59Z", false),
            ("UTC", "2026-01-30T09:00:00Z", true),
            ("UTC", "2026-01-30T16:59:59Z", true),
            ("UTC", "2026-01-30T17:00:00Z", false),
            ("UTC", "2026-01-31T12:00:00Z", false),
            ("Europe/Berlin", "2026-01-30T08:00:00Z", true),
            ("Europe/Berlin", "2026-07-31T07:00:00Z", true),
            ("Europe/Berlin", "2026-01-30T07:00:00Z", false),
            ("Pacific/Auckland", "2026-01-29T21:00:00Z", true),
            ("Pacific/Auckland", "2026-01-30T21:00:00Z", false),
            ("Mars/Olympus", "2026-01-30T12:00:00Z", false),
        ] {
            assert_eq!(check(zone, moment), inside, "{zone} {moment}");
        }
    }

    #[test]
    fn a_second_factor_from_the_future_or_too_long_ago_is_none() {
        let now = Timestamp::from_micros(1_000_000_000);
        for (shown_at, fresh) in
            [(None, false), (Some(0), true), (Some(60), true), (Some(61), false), (Some(-1), false)]
        {
            let shown_at = shown_at.map(|ago: i64| now.plus_seconds(-ago));
            assert_eq!(is_fresh(shown_at, 60, now), fresh, "{shown_at:?}");
        }
    }
}
