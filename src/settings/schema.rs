//! The JSON Schema of the file.

use serde_json::{Map, Value as Json, json};

use super::document::{Chapter, Document};
use super::record::{Default, Entry, Section};

impl Document {
    /// The JSON Schema (2020-12) of the file. What a variable may say instead is not required in it.
    pub(crate) fn schema(&self) -> Json {
        let in_file = self.0.iter().filter(|chapter| chapter.is_in_file());
        let properties: Map<String, Json> =
            in_file.map(|chapter| (chapter.name().to_owned(), of_chapter(chapter))).collect();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "gatepost.toml",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

fn of_chapter(chapter: &Chapter) -> Json {
    let mut variants: Vec<Json> = chapter
        .variants
        .iter()
        .map(|variant| of_section(&variant.section, chapter.by.map(|key| (key, variant.value.as_str()))))
        .collect();
    let table = match variants.len() {
        1 => variants.swap_remove(0),
        _ => json!({ "oneOf": variants }),
    };
    if chapter.is_list() { json!({ "type": "array", "items": table }) } else { table }
}

/// A table; `is` says which value the key that decides must have.
pub(super) fn of_section(section: &Section, is: Option<(&str, &str)>) -> Json {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for entry in &section.entries {
        let Some(key) = entry.key else { continue };
        let decides = is.filter(|(name, _)| *name == key);
        let schema =
            decides.map_or_else(|| of_entry(entry), |(_, value)| json!({ "const": value, "description": entry.doc }));
        properties.insert(key.to_owned(), schema);
        if entry.default == Default::Required && entry.variables.is_empty() {
            required.push(key);
        }
    }
    for inner in &section.inner {
        let name = inner.title.trim_matches(['[', ']']);
        let name = name.rsplit('.').next().unwrap_or(name).to_owned();
        let table = of_section(inner, None);
        let table = if inner.title.starts_with("[[") { json!({ "type": "array", "items": table }) } else { table };
        properties.insert(name, table);
    }
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn of_entry(entry: &Entry) -> Json {
    let mut schema = entry.schema.clone();
    let Some(object) = schema.as_object_mut() else { return schema };
    object.insert("description".to_owned(), json!(entry.doc));
    // The default is written as TOML; what of TOML a default holds is JSON as well.
    if let Default::Value(text) = &entry.default
        && let Ok(value) = serde_json::from_str::<Json>(text)
    {
        object.insert("default".to_owned(), value);
    }
    schema
}
