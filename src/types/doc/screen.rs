//! What no file may hold: too many bytes, and characters that hide what a file says.

use std::ops::Range;
use std::sync::Arc;

use crate::types::Faults;
use crate::types::Place;
use crate::types::SourceFile;

use super::MAX_FILE;

/// Reports bytes over the limit and characters that hide; `false` when the file is too long to
/// be read on.
pub(super) fn screen(file: &Arc<SourceFile>, faults: &mut Faults) -> bool {
    if file.text.len() > MAX_FILE {
        let what = format!("the file is {} bytes long, more than {MAX_FILE}", file.text.len());
        faults.error(&place(file, 0..0), what, "split it");
        return false;
    }
    let mut after = file.text.chars().skip(1);
    let found = file.text.char_indices().filter_map(|(at, c)| {
        let next = after.next();
        let why = match c {
            '\u{feff}' if at == 0 => "the file starts with a byte order mark",
            '\r' if next != Some('\n') => "a carriage return without a line feed stands here",
            '\r' | '\n' | '\t' => return None,
            c if is_hidden(c) => "a character that does not show stands here",
            _ => return None,
        };
        Some((at, c, why))
    });
    for (at, c, why) in found.take(MAX_SHOWN) {
        let what = format!("{why}: U+{:04X}", u32::from(c));
        faults.error(&place(file, at..at + c.len_utf8()), what, "remove it");
    }
    true
}

/// Reports hidden characters that an escape brought into a value or key.
pub(super) fn screen_decoded(text: &str, place: &Place, faults: &mut Faults) {
    if let Some(c) = text.chars().find(|c| !matches!(c, '\n' | '\t' | '\r') && is_hidden(*c)) {
        // What the file holds as it is, `screen` has reported.
        if !place.file.text.get(place.span.clone()).is_some_and(|raw| raw.contains(c)) {
            let what = format!("the text holds a character that does not show: U+{:04X}", c as u32);
            faults.error(&place.first_line(), what, "remove its escape");
        }
    }
}

/// Control characters, and those that change how the text around them is shown: a reader of the
/// policy must see what the compiler reads (Boucher and Anderson, "Trojan Source", 2021).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A place that is sure to lie inside the file and between characters.
pub(super) fn place(file: &Arc<SourceFile>, span: Range<usize>) -> Place {
    let start = file.text.floor_char_boundary(span.start);
    let end = file.text.ceil_char_boundary(span.end.max(start));
    Place { file: Arc::clone(file), span: start..end }
}

/// More hidden characters than this in one file say nothing new.
const MAX_SHOWN: usize = 10;
