//! A record as its caller sees it, written by hand.

use std::fmt::Display;
use std::io::Write as _;

use strongroom_model::clear_value::{write_json_shown, write_json_text};
use strongroom_vault::records::{Exported, RecordView};

use super::{WriteJson, write_name};

impl WriteJson for RecordView {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        write_text("id", &self.id, true, out);
        write_text("collection", &self.collection, false, out);
        write_optional("subject", self.subject.as_ref(), out);
        write_optional("external_id", self.external_id.as_ref(), out);
        write_name("version", false, out);
        // Writing to memory does not fail.
        let _ = write!(out, "{}", self.version);
        write_text("created_at", &self.created_at, false, out);
        write_text("changed_at", &self.changed_at, false, out);
        write_seen(self, out);
        out.push(b'}');
    }
}

impl WriteJson for Exported {
    fn write_json(&self, out: &mut Vec<u8>) {
        let view = &self.view;
        out.push(b'{');
        write_text("id", &view.id, true, out);
        write_text("collection", &view.collection, false, out);
        write_optional("external_id", view.external_id.as_ref(), out);
        write_optional("subject", view.subject.as_ref(), out);
        write_optional("subject_external_id", self.subject_external_id.as_ref(), out);
        write_optional("source", self.source.as_ref(), out);
        write_text("collected_at", &self.collected_at, false, out);
        write_name("notice", false, out);
        match self.notice {
            // Writing to memory does not fail.
            Some(version) => drop(write!(out, "{version}")),
            None => out.extend_from_slice(b"null"),
        }
        write_texts("purposes", &self.purposes, out);
        write_name("version", false, out);
        let _ = write!(out, "{}", view.version);
        write_text("created_at", &view.created_at, false, out);
        write_text("changed_at", &view.changed_at, false, out);
        write_seen(view, out);
        out.push(b'}');
    }
}

/// Appends to whom a record is assigned and what its caller sees of it.
fn write_seen(record: &RecordView, out: &mut Vec<u8>) {
    write_texts("assignees", &record.assignees, out);
    write_name("fields", false, out);
    out.push(b'{');
    for (place, (name, value)) in record.fields.iter().enumerate() {
        write_name(name.as_str(), place == 0, out);
        value.write_json(out);
    }
    out.push(b'}');
    write_name("masked", false, out);
    out.push(b'{');
    for (place, (name, left)) in record.masked.iter().enumerate() {
        write_name(name.as_str(), place == 0, out);
        write_json_text(left.expose(), out);
    }
    out.push(b'}');
}

fn write_texts(name: &str, values: &[impl Display], out: &mut Vec<u8>) {
    write_name(name, false, out);
    out.push(b'[');
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_json_shown(value, out);
    }
    out.push(b']');
}

fn write_text(name: &str, value: &impl Display, first: bool, out: &mut Vec<u8>) {
    write_name(name, first, out);
    write_json_shown(value, out);
}

fn write_optional(name: &str, value: Option<&impl Display>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        write_text(name, value, false, out);
    } else {
        write_name(name, false, out);
        out.extend_from_slice(b"null");
    }
}
