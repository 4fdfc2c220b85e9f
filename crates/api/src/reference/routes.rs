//! The page of all routes and shapes, made from the OpenAPI document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::{MADE, cell, kept};
use crate::openapi::document;
use crate::permissions::{TABLE, gate_word};

/// The name of a schema that is a page of a list.
const PAGE_OF: &str = "ListOf_";

fn page() -> String {
    let document = document();
    let mut page = format!(
        "# The API\n\n{MADE}\n\
         Every route with what it takes and answers, and after them [every shape](#shapes). What holds for all of them (credentials, headers, lists, versions,\n\
         bounds, problems) is in [the API's manners](../api.md). The same in a form for programs is the OpenAPI 3.1 document that the server serves at\n\
         `/openapi.json`. A shape's members that are not marked *required* may be absent; a request's members that a shape does not have are refused.\n\n\
         Every route but the public ones also takes the headers `Strongroom-Purpose` and `Strongroom-Reason`. Every answer has `Strongroom-Request`, and\n\
         those that the audit log knows have `Strongroom-Audit`. Whatever goes wrong is answered with a [problem](#problem), whose codes are on the page of\n\
         [errors](errors.md).\n"
    );
    for tag in document["tags"].as_array().unwrap() {
        let name = tag["name"].as_str().unwrap();
        writeln!(page, "\n## Routes: {name}\n\n{}", text(tag, "description")).unwrap();
        for (method, path, gate) in TABLE {
            let operation = &document["paths"][path][method.to_ascii_lowercase()];
            if operation["tags"][0] == name {
                let demands = match gate_word(*gate) {
                    "public" => "no credential".to_owned(),
                    "signed_in" => "any credential in force".to_owned(),
                    action => format!("the action `{action}`"),
                };
                page += &operation_section(&document, method, path, operation, &demands);
            }
        }
    }
    page += "\n## Shapes\n";
    let schemas: BTreeMap<&String, &Value> =
        document["components"]["schemas"].as_object().unwrap().iter().collect();
    for (name, schema) in schemas.into_iter().filter(|(name, _)| !name.starts_with(PAGE_OF)) {
        writeln!(page, "\n### {name}\n\n{}", shape(schema)).unwrap();
    }
    page
}

fn operation_section(
    document: &Value,
    method: &str,
    path: &str,
    operation: &Value,
    demands: &str,
) -> String {
    let place = if path.starts_with("/v1/provider/") { " (provider)" } else { "" };
    let mut section = format!(
        "\n### {}{place}\n\n`{method} {path}` needs {demands}.",
        text(operation, "summary")
    );
    if operation.get("description").is_some() {
        write!(section, " {}", text(operation, "description")).unwrap();
    }
    section += "\n";
    let parameters: Vec<String> = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|parameter| parameter.get("$ref").is_none())
        .map(|parameter| {
            let required = if parameter["required"] == true { "required" } else { "" };
            format!(
                "| `{}` | {} | {} | {required} | {} |\n",
                text(parameter, "name"),
                text(parameter, "in"),
                kind(&parameter["schema"]),
                text(parameter, "description"),
            )
        })
        .collect();
    if !parameters.is_empty() {
        section += "\n| parameter | in | type | | what it is |\n|---|---|---|---|---|\n";
        section.extend(parameters);
    }
    if let Some(body) = operation.pointer("/requestBody/content/application~1json/schema") {
        writeln!(section, "\nBody: {}.", kind(body)).unwrap();
    }
    section += "\n";
    let responses: BTreeMap<&String, &Value> =
        operation["responses"].as_object().unwrap().iter().collect();
    let mut problems = Vec::new();
    for (status, response) in responses {
        if response.get("$ref").is_some() {
            problems.push(status.as_str());
            continue;
        }
        let schema = response.pointer("/content/application~1json/schema");
        let what = schema.map(|schema| format!(" Body: {}.", kind(schema))).unwrap_or_default();
        let headers = headers(document, response);
        writeln!(section, "- **{status}** {}{what}{headers}", text(response, "description"))
            .unwrap();
    }
    if !problems.is_empty() {
        let statuses = problems.join(", ");
        writeln!(section, "- {statuses}: not carried out. Body: [Problem](#problem).").unwrap();
    }
    section
}

/// The headers that not every answer has.
fn headers(document: &Value, response: &Value) -> String {
    let Some(headers) = response["headers"].as_object() else { return String::new() };
    let names: BTreeMap<&String, &Value> = headers.iter().collect();
    let own: Vec<String> = names
        .into_iter()
        .filter(|(name, _)| !name.starts_with("Strongroom-"))
        .map(|(name, header)| {
            let place = header["$ref"].as_str().unwrap_or("#").trim_start_matches('#');
            let about = document.pointer(place).map(|it| text(it, "description"));
            format!("`{name}`: {}", about.unwrap_or_default().trim_end_matches('.'))
        })
        .collect();
    if own.is_empty() { String::new() } else { format!(" Headers: {}.", own.join("; ")) }
}

/// A schema as a paragraph and a table.
fn shape(schema: &Value) -> String {
    let mut shape = text(schema, "description");
    if let Some(variants) = variants(schema) {
        shape += "\n\nOne of:\n\n";
        for variant in variants {
            writeln!(shape, "- {}", variant_words(variant)).unwrap();
        }
        return shape.trim_end().to_owned();
    }
    if let Some(members) = schema["properties"].as_object() {
        if !shape.is_empty() {
            shape += "\n\n";
        }
        shape += "| member | type | | what it is |\n|---|---|---|---|\n";
        shape += &rows(members, &schema["required"]);
        return shape.trim_end().to_owned();
    }
    if !shape.is_empty() {
        shape += " ";
    }
    format!("{shape}Type: {}.", kind(schema))
}

fn rows(members: &serde_json::Map<String, Value>, required: &Value) -> String {
    let members: BTreeMap<&String, &Value> = members.iter().collect();
    let is_required = |name: &str| required.as_array().is_some_and(|it| it.contains(&name.into()));
    let row = |(name, member): (&String, &Value)| {
        let required = if is_required(name) { "required" } else { "" };
        format!("| `{name}` | {} | {required} | {} |\n", kind(member), about(member))
    };
    members.into_iter().map(row).collect()
}

fn variants(schema: &Value) -> Option<&Vec<Value>> {
    schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array())
}

/// One of several forms that a value may have.
fn variant_words(variant: &Value) -> String {
    let about = text(variant, "description");
    let form = match (variant["properties"].as_object(), variant["enum"].as_array()) {
        (Some(members), _) => {
            let members: BTreeMap<&String, &Value> = members.iter().collect();
            let members = members.into_iter().map(|(name, it)| format!("`{name}`: {}", kind(it)));
            format!("an object of {}", members.collect::<Vec<_>>().join(", "))
        }
        (None, Some(words)) => listed(words),
        (None, None) => kind(variant),
    };
    if about.is_empty() { form } else { format!("{form}. {about}") }
}

fn listed(words: &[Value]) -> String {
    words
        .iter()
        .map(|word| format!("`{}`", word.as_str().unwrap_or("null")))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A member's words, which may stand in the one of its forms that is not `null`.
fn about(member: &Value) -> String {
    let own = text(member, "description");
    let inner = variants(member).into_iter().flatten().map(|it| text(it, "description"));
    if own.is_empty() {
        inner.filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ")
    } else {
        own
    }
}

/// A schema's type in few words, with a link where it is a shape of its own.
fn kind(schema: &Value) -> String {
    if let Some(place) = schema["$ref"].as_str() {
        let name = place.rsplit('/').next().unwrap_or_default();
        return match name.strip_prefix(PAGE_OF) {
            Some(inner) => format!("a page of [{inner}](#{})", inner.to_ascii_lowercase()),
            None => format!("[{name}](#{})", name.to_ascii_lowercase()),
        };
    }
    if let Some(variants) = variants(schema) {
        return variants.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = schema["enum"].as_array() {
        return listed(words);
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => format!("list of {}", kind(&schema["items"])),
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        _ => "any JSON".to_owned(),
    }
}

fn text(of: &Value, member: &str) -> String {
    of[member].as_str().map(cell).unwrap_or_default()
}

#[test]
fn the_page_of_routes_is_the_one_that_the_code_gives() {
    kept("api.md", &page());
}

#[test]
fn every_route_and_every_shape_is_on_the_page() {
    let page = page();
    for (method, path, _) in TABLE {
        assert!(page.contains(&format!("`{method} {path}` needs ")), "{method} {path}");
    }
    let mut headings = std::collections::BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with('#')) {
        let heading = line.trim_start_matches(['#', ' ']).to_ascii_lowercase();
        assert!(headings.insert(heading), "two sections are called `{line}`");
    }
    for target in page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(headings.contains(target), "no section `{target}`");
    }
}
