//! The OpenAPI document, made of the table of routes.

use serde_json::{Map, Value, json};

use super::api::{Needs, Route};
use super::routes::ROUTES;

/// The document.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Meterway dashboard",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Quantities are decimal strings and exact. Local days are YYYY-MM-DD in the site's zone. Lists take \
                limit and cursor and answer items and next_cursor. What belongs to somebody else is answered 404, like \
                what does not exist. The forms of all answers: web/src/api/contract.ts.",
        },
        "security": [{"oidc": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"oidc": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": {"Problem": {
                "type": "object",
                "required": ["type", "title", "status", "detail", "instance", "request_id"],
                "properties": {
                    "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
                    "detail": {"type": "string"}, "instance": {"type": "string"}, "request_id": {"type": "string"},
                    "errors": {"type": "array", "items": {"type": "object", "properties": {
                        "field": {"type": "string"}, "detail": {"type": "string"}}}},
                },
            }},
        },
    })
}

fn operation(route: &Route) -> Value {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path =
        in_path.map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    let mut parameters: Vec<Value> = in_path.collect();
    if route.scoped {
        parameters.push(parameter("tenant_id", "The utility; operators must name one, others have their own."));
    }
    parameters.extend(route.query.iter().map(|param| parameter(param.name, param.doc)));
    let problem = json!({"description": "Refused", "content": {"application/problem+json": {
        "schema": {"$ref": "#/components/schemas/Problem"}}}});
    let status = if route.method == "POST" && route.gives == "application/json; created" { "201" } else { "200" };
    let gives = route.gives.split(';').next().unwrap_or_default();
    let mut operation = json!({
        "summary": route.summary,
        "parameters": parameters,
        "responses": {
            status: {"description": "Done", "content": {gives: {}}},
            "default": problem,
        },
    });
    match route.needs {
        Needs::Nothing => operation["security"] = json!([]),
        Needs::SignIn => {}
        Needs::Right(right) => operation["x-right"] = json!(right),
    }
    operation["x-scoped"] = json!(route.scoped);
    if let Some(takes) = route.takes {
        operation["requestBody"] = json!({"required": true, "content": {takes: {}}});
    }
    operation
}

fn parameter(name: &str, doc: &str) -> Value {
    json!({"name": name, "in": "query", "required": false, "description": doc, "schema": {"type": "string"}})
}
