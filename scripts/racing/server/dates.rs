//! Instants as listings and headers write them, from seconds since the epoch, UTC.

use std::time::{SystemTime, UNIX_EPOCH};

struct Civil {
    year: i64,
    month: i64,
    day: i64,
    weekday: usize,
    second_of_day: i64,
}

/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
fn civil(seconds: i64) -> Civil {
    let days = seconds.div_euclid(86_400);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = (month_from_march + 2) % 12 + 1;
    Civil {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
        weekday: (days + 4).rem_euclid(7) as usize,
        second_of_day: seconds.rem_euclid(86_400),
    }
}

fn clock(second_of_day: i64) -> String {
    let (hour, minute) = (second_of_day / 3_600, second_of_day % 3_600 / 60);
    format!("{hour:02}:{minute:02}:{:02}", second_of_day % 60)
}

/// `2025-01-02T03:04:05.000Z`
pub fn iso(seconds: i64) -> String {
    let date = civil(seconds);
    let time = clock(date.second_of_day);
    format!(
        "{:04}-{:02}-{:02}T{time}.000Z",
        date.year, date.month, date.day
    )
}

/// `Thu, 02 Jan 2025 03:04:05 GMT`
pub fn http(seconds: i64) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let date = civil(seconds);
    let (weekday, month) = (DAYS[date.weekday], MONTHS[date.month as usize - 1]);
    let time = clock(date.second_of_day);
    format!(
        "{weekday}, {:02} {month} {:04} {time} GMT",
        date.day, date.year
    )
}

pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |elapsed| elapsed.as_secs() as i64)
}
