//! The manifest of a COPY.

use serde::Deserialize;

use super::error::RedshiftError;

/// One file of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `s3://bucket/key`.
    pub url: String,
    /// Whether COPY fails when the file is missing.
    pub mandatory: bool,
    /// Bytes that the file has to have.
    pub content_length: u64,
}

#[derive(Deserialize)]
struct Manifest {
    entries: Vec<RawEntry>,
}

#[derive(Deserialize)]
struct RawEntry {
    url: String,
    #[serde(default)]
    mandatory: bool,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    content_length: Option<u64>,
}

/// Reads a manifest; a columnar one has to tell the length of each file.
///
/// # Errors
/// When it is no manifest, or a length is missing.
pub fn parse(json: &[u8]) -> Result<Vec<Entry>, RedshiftError> {
    let manifest: Manifest = serde_json::from_slice(json)
        .map_err(|error| RedshiftError::new("XX000", format!("Problem reading manifest file - {error}")))?;
    let entry = |raw: RawEntry| {
        let meta = raw.meta.ok_or_else(|| RedshiftError::spectrum(15003, "File entry does not have 'meta' key."))?;
        let length = meta.content_length;
        let content_length =
            length.ok_or_else(|| RedshiftError::spectrum(15003, "File entry does not have 'content_length' key."))?;
        Ok(Entry { url: raw.url, mandatory: raw.mandatory, content_length })
    };
    manifest.entries.into_iter().map(entry).collect()
}

/// Bucket and key of an `s3://` URL.
///
/// # Errors
/// When it is none.
pub fn split_url(url: &str) -> Result<(&str, &str), RedshiftError> {
    let parts = url.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
    parts
        .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
        .ok_or_else(|| RedshiftError::new("XX000", format!("The S3 URL '{url}' is not valid")))
}

/// Judges a file that was looked up; `None` for `length` means that it is not there. `Ok(false)`: it may be left out.
///
/// # Errors
/// When the COPY fails for it.
pub fn check(entry: &Entry, length: Option<u64>) -> Result<bool, RedshiftError> {
    match length {
        None if entry.mandatory => Err(RedshiftError::s3("The specified key does not exist.", 404, "NoSuchKey")),
        None => Ok(false),
        Some(length) if length == entry.content_length => Ok(true),
        Some(_) => Err(RedshiftError::spectrum(
            15001,
            format!(
                "HTTP response error code: 416 Message: InvalidRange The requested range is not satisfiable {}",
                entry.url
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_columnar_manifest_needs_lengths() {
        let entries =
            parse(br#"{"entries":[{"url":"s3://a/b","mandatory":true,"meta":{"content_length":7}}]}"#).unwrap();
        assert_eq!(entries, [Entry { url: "s3://a/b".into(), mandatory: true, content_length: 7 }]);
        let without = parse(br#"{"entries":[{"url":"s3://a/b","mandatory":true}]}"#).unwrap_err();
        assert!(without.detail.unwrap().contains("15003"));
        assert!(parse(b"[]").is_err());
    }

    #[test]
    fn missing_and_changed_files_fail_the_copy() {
        let entry = |mandatory| Entry { url: "s3://a/b".into(), mandatory, content_length: 7 };
        assert_eq!(check(&entry(true), Some(7)), Ok(true));
        assert_eq!(check(&entry(false), None), Ok(false));
        assert!(check(&entry(true), None).unwrap_err().message.contains("NoSuchKey"));
        assert!(check(&entry(false), Some(6)).unwrap_err().detail.unwrap().contains("416"));
    }

    #[test]
    fn urls_have_a_bucket_and_a_key() {
        assert_eq!(split_url("s3://lake/a/b.parquet"), Ok(("lake", "a/b.parquet")));
        for bad in ["s3://lake", "s3:///key", "http://lake/key", "s3://lake/"] {
            assert!(split_url(bad).is_err(), "{bad}");
        }
    }
}
