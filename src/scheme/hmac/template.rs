//! Splits a template such as `{timestamp}.{body}` into text and placeholders, for formats and signed contents.
//! What a placeholder means is its user's matter.

/// One piece of a template, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Piece<'a> {
    /// Stands for itself.
    Text(&'a str),
    /// `{name}`, without the braces.
    Placeholder(&'a str),
}

/// The pieces of `template`.
///
/// # Errors
/// What is wrong, for the operator: a brace without its partner.
pub(super) fn pieces(template: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| unbalanced(template))?;
        if text.contains('}') || name.contains('{') {
            return Err(unbalanced(template));
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        pieces.push(Piece::Placeholder(name));
        rest = after;
    }
    if rest.contains('}') {
        return Err(unbalanced(template));
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

fn unbalanced(template: &str) -> String {
    format!("`{template}` has a brace without its partner")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_placeholders_come_in_order() {
        let expected = vec![Piece::Text("v1="), Piece::Placeholder("hex"), Piece::Text(".")];
        assert_eq!(pieces("v1={hex}."), Ok(expected));
        assert_eq!(pieces(""), Ok(vec![]));
    }

    #[test]
    fn braces_pair_up() {
        for wrong in ["{hex", "hex}", "{{hex}}", "a}{hex}", "{hex}}", "{"] {
            assert!(pieces(wrong).is_err(), "{wrong}");
        }
    }
}
