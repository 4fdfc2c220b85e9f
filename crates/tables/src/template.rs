//! Texts made of columns: `{orderID}-{productID}`.

use crate::Row;

/// A text with columns in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Column(String),
}

impl Template {
    /// The whole cell of one column.
    pub(crate) fn column(name: &str) -> Self {
        Self(vec![Piece::Column(name.to_owned())])
    }

    /// Reads a template; `{{` and `}}` stand for braces.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const UNCLOSED: &str = "a template has a `{` without `}`; write `{{` for a brace";
        const UNOPENED: &str = "a template has a `}` without `{`; write `}}` for a brace";
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars().peekable();
        while let Some(next) = rest.next() {
            match next {
                '{' | '}' if rest.peek() == Some(&next) => literal.extend(rest.next()),
                '}' => return Err(UNOPENED),
                '{' => {
                    let mut name = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some(inner) if inner != '{' => name.push(inner),
                            Some(_) | None => return Err(UNCLOSED),
                        }
                    }
                    if name.is_empty() {
                        return Err("a template has a `{}` that names no column");
                    }
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Column(name));
                }
                other => literal.push(other),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let template = Self(pieces);
        if template.columns().next().is_none() {
            return Err("a template names at least one column");
        }
        Ok(template)
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Column(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// The text where every column has a value, else nothing.
    pub(crate) fn complete(&self, row: &Row, null: &[String]) -> Option<String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Column(name) => text.push_str(&row.text(name, null)?),
            }
        }
        Some(text)
    }

    /// The text with what there is, in single spaces; nothing where no column has a value.
    pub(crate) fn partial(&self, row: &Row, null: &[String]) -> Option<String> {
        let mut text = String::new();
        let mut any = false;
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Column(name) => {
                    if let Some(value) = row.text(name, null) {
                        text.push_str(&value);
                        any = true;
                    }
                }
            }
        }
        any.then(|| text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cell;

    fn row() -> Row {
        let cells = [("a", "1"), ("b", "NULL"), ("c d", " x ")];
        Row::new(cells.map(|(name, cell)| (name.to_owned(), Cell::Text(cell.to_owned()))).into())
    }

    #[test]
    fn columns_stand_where_their_names_stood() {
        let null = ["NULL".to_owned()];
        let complete = |text| Template::parse(text).unwrap().complete(&row(), &null);
        assert_eq!(complete("{a}-{c d}"), Some("1- x ".to_owned()));
        assert_eq!(complete("{{{a}}}"), Some("{1}".to_owned()));
        assert_eq!(complete("{a}-{b}"), None);
        assert_eq!(complete("{nowhere}"), None);
        let partial = |text| Template::parse(text).unwrap().partial(&row(), &null);
        assert_eq!(partial("{a} {b} {c d}"), Some("1 x".to_owned()));
        assert_eq!(partial("{b} {nowhere}"), None);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for bad in ["", "a", "{", "}", "{}", "{a", "a}", "{a{b}}", "{{a}}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
