//! `WWW-Authenticate` (RFC 9110, section 11.6.1): what a registry asks for.

/// What a 401 asks for; the bearer's where several are offered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Challenge {
    /// User and password.
    Basic,
    /// A token from somewhere else.
    Bearer {
        /// Where.
        realm: String,
        /// For whom.
        service: Option<String>,
        /// For what: several, with a blank between.
        scope: Option<String>,
    },
}

/// Of all the headers of that name.
pub(crate) fn parse<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = None;
    for (scheme, params) in headers.flat_map(challenges) {
        let get = |key: &str| params.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
        if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = get("realm")
        {
            return Some(Challenge::Bearer { realm, service: get("service"), scope: get("scope") });
        }
        if scheme.eq_ignore_ascii_case("basic") {
            basic = Some(Challenge::Basic);
        }
    }
    basic
}

type Params = Vec<(String, String)>;

/// Scheme and parameters of each challenge in one header.
fn challenges(text: &str) -> Vec<(String, Params)> {
    let mut found: Vec<(String, Params)> = Vec::new();
    for piece in pieces(text) {
        // `Bearer realm="x"` begins a challenge, `service="y"` goes on with it.
        let (word, rest) = piece.split_once([' ', '\t']).map_or((piece.as_str(), ""), |(w, r)| (w, r.trim()));
        let param = if word.contains('=') { piece.as_str() } else { rest };
        if !word.contains('=') && !rest.starts_with('=') {
            found.push((word.to_owned(), Vec::new()));
        }
        if let (Some((key, value)), Some((_, params))) = (param.split_once('='), found.last_mut()) {
            params.push((key.trim().to_ascii_lowercase(), unquoted(value.trim())));
        }
    }
    found
}

/// What stands between commas that are not quoted.
fn pieces(text: &str) -> Vec<String> {
    let mut list = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if c == ',' && !quoted {
            list.push(String::new());
            continue;
        }
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        if let Some(last) = list.last_mut() {
            last.push(c);
        }
    }
    list.into_iter().map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect()
}

fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.into(),
                service: service.map(String::from),
                scope: scope.map(String::from),
            })
        };
        for (text, is) in [
            (
                r#"Bearer realm="https://a/t",service="r",scope="repository:x/y:pull,push""#,
                bearer("https://a/t", Some("r"), Some("repository:x/y:pull,push")),
            ),
            (r#"bearer realm = "https://a/t" , SERVICE=r"#, bearer("https://a/t", Some("r"), None)),
            (r#"Bearer realm="a\"b\\c,d",error="x""#, bearer(r#"a"b\c,d"#, None, None)),
            (r#"Basic realm="x, y", Bearer realm="z""#, bearer("z", None, None)),
            (r#"Negotiate, Basic realm="x""#, Some(Challenge::Basic)),
            ("Basic", Some(Challenge::Basic)),
            ("Bearer", None),
            ("Digest realm=\"x\"", None),
            ("", None),
            (",,=,\"", None),
        ] {
            assert_eq!(parse([text].into_iter()), is, "{text}");
        }
        assert_eq!(parse(["Basic", "Bearer realm=a"].into_iter()), bearer("a", None, None));
    }
}
