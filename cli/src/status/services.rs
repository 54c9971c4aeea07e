//! The services themselves, by their admin endpoints.

use super::report::{Line, State};
use anyhow::Context;
use reqwest::{Client, StatusCode, Url};
use serde_json::Value;
use std::str::FromStr;
use std::time::Duration;

const SERVICES: &str = "services";
const TIMEOUT: Duration = Duration::from_secs(3);

/// A service and its admin endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    name: String,
    url: Url,
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, url) = text.split_once('=').ok_or("needs the form NAME=URL")?;
        let url: Url = url.parse().map_err(|error| format!("the URL of {name}: {error}"))?;
        if name.is_empty() || !matches!(url.scheme(), "http" | "https") {
            return Err("needs the form NAME=http://host:port".to_owned());
        }
        Ok(Self { name: name.to_owned(), url })
    }
}

/// Asks every service, all at once.
///
/// # Errors
/// When there can be no HTTP client.
pub(crate) async fn look(endpoints: &[Endpoint]) -> anyhow::Result<Vec<Line>> {
    let client = Client::builder().timeout(TIMEOUT).build().context("make an HTTP client")?;
    let asked = endpoints.iter().map(|endpoint| ask(&client, endpoint));
    Ok(futures::future::join_all(asked).await)
}

async fn ask(client: &Client, endpoint: &Endpoint) -> Line {
    let (ready, version) = futures::join!(get(client, endpoint, "ready"), get(client, endpoint, "version"));
    match (ready, version) {
        (Err(error), _) => Line::unreachable(SERVICES, &endpoint.name, &error),
        (Ok((status, body)), version) => line(&endpoint.name, status, &body, version.ok().map(|(_, body)| body)),
    }
}

async fn get(client: &Client, endpoint: &Endpoint, path: &str) -> anyhow::Result<(StatusCode, Value)> {
    let mut url = endpoint.url.clone();
    url.set_path(path);
    // The URL may hold a password, and an error would print it.
    let answer = client.get(url).send().await.map_err(reqwest::Error::without_url).context("ask the admin endpoint")?;
    let status = answer.status();
    Ok((status, answer.json().await.unwrap_or(Value::Null)))
}

fn line(name: &str, status: StatusCode, ready: &Value, version: Option<Value>) -> Line {
    let version = version.as_ref().and_then(|version| version["version"].as_str());
    let version = version.map_or_else(|| "version unknown".to_owned(), |version| format!("version {version}"));
    let line = Line::new(SERVICES, name);
    match (status, ready["ready"].as_bool()) {
        (StatusCode::OK, Some(true)) => line.detail(version),
        (_, Some(_)) => {
            let reason = ready["reason"].as_str().unwrap_or("no reason given");
            line.state(State::NotReady).detail(format!("{reason} ({version})"))
        }
        (status, None) => line.state(State::NotReady).detail(format!("answers {status} and is no service of ours")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn endpoints_have_a_name_and_a_url() {
        let endpoint: Endpoint = "validate=http://127.0.0.1:9102".parse().unwrap();
        assert_eq!((&*endpoint.name, endpoint.url.port()), ("validate", Some(9102)));
        for wrong in ["http://127.0.0.1:9102", "=http://a", "validate=a:1", "validate=ftp://a", "validate=/"] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_service_that_runs_but_does_not_work_says_why() {
        let version = Some(json!({ "name": "validate", "version": "1.2.3" }));
        let good = line("validate", StatusCode::OK, &json!({ "ready": true }), version.clone());
        assert_eq!((good.state, &*good.detail), (State::Ok, "version 1.2.3"));
        let waiting = json!({ "ready": false, "reason": "waits for devices" });
        let bad = line("validate", StatusCode::SERVICE_UNAVAILABLE, &waiting, version);
        assert_eq!((bad.state, &*bad.detail), (State::NotReady, "waits for devices (version 1.2.3)"));
        let stranger = line("validate", StatusCode::NOT_FOUND, &Value::Null, None);
        assert_eq!(stranger.state, State::NotReady);
    }
}
