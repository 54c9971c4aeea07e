//! The web page: its files are read once at the start and served from memory, so no path can lead out of the folder.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::api::Api;
use super::problem::Problem;

/// The files of the page, by path.
#[derive(Debug, Default)]
pub struct Assets {
    files: HashMap<String, Asset>,
    policy: Option<HeaderValue>,
}

#[derive(Debug)]
struct Asset {
    bytes: Bytes,
    content_type: &'static str,
    tag: HeaderValue,
}

const INDEX: &str = "/index.html";

impl Assets {
    /// Reads a folder; no folder makes a service without a page.
    ///
    /// # Errors
    /// When it cannot be read or holds no page.
    pub fn read(folder: &Path, issuer: &str) -> anyhow::Result<Self> {
        if folder.as_os_str().is_empty() {
            return Ok(Self::default());
        }
        let mut files = HashMap::new();
        collect(folder, "", &mut files).with_context(|| format!("read web.assets {}", folder.display()))?;
        anyhow::ensure!(
            files.contains_key(INDEX),
            "web.assets {} holds no index.html: build the page first",
            folder.display()
        );
        let issuer: Uri = issuer.parse().context("parse oidc.issuer")?;
        let origin = format!(
            "{}://{}",
            issuer.scheme_str().unwrap_or("https"),
            issuer.authority().context("oidc.issuer names no host")?
        );
        let policy = format!(
            "default-src 'self'; connect-src 'self' {origin}; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
        );
        Ok(Self { files, policy: Some(HeaderValue::from_str(&policy).context("make the content security policy")?) })
    }
}

fn collect(folder: &Path, at: &str, files: &mut HashMap<String, Asset>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{at}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &path, files)?;
            continue;
        }
        let bytes = Bytes::from(std::fs::read(entry.path())?);
        let tag = HeaderValue::from_str(&format!("\"{}\"", hex::encode(&Sha256::digest(&bytes)[..16])))?;
        files.insert(path.clone(), Asset { bytes, content_type: content_type(&path), tag });
    }
    Ok(())
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// A file of the page, or the page itself for the addresses of its views.
pub fn serve(api: &Api, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let path = uri.path();
    if path.starts_with("/v1/") || path == "/v1" || api.assets.files.is_empty() {
        return Problem::not_found().answer(path, "");
    }
    if method != Method::GET && method != Method::HEAD {
        return Problem::method_not_allowed().answer(path, "");
    }
    let is_view = !path.rsplit('/').next().unwrap_or_default().contains('.');
    let Some(asset) = api.assets.files.get(if is_view { INDEX } else { path }) else {
        return Problem::not_found().answer(path, "");
    };
    let known = headers.get(header::IF_NONE_MATCH) == Some(&asset.tag);
    let mut response = Response::new(if known { Body::empty() } else { Body::from(asset.bytes.clone()) });
    if known {
        *response.status_mut() = axum::http::StatusCode::NOT_MODIFIED;
    }
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    out.insert(header::ETAG, asset.tag.clone());
    // The names of files below /assets carry a hash of what is in them.
    let cache = if path.starts_with("/assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    out.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if let Some(policy) = &api.assets.policy {
        out.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    }
    response
}
