//! A record as its caller sees it, written by hand.

use std::fmt::Display;
use std::io::Write as _;

use strongroom_model::clear_value::{write_json_shown, write_json_text};
use strongroom_vault::records::RecordView;

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
        write_name("assignees", false, out);
        out.push(b'[');
        for (place, user) in self.assignees.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write_json_shown(user, out);
        }
        out.push(b']');
        write_name("fields", false, out);
        out.push(b'{');
        for (place, (name, value)) in self.fields.iter().enumerate() {
            write_name(name.as_str(), place == 0, out);
            value.write_json(out);
        }
        out.push(b'}');
        write_name("masked", false, out);
        out.push(b'{');
        for (place, (name, left)) in self.masked.iter().enumerate() {
            write_name(name.as_str(), place == 0, out);
            write_json_text(left.expose(), out);
        }
        out.extend_from_slice(b"}}");
    }
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
