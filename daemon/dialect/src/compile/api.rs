//! Reads `[api]`: how the API wants the tokens of a grant.
//!
//! Owns the notation that travels as a token's type: `header:NAME`, `header:NAME:TEXT BEFORE`, `cookie:NAME`, `query:NAME`, or the name
//! of a scheme of `Authorization`.

use http::{HeaderName, header};

use crate::{
    document::Node,
    mistake::Mistakes,
    section::{self, Section},
};

/// How tokens are presented, where the dialect says so.
pub(super) fn read(node: &Node, m: &mut Mistakes) -> Option<String> {
    let mut section = Section::open(node, m)?;
    let present = section.read("present", m, present);
    section.finish(m);
    present
}

/// `{ scheme = ".." }`, `{ header = "..", prefix = ".." }`, `{ cookie = ".." }` or `{ query = ".." }`.
fn present(node: &Node, m: &mut Mistakes) -> Option<String> {
    let mut section = Section::open(node, m)?;
    let [scheme, name, cookie, query] =
        ["scheme", "header", "cookie", "query"].map(|key| section.take(key));
    let prefix = section.take("prefix");
    let whole = section.span;
    section.finish(m);
    let (place, value) = match (scheme, name, cookie, query) {
        (Some(node), None, None, None) => ("", token(node, "scheme", m)?),
        (None, Some(node), None, None) => ("header:", own_header(node, m)?),
        (None, None, Some(node), None) => ("cookie:", token(node, "cookie name", m)?),
        (None, None, None, Some(node)) => ("query:", parameter(node, m)?),
        _ => {
            let help = "`scheme` is one of `Authorization`, `header` a header's name, `cookie` a cookie's, `query` a parameter's";
            m.add(
                whole,
                "a token is presented in exactly one of `scheme`, `header`, `cookie` and `query`",
                Some(help.to_owned()),
            );
            return None;
        }
    };
    let Some(before) = prefix else {
        return Some(format!("{place}{value}"));
    };
    let text = section::string(before, m)?;
    if place != "header:" {
        m.add(&before.span, "only a header has a `prefix`", None);
    } else if !text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
        let message = "a header has only printable ASCII characters";
        m.add(&before.span, message, None);
    }
    Some(format!("{place}{value}:{text}"))
}

fn token(node: &Node, what: &str, m: &mut Mistakes) -> Option<String> {
    let text = section::string(node, m)?;
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || !text.bytes().all(letter) {
        m.add(&node.span, format!("`{text}` is not a {what}"), None);
        return None;
    }
    Some(text.to_owned())
}

/// The name as it is written: not every API reads names of headers without case.
fn own_header(node: &Node, m: &mut Mistakes) -> Option<String> {
    let text = token(node, "header name", m)?;
    let name = HeaderName::try_from(text.as_str()).ok()?;
    if name == header::COOKIE {
        m.add(&node.span, "write `cookie` for a cookie", None);
    } else if [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
    ]
    .contains(&name)
    {
        m.add(&node.span, format!("`{text}` is set by HTTP itself"), None);
    }
    Some(text)
}

fn parameter(node: &Node, m: &mut Mistakes) -> Option<String> {
    let text = section::string(node, m)?;
    if text.is_empty()
        || !text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"&=#%+".contains(&b))
    {
        let message = format!("`{text}` is not a name for a parameter");
        m.add(&node.span, message, None);
        return None;
    }
    Some(text.to_owned())
}
