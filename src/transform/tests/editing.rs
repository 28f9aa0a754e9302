//! Properties of what becomes of records that come back, beside an oracle that only takes texts
//! apart: it lists every value of a record with its path, and knows nothing of how records merge.

use super::oracle::Dice;
use super::oracle::FIELDS;
use super::oracle::Members;
use super::*;
use proptest::prelude::*;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// Every scalar of a record: its path without places in arrays, its path with them, its text.
fn values(text: &str) -> Vec<(String, String, String)> {
    fn walk(text: &str, path: &str, exact: &str, found: &mut Vec<(String, String, String)>) {
        match text.as_bytes()[0] {
            b'{' => {
                let Members(members) = serde_json::from_str(text).unwrap();
                for (name, value) in members {
                    // An empty name, or one with a dot in it, is no path.
                    let name = if name.is_empty() { "?" } else { &name };
                    let name = name.replace(['.', '[', ']'], "?");
                    let at = |path: &str| format!("{path}.{name}");
                    walk(value.get(), &at(path), &at(exact), found);
                }
            }
            b'[' => {
                let items: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap();
                for (at, item) in items.iter().enumerate() {
                    let exact = format!("{exact}[{at}]");
                    walk(item.get(), &format!("{path}[*]"), &exact, found);
                }
            }
            _ => found.push((path.into(), exact.into(), text.into())),
        }
    }
    let mut found = Vec::new();
    walk(text.trim(), "", "", &mut found);
    for (path, exact, _) in &mut found {
        *path = path.trim_start_matches('.').into();
        *exact = exact.trim_start_matches('.').into();
    }
    found
}

/// The listed field that a value at `path` is, if it is one: as the catalog says, a field that is
/// no container may hold an array of scalars, and a whole one anything.
pub(super) fn field_at(path: &str) -> Option<usize> {
    let below = |field: &str| path.strip_prefix(field).filter(|rest| rest.starts_with(['.', '[']));
    FIELDS.iter().position(|(field, whole)| {
        path == *field || below(field).is_some_and(|rest| *whole || rest == "[*]")
    })
}

/// A record, views and rights, all from one number.
struct Scene {
    shape: Arc<Shape>,
    stored: String,
    views: Vec<View>,
    writable: Vec<bool>,
}

impl Scene {
    fn new(dice: &mut Dice) -> Self {
        Self {
            shape: shape(FIELDS),
            stored: dice.object(0),
            views: FIELDS.iter().map(|_| dice.view()).collect(),
            writable: FIELDS.iter().map(|_| dice.roll(3) > 0).collect(),
        }
    }

    fn shown(&self) -> String {
        let text = self.stored.as_bytes();
        let out = rewrite_one(&self.shape, text, in_clear(&self.views)).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn edit(&self, mode: Mode, sent: &str) -> Result<(String, String, Edited), EditError> {
        let (mut body, mut whole) = (Vec::new(), Vec::new());
        let request = Edit {
            shape: &self.shape,
            stored: &self.stored,
            sent,
            views: &self.views,
            pseudonyms: &Legible,
            seals: &NoSeals,
            writable: &self.writable,
            fixed: &[FieldIx(0)],
            mode,
            store_merges: false,
        };
        let edited = edit(&request, &mut body, &mut whole)?;
        Ok((String::from_utf8(whole).unwrap(), String::from_utf8(body).unwrap(), edited))
    }

    /// The values of `text` that `keep` wants, with their exact paths.
    fn some(text: &str, keep: impl Fn(Option<usize>) -> bool) -> Vec<(String, String)> {
        values(text)
            .into_iter()
            // `null` holds no value, wherever it stands.
            .filter(|(path, _, text)| text != "null" && keep(field_at(path)))
            .map(|(_, exact, text)| (exact, text))
            .collect()
    }

    /// What was sent in place of what was shown: some values changed, left out or new.
    fn changed(&self, dice: &mut Dice) -> String {
        let shown = self.shown();
        let mut out = String::new();
        change(&shown, dice, &mut out);
        if dice.roll(3) == 0 {
            let (name, _) = FIELDS[dice.roll(FIELDS.len())];
            let name = name.split(['.', '[']).next().unwrap();
            let Members(known) = serde_json::from_str(&out).unwrap();
            if known.iter().all(|(other, _)| other != name) {
                let name = dice.string(name);
                let value = dice.value(2);
                let comma = if known.is_empty() { "" } else { "," };
                out.truncate(out.len() - 1);
                out.push_str(&format!("{comma}{name}:{value}}}"));
            }
        }
        out
    }
}

pub(super) fn change(text: &str, dice: &mut Dice, out: &mut String) {
    match text.as_bytes()[0] {
        b'{' => {
            let Members(members) = serde_json::from_str(text).unwrap();
            out.push('{');
            for (name, value) in members {
                if dice.roll(8) == 0 {
                    continue;
                }
                if !out.ends_with('{') {
                    out.push(',');
                }
                out.push_str(&dice.string(&name));
                out.push(':');
                change(value.get(), dice, out);
            }
            out.push('}');
        }
        b'[' if dice.roll(3) > 0 => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap();
            out.push('[');
            for item in items {
                if dice.roll(8) == 0 {
                    continue;
                }
                if !out.ends_with('[') {
                    out.push(',');
                }
                change(item.get(), dice, out);
            }
            out.push(']');
        }
        _ if dice.roll(6) == 0 => out.push_str(&dice.value(2)),
        _ => out.push_str(text),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_was_shown_comes_back_and_nothing_changes(seed: u64) {
        let scene = Scene::new(&mut Dice(seed));
        for mode in [Mode::Merge, Mode::Replace] {
            let (whole, body, edited) = scene.edit(mode, &scene.shown()).unwrap();
            prop_assert!(edited.is_unchanged(), "{:?}", edited);
            prop_assert_eq!((whole.as_str(), body.as_str()), (scene.stored.as_str(), ""));
        }
    }

    #[test]
    fn nothing_changes_that_may_not_be_written_or_was_not_seen(seed: u64, is_put: bool) {
        let mut dice = Dice(seed);
        let scene = Scene::new(&mut dice);
        let sent = scene.changed(&mut dice);
        let mode = if is_put { Mode::Replace } else { Mode::Merge };
        let Ok((whole, body, edited)) = scene.edit(mode, &sent) else { return Ok(()) };
        prop_assert!(validate(whole.as_bytes()).is_ok(), "{}", whole);
        prop_assert_eq!(edited.is_unchanged(), body.is_empty());
        prop_assert_eq!(edited.is_unchanged() && whole != scene.stored, false);
        let may = |field: Option<usize>| field.is_some_and(|at| at > 0 && scene.writable[at]);
        for field in edited.fields() {
            prop_assert!(may(Some(field.index())), "{} is set", FIELDS[field.index()].0);
        }
        let locked = |field| !may(field);
        prop_assert_eq!(
            Scene::some(&scene.stored, locked), Scene::some(&whole, locked),
            "what may not be written: {} with {} is {}", scene.stored, sent, whole
        );
        // Of what was not shown at all `null` removes nothing; of what was shown in part it may.
        let counts = |at: usize, value: &str| value != "null" || scene.views[at].reveals();
        let sent_for: BTreeSet<usize> = values(&sent)
            .iter()
            .filter_map(|(path, _, value)| field_at(path).filter(|at| counts(*at, value)))
            .collect();
        // An array or object is a value for all that is listed below it.
        let containers = |at: usize| {
            let (path, is_whole) = FIELDS[at];
            let top = path.split(['.', '[']).next().unwrap();
            let Members(members) = serde_json::from_str(&sent).unwrap();
            let is_value = |text: &str| counts(at, text) && (is_whole || !text.starts_with('{'));
            members.iter().any(|(name, value)| name == top && is_value(value.get()))
        };
        let unseen = |field: Option<usize>| field.is_some_and(|at| {
            !scene.views[at].is_raw() && !sent_for.contains(&at) && !containers(at)
        });
        prop_assert_eq!(
            Scene::some(&scene.stored, unseen), Scene::some(&whole, unseen),
            "what was not seen: {} with {} is {}", scene.stored, sent, whole
        );
    }

    #[test]
    fn one_changed_value_is_the_only_difference(seed: u64) {
        let mut dice = Dice(seed);
        let scene = Scene::new(&mut dice);
        let Members(members) = serde_json::from_str(&scene.shown()).unwrap();
        let top = |name: &str| FIELDS.iter().position(|(path, _)| *path == name);
        for (name, value) in &members {
            let Some(at) = top(name).filter(|at| *at > 0 && scene.writable[*at]) else { continue };
            if value.get().starts_with(['{', '[']) {
                continue;
            }
            let sent = format!("{{{}:\"set 7\"}}", serde_json::to_string(name).unwrap());
            for mode in [Mode::Merge, Mode::Replace] {
                let others: Vec<String> = members
                    .iter()
                    .filter(|(other, _)| mode == Mode::Replace && other != name)
                    .map(|(name, value)| format!("{}:{value}", serde_json::to_string(name).unwrap()))
                    .collect();
                let comma = if others.is_empty() { "" } else { "," };
                let sent = sent.replace('}', &format!("{comma}{}}}", others.join(",")));
                let (whole, _, edited) = scene.edit(mode, &sent).unwrap();
                prop_assert_eq!(edited.fields(), [FieldIx(u16::try_from(at).unwrap())]);
                let other = |field| field != Some(at);
                prop_assert_eq!(Scene::some(&scene.stored, other), Scene::some(&whole, other));
                let mine = |field| field == Some(at);
                prop_assert_eq!(
                    Scene::some(&whole, mine), [(name.clone(), "\"set 7\"".to_owned())],
                    "{} with {} is {}", scene.stored, sent, whole
                );
            }
        }
    }

    #[test]
    fn a_form_of_the_view_that_is_not_shown_now_is_refused(seed: u64) {
        let mut dice = Dice(seed);
        let scene = Scene::new(&mut dice);
        for (at, (path, _)) in FIELDS.iter().enumerate().filter(|(_, (path, _))| !path.contains(['.', '['])) {
            let form = match scene.views[at] {
                View::Mask(_) => "\"old***value\"",
                View::Pseudonymize(_) => "\"ps1_of-another-purpose\"",
                View::Generalize(crate::policy::Generalize::Date(_)) => "\"1066-10\"",
                View::Generalize(crate::policy::Generalize::Number { .. }) => "70000007",
                _ => continue,
            };
            let sent = format!("{{{}:{form}}}", serde_json::to_string(path).unwrap());
            for mode in [Mode::Merge, Mode::Replace] {
                let refused = scene.edit(mode, &sent);
                prop_assert!(matches!(refused, Err(EditError::Stale { .. })), "{} {:?}", sent, refused);
            }
        }
    }

    #[test]
    fn nothing_that_is_sent_panics(seed: u64, bytes: Vec<u8>, how in any::<[u8; 4]>()) {
        let mut dice = Dice(seed);
        let mut data = how.to_vec();
        data.extend(dice.object(0).bytes());
        data.push(0);
        if bytes.is_empty() { data.extend(dice.object(0).bytes()) } else { data.extend(bytes) }
        fuzz::edit(&data);
    }
}
