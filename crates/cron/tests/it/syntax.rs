//! What is no specification, and where it says so.

use cron::{MAX_BYTES, MAX_LINES, Schedule};

/// A specification is refused at a place, with words of the reason.
fn refused(specification: &str, line: usize, column: usize, words: &str) {
    let error = Schedule::parse(specification, "team/app").expect_err(specification);
    assert_eq!((error.line, error.column), (line, column), "{specification:?}: {error}");
    assert!(error.message.contains(words), "{specification:?}: {error}");
}

fn accepted(specification: &str) {
    if let Err(error) = Schedule::parse(specification, "team/app") {
        panic!("{specification:?}: {error}");
    }
}

#[test]
fn what_jenkins_accepts() {
    for specification in [
        "",
        "\n\n",
        "# only a comment",
        "* * * * *",
        "  *\t*  * * *  ",
        "0 0 * 1-10/3 *",
        "H(0-59) H(0-23) H(1-31) H(1-12) H(0-7)",
        "H/60 H/24 H/28 H/12 H/7",
        "H,H(3-4),5,6-9/2,*/30 * * * *",
        "*/100000 * * * *",
        "TZ=Europe/London",
        "  TZ=Europe/London  \n# morning\nH 8 * * *\n\n  # evening\nH(0-30) 17 * * *\n",
        "\r\n@daily\r\n @hourly \r\n",
    ] {
        accepted(specification);
    }
}

#[test]
fn fields() {
    refused("60 * * * *", 1, 1, "60 is no minute; 0 to 59 are");
    refused("* 24 * * *", 1, 3, "0 to 23");
    refused("* * 0 * *", 1, 5, "0 is no day of the month; 1 to 31 are");
    refused("* * 32 * *", 1, 5, "1 to 31");
    refused("* * * 13 *", 1, 7, "1 to 12");
    refused("* * * 0 *", 1, 7, "1 to 12");
    refused("* * * * 8", 1, 9, "0 to 7");
    refused("* * * *", 1, 8, "a blank and the day of the week, found the end of the line");
    refused("* * * * * *", 1, 11, "end of the line after five fields, found `*`");
    refused("* * * * * # nightly", 1, 11, "a comment needs a line of its own");
    refused("99999999999 * * * *", 1, 1, "too large");
    refused("300 * * * *", 1, 1, "300 is no minute");
    refused("-1 * * * *", 1, 1, "a number, `*` or `H` for the minute, found `-`");
    refused("h * * * *", 1, 1, "found `h`");
    refused("? * * * *", 1, 1, "found `?`");
    refused("* * * * 5L", 1, 10, "`,` or the end of the line, found `L`");
    refused("5x * * * *", 1, 2, "a blank and the hour, found `x`");
}

/// Jenkins does not know names, either.
#[test]
fn names_of_months_and_days() {
    refused("0 0 * JAN *", 1, 7, "January is 1");
    refused("0 0 * * MON-FRI", 1, 9, "Sunday is 0, Monday is 1");
    refused("0 0 * * 1-Fri", 1, 11, "Sunday is 0");
}

#[test]
fn lists_ranges_and_steps() {
    refused("1, 2 * * * *", 1, 3, "found ` `");
    refused("1,,2 * * * *", 1, 3, "found `,`");
    refused("5-1 * * * *", 1, 3, "is `1-5` meant?");
    refused("1- * * * *", 1, 3, "found ` `");
    refused("*-5 * * * *", 1, 2, "found `-`");
    refused("*/0 * * * *", 1, 3, "a step of 0; 1 or more is possible here");
    refused("*/ * * * *", 1, 3, "how many steps");
    refused("5/10 * * * *", 1, 2, "a step needs a range, as in `5-59/2`");
    refused("*/5/5 * * * *", 1, 4, "found `/`");
}

#[test]
fn hashes() {
    refused("H(0-60) * * * *", 1, 5, "60 is no minute");
    refused("H H(12-24) * * *", 1, 8, "24 is no hour");
    refused("H(5-1) * * * *", 1, 5, "is `1-5` meant?");
    refused("H(5) * * * *", 1, 4, "`-` and the end of the range, found `)`");
    refused("H(5-6 * * * *", 1, 6, "`)`");
    refused("H() * * * *", 1, 3, "found `)`");
    refused("H(0-3)/15 * * * *", 1, 8, "a step of 15; 1 to 4 is possible here");
    refused("* * H/29 * *", 1, 7, "1 to 28");
    refused("H/0 * * * *", 1, 3, "1 to 60");
    refused("H-5 * * * *", 1, 2, "found `-`");
}

#[test]
fn lines() {
    refused("# first\n\n   0 0 * * x", 3, 12, "found `x`");
    refused("@reboot", 1, 1, "@midnight");
    refused("H * * * *\n@daily 5", 2, 1, "nothing after it");
    refused("@Daily", 1, 1, "@daily");
    refused("ä * * * *", 1, 1, "found `ä`");
    refused("0 0 * * *\u{a0}", 1, 10, "found `\\u{a0}`");
}

#[test]
fn time_zones() {
    refused("TZ=Europe/Lodnon\n@daily", 1, 4, "no time zone is called `Europe/Lodnon`");
    refused(" TZ=\n@daily", 1, 5, "no time zone is called ``");
    refused("\nTZ=Europe/London\n@daily", 2, 1, "first line only");
    refused("@daily\nTZ=Europe/London", 2, 1, "first line only");
    refused(&format!("TZ={}", "x".repeat(1000)), 1, 4, "no time zone");
    refused("TZ=../../etc/passwd", 1, 4, "no time zone");
}

#[test]
fn sizes() {
    accepted(&"@daily\n".repeat(MAX_LINES));
    refused(&"\n".repeat(MAX_LINES + 1), MAX_LINES + 1, 1, "more than 100 lines");
    accepted(&format!("#{}", "x".repeat(MAX_BYTES - 1)));
    refused(&format!("#{}", "x".repeat(MAX_BYTES)), 1, 1, "65537 bytes");
    accepted(&format!("H{} * * * *", ",H".repeat(30_000)));
    refused(&"1".repeat(MAX_BYTES), 1, 1, "too large");
}
