//! Whose fault an error of Redshift is.
//!
//! Nearly everything of Redshift's own comes as SQLSTATE `XX000`, so the words have to be read. A file is blamed only for
//! what is known to be a file's fault: a role without rights, a full disk or a store that does not answer must never put
//! good files into quarantine. What is not known waits and is tried again, loudly.

/// Longest reason that is kept, in characters.
const REASON: usize = 2000;

/// Who is to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blame {
    /// Another transaction: the whole transaction can be tried again.
    Conflict,
    /// The data; with the reason in one line.
    Data(String),
    /// Somebody else: the cluster, the store, rights, the configuration.
    Other,
}

/// Judges an error by its SQLSTATE, message and detail.
pub fn blame(sqlstate: &str, message: &str, detail: Option<&str>) -> Blame {
    let detail = detail.unwrap_or_default();
    if is_conflict(sqlstate, message, detail) {
        return Blame::Conflict;
    }
    if is_data(sqlstate, message, detail) {
        return Blame::Data(reason(message, detail));
    }
    Blame::Other
}

/// Serializable isolation says 1023 as the whole message, snapshot isolation says it in words.
fn is_conflict(sqlstate: &str, message: &str, detail: &str) -> bool {
    sqlstate.starts_with("40")
        || sqlstate == "55P03"
        || message.trim() == "1023"
        || message.starts_with("could not complete because of conflict with concurrent transaction")
        || detail.trim_start().starts_with("Serializable isolation violation")
}

fn is_data(sqlstate: &str, message: &str, detail: &str) -> bool {
    match message {
        "Spectrum Scan Error" => is_scan_of_data(detail),
        _ if message.starts_with("Load into table") => true,
        _ => sqlstate.starts_with("22") || sqlstate.starts_with("23"),
    }
}

/// 15007: the columns do not fit. 15001: the file cannot be read, or the store refuses; only a range that the file does not
/// have (416) is the file's fault then. Anything else, such as 15003 (the manifest), is ours or the cluster's.
fn is_scan_of_data(detail: &str) -> bool {
    match field(detail, "code:") {
        Some("15007") => true,
        Some("15001") => match number_behind(detail, "HTTP response error code:") {
            Some(status) => status == "416",
            None => !detail.contains("Access Denied") && !detail.contains("AccessDenied"),
        },
        _ => false,
    }
}

/// The word behind a name at the begin of a line, as Redshift lists them in details.
fn field<'a>(detail: &'a str, name: &str) -> Option<&'a str> {
    detail.lines().find_map(|line| line.trim_start().strip_prefix(name)).and_then(|rest| rest.split_whitespace().next())
}

fn number_behind<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(words)?;
    rest.split(|c: char| !c.is_ascii_digit()).find(|number| !number.is_empty())
}

/// Message and detail in one line.
fn reason(message: &str, detail: &str) -> String {
    let words = message.split_whitespace().chain(detail.split_whitespace().filter(|word| !word.starts_with("-----")));
    words.collect::<Vec<_>>().join(" ").chars().take(REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(code: u32, context: &str) -> String {
        let rule = "-".repeat(47);
        format!(
            "\n  {rule}\n  error:  Spectrum Scan Error\n  code:      {code}\n  context:   {context}\n  query:     7\n  {rule}"
        )
    }

    fn of_scan(code: u32, context: &str) -> Blame {
        blame("XX000", "Spectrum Scan Error", Some(&scan(code, context)))
    }

    #[test]
    fn conflicts_are_known_by_their_words() {
        let cycle =
            "Serializable isolation violation on table - 119371, transactions forming the cycle are: 1, 2 (pid:3)";
        assert_eq!(blame("XX000", "1023", Some(cycle)), Blame::Conflict);
        assert_eq!(blame("XX000", "1023", None), Blame::Conflict);
        let snapshot = "could not complete because of conflict with concurrent transaction";
        assert_eq!(blame("XX000", snapshot, None), Blame::Conflict);
        assert_eq!(blame("40001", "could not serialize access", None), Blame::Conflict);
        assert_eq!(blame("40P01", "deadlock detected", None), Blame::Conflict);
    }

    #[test]
    fn a_file_is_blamed_for_what_it_holds() {
        let count =
            "Unmatched number of columns between table and file. Table columns: 20, Data columns: 16, File name: x";
        assert!(matches!(of_scan(15007, count), Blame::Data(reason) if reason.contains("Data columns: 16")));
        assert!(matches!(of_scan(15001, "File 'x' is not a valid Parquet file."), Blame::Data(_)));
        let range = "HTTP response error code: 416 Message: InvalidRange The requested range is not satisfiable";
        assert!(matches!(of_scan(15001, range), Blame::Data(_)));
        let load = "Load into table 'staged' failed.  Check 'sys_load_error_detail' system table for details.";
        assert!(matches!(blame("XX000", load, None), Blame::Data(_)));
        assert!(matches!(blame("22001", "value too long for type character varying(256)", None), Blame::Data(_)));
    }

    #[test]
    fn a_file_is_not_blamed_for_what_is_not_its_fault() {
        let others = [
            ("XX000", "S3ServiceException:Access Denied,Status 403,Error AccessDenied", None),
            ("XX000", "S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey", None),
            ("XX000", "Disk Full", None),
            ("57014", "Query (150) cancelled on user's request", None),
            ("42501", "permission denied for schema raw", None),
            ("53200", "out of memory", None),
            ("XX000", "Not authorized to get credentials of role arn:aws:iam::1:role/x", None),
        ];
        for (state, message, detail) in others {
            assert_eq!(blame(state, message, detail), Blame::Other, "{message}");
        }
        assert_eq!(of_scan(15001, "HTTP response error code: 403 Message: AccessDenied"), Blame::Other);
        assert_eq!(of_scan(15001, "HTTP response error code: 503 Message: SlowDown"), Blame::Other);
        assert_eq!(of_scan(15003, "File entry does not have 'meta' key."), Blame::Other);
    }

    proptest! {
        /// Paths and values that errors quote may hold any number; they must not make a conflict of a bad file.
        #[test]
        fn the_name_of_a_file_does_not_matter(path in "[a-z0-9/=_-]{0,40}") {
            let context = format!("Unmatched number of columns between table and file. File name: s3://lake/1023/{path}");
            prop_assert!(matches!(of_scan(15007, &context), Blame::Data(_)));
        }

        /// Whatever an error says, it is judged, and its reason is one line of bounded length.
        #[test]
        fn every_error_is_judged(state in "[0-9A-Z]{5}", message in "\\PC{0,80}", detail in proptest::option::of("(?s).{0,200}")) {
            if let Blame::Data(reason) = blame(&state, &message, detail.as_deref()) {
                prop_assert!(reason.chars().count() <= REASON && !reason.contains('\n'));
            }
        }
    }
}
