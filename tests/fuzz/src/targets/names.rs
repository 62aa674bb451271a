//! Names: what is accepted is safe as a path and in an address, and is its own name.

use super::line;
use store::{Digest, Platform, Reference, nearest, normal};

pub(crate) fn reference(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ =
        nearest(&text.chars().take(300).collect::<String>(), &["alpine:latest".into(), "h:5/a/b:c".into()]);
    match Digest::parse(text) {
        Ok(digest) => assert_eq!((digest.to_string().as_str(), digest.hex().len()), (text, 64)),
        Err(e) => drop(line(&e)),
    }
    let Ok(reference) = Reference::parse(text).map_err(|e| line(&e)) else { return };
    let whole = reference.to_string();
    let again = Reference::parse(&whole).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(again.to_string(), whole);
    // A digest alone decides: the tag beside it is not written.
    let tag = if reference.digest.is_some() { None } else { reference.tag.clone() };
    assert_eq!(again, Reference { tag, ..reference.clone() }, "{text}");
    for short in [reference.name(), format!("{}{}", reference.short(), suffix(&reference))] {
        assert_eq!(
            Reference::parse(&short).map(|r| r.to_string()).ok(),
            Some(whole.clone()),
            "{text}: {short}"
        );
    }
    match normal(text) {
        Ok(name) => assert_eq!(normal(&name).unwrap(), name),
        Err(e) => {
            line(&e);
            assert!(reference.digest.is_some(), "{text}: {e}");
        }
    }
    for part in [&reference.registry, &reference.repository] {
        assert!(!part.is_empty() && !part.bytes().any(|b| b.is_ascii_uppercase() || b.is_ascii_control()));
        assert!(part.is_ascii() && !part.contains([' ', '@', '?', '#', '%', '\\', '"', '\'']), "{part}");
        assert!(part.split('/').all(|p| !p.is_empty() && !p.contains("..")), "{part}");
    }
    assert!(!reference.registry.contains('/') && !reference.repository.contains(':'));
    assert!(!reference.target().contains(['/', '?', '#', ' ']) && !reference.target().starts_with('.'));
}

fn suffix(reference: &Reference) -> String {
    let mark = if reference.digest.is_some() { '@' } else { ':' };
    format!("{mark}{}", reference.target())
}

pub(crate) fn platform(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(platform) = Platform::parse(text).map_err(|e| line(&e)) else { return };
    let again = Platform::parse(&platform.text()).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(again, platform, "{text}");
}
