//! "Did you mean": the known word nearest to an unknown one.

/// The word of `known` nearest to `word`, when it is near enough to be a slip of the finger: two
/// edits, one for words of three or four characters, none but upper and lower case below. Swapping
/// two neighbours is one edit. When none is so near, the shortest of which it is the beginning, up
/// to a `_`.
pub fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(MAX_WORD + 1).flat_map(char::to_lowercase).collect();
    if word.len() > MAX_WORD {
        return None;
    }
    let limit = match word.len() {
        0..=2 => 0,
        3..=4 => 1,
        _ => 2,
    };
    known
        .filter_map(|candidate| Some((slip(&word, candidate, limit)?, candidate)))
        .min_by_key(|(slip, _)| *slip)
        .map(|(_, candidate)| candidate)
}

/// How far `word` is from `known`: a few edits, or else the part before one of its `_`.
fn slip(word: &[char], known: &str, limit: usize) -> Option<(bool, usize)> {
    let edits = distance(word, known);
    if edits <= limit {
        return Some((false, edits));
    }
    let word: String = word.iter().collect();
    let rest = known.strip_prefix(word.as_str())?;
    (limit > 0 && rest.starts_with('_')).then_some((true, rest.len()))
}

/// A help line naming the nearest of `known`, or all of them when there are few.
pub(super) fn help<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = closest(word, known.clone()) {
        return format!("did you mean `{near}`?");
    }
    let words: Vec<String> = known.take(MAX_LISTED + 1).map(|word| format!("`{word}`")).collect();
    if words.is_empty() || words.len() > MAX_LISTED {
        return String::new();
    }
    format!("known here: {}", words.join(", "))
}

/// Edits from `word` to `other`, by optimal string alignment.
fn distance(word: &[char], other: &str) -> usize {
    let other: Vec<char> = other.chars().flat_map(char::to_lowercase).collect();
    if word.len().abs_diff(other.len()) > 2 {
        return usize::MAX;
    }
    // Three rows of the usual table: two back for swaps, the last one, and the one being filled.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let mut previous = None;
    for (i, a) in word.iter().enumerate() {
        let mut row = Vec::with_capacity(last.len());
        row.push(i + 1);
        let mut other_previous = None;
        for (j, b) in other.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let mut best = (cell(&last, j) + usize::from(a != b))
                .min(cell(&last, j + 1) + 1)
                .min(cell(&row, j) + 1);
            if previous == Some(b) && other_previous == Some(a) && j > 0 {
                best = best.min(cell(&before, j - 1) + 1);
            }
            row.push(best);
            other_previous = Some(b);
        }
        before = std::mem::replace(&mut last, row);
        previous = Some(a);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

/// Longer words are no slips of known ones.
const MAX_WORD: usize = 64;

/// More words than this are not listed in a help line.
const MAX_LISTED: usize = 12;
