//! The headers that come with a file.

use http::HeaderMap;
use http::HeaderValue;
use http::header;

use super::headers::answer_headers;
use super::headers::single;
use super::media::is_token;

/// The longest `Content-Type` of a file.
const MAX_TYPE: usize = 128;
/// The longest `Content-Disposition`.
const MAX_DISPOSITION: usize = 1024;

/// The headers of a store's answer that reach the client with a file, which is shown whole: its
/// name is part of it. A type or a name that could be read in two ways is replaced by one that
/// says nothing.
pub fn file_headers(store: &HeaderMap) -> HeaderMap {
    let mut headers = answer_headers(store, true);
    let media = single(store, &header::CONTENT_TYPE).filter(|value| is_media_type(value));
    let media = media.cloned().unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, media);
    if store.contains_key(header::CONTENT_DISPOSITION) {
        let named = single(store, &header::CONTENT_DISPOSITION).filter(|value| is_name(value));
        let named = named.cloned().unwrap_or(HeaderValue::from_static("attachment"));
        headers.insert(header::CONTENT_DISPOSITION, named);
    }
    headers
}

/// The type of a file that a client sends; nothing when it is not well-formed, or said twice. Who
/// says nothing sends bytes.
pub fn upload_type(client: &HeaderMap) -> Option<HeaderValue> {
    if !client.contains_key(header::CONTENT_TYPE) {
        return Some(HeaderValue::from_static("application/octet-stream"));
    }
    single(client, &header::CONTENT_TYPE).filter(|value| is_media_type(value)).cloned()
}

/// `type/subtype` with well-formed parameters.
fn is_media_type(value: &HeaderValue) -> bool {
    let Some(text) = value.to_str().ok().filter(|text| text.len() <= MAX_TYPE) else {
        return false;
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let is_type = |(kind, subtype): (&str, &str)| is_token(kind) && is_token(subtype);
    essence.trim().split_once('/').is_some_and(is_type) && all_parameters(parameters, |_, _| true)
}

/// `attachment` or `inline`, with a file name or without.
fn is_name(value: &HeaderValue) -> bool {
    let Some(text) = value.to_str().ok().filter(|text| text.len() <= MAX_DISPOSITION) else {
        return false;
    };
    let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
    let known = ["attachment", "inline"].iter().any(|word| kind.trim().eq_ignore_ascii_case(word));
    known
        && all_parameters(parameters, |name, value| {
            if name.eq_ignore_ascii_case("filename*") {
                return value.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("utf-8''"));
            }
            name.eq_ignore_ascii_case("filename")
        })
}

/// Whether `text` is a list of parameters, none twice, each of which is `allowed`.
fn all_parameters(mut text: &str, allowed: impl Fn(&str, &str) -> bool) -> bool {
    let mut seen: Vec<&str> = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return true;
        }
        let Some((name, rest)) = text.split_once('=') else { return false };
        let Some(length) = value_length(rest) else { return false };
        let (value, rest) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let is_new = !seen.iter().any(|known| known.eq_ignore_ascii_case(name));
        if !is_token(name) || !is_new || !allowed(name, value) {
            return false;
        }
        seen.push(name);
        text = match rest.trim_start().strip_prefix(';') {
            Some(more) => more,
            None if rest.trim().is_empty() => return true,
            None => return false,
        };
    }
}

/// The length of the token or quoted string that `text` starts with.
fn value_length(text: &str) -> Option<usize> {
    let Some(inside) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        return text.get(..end).filter(|token| is_token(token)).map(str::len);
    };
    let mut bytes = inside.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 2),
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(name: http::HeaderName, value: &str) -> Option<String> {
        let mut store = HeaderMap::new();
        store.insert(&name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        file_headers(&store).get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_type_passes_when_it_is_well_formed() {
        let cases = [
            ("image/png", true),
            ("text/html; charset=iso-8859-1", true),
            ("multipart/mixed; boundary=\"a b;c\"; x=y", true),
            ("image", false),
            ("image/png; charset", false),
            ("image/png, text/html", false),
            ("image/png; a=1; a=2", false),
            ("image/p\u{e4}ng", false),
            ("a/b;c=\"open", false),
        ];
        for (value, passes) in cases {
            let expected = if passes { value } else { "application/octet-stream" };
            assert_eq!(passed(header::CONTENT_TYPE, value).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn a_name_passes_when_it_is_well_formed() {
        let cases = [
            ("attachment", true),
            ("inline; filename=\"Ana Ruiz; 1.png\"", true),
            ("Attachment; filename=a.png; filename*=UTF-8''%e4.png", true),
            ("attachment; filename=\"a\\\"b\"", true),
            ("form-data; name=x", false),
            ("attachment; name=x", false),
            ("attachment; filename*=latin1''a", false),
            ("attachment; filename=\"a", false),
            ("attachment; filename=a; filename=b", false),
            ("attachment; filename=a b", false),
        ];
        for (value, passes) in cases {
            let expected = if passes { value } else { "attachment" };
            let named = passed(header::CONTENT_DISPOSITION, value);
            assert_eq!(named.as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_is_said_twice_or_not_at_all_is_not_passed() {
        let mut store = HeaderMap::new();
        for value in ["image/png", "text/html"] {
            store.append(header::CONTENT_TYPE, HeaderValue::from_static(value));
        }
        store.insert("x-debug", HeaderValue::from_static("c-2"));
        let headers = file_headers(&store);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers[header::CONTENT_TYPE], "application/octet-stream");
    }
}
