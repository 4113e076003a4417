//! Reads from the log of a daemon why it did not start.

/// The first mistake that a daemon reported when it did not start, with its place and how many follow; else the
/// reason with which it ended.
pub(super) fn start_error(log: &str) -> Option<String> {
    let lines: Vec<&str> = log.lines().map(str::trim).collect();
    let sentence = |line: &&&str| line.starts_with("x ");
    let first = lines.iter().position(|line| line.starts_with("x "));
    let Some(first) = first else {
        let words = lines.iter().rev();
        let mut words = words.filter_map(|line| Some(line.split_once("tokend ended: ")?.1));
        return words.next().map(str::to_owned);
    };
    let problem = lines.get(first)?.trim_start_matches("x ");
    let after = lines.get(first..).unwrap_or_default();
    let place = after.iter().find_map(|line| line.strip_prefix(",-["));
    let place = place.map_or_else(String::new, |place| {
        format!(" ({})", place.trim_end_matches(']'))
    });
    let more = match after.iter().filter(sentence).count().saturating_sub(1) {
        0 => String::new(),
        1 => ", and 1 more mistake".to_owned(),
        more => format!(", and {more} more mistakes"),
    };
    Some(format!("{problem}{place}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kept_a_daemon_from_starting_is_found_in_its_log() {
        let report = "\
  x unknown key `providr`
   ,-[/etc/tokend/tokend.toml:2:1]
 2 | providr = ***
   : ^^^^^^^
   `----
  help: did you mean `provider`?

  x `base_url` is missing
   ,-[/etc/tokend/tokend.toml:1:10]
";
        let expected = "unknown key `providr` (/etc/tokend/tokend.toml:2:1), and 1 more mistake";
        assert_eq!(start_error(report).as_deref(), Some(expected));
        let log =
            "ready\ntokend ended: /run/tokend/tokend.sock: somebody listens there already\nbye\n";
        let expected = "/run/tokend/tokend.sock: somebody listens there already";
        assert_eq!(start_error(log).as_deref(), Some(expected));
        assert_eq!(start_error("ready\n"), None);
    }
}
