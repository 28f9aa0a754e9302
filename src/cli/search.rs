//! `privet audit search` and `reindex`: what the log says, a page at a time.

use std::collections::BTreeSet;
use std::path::Path;

use crate::audit;
use crate::audit::Entry;
use crate::audit::Filter;
use crate::audit::FilterError;
use crate::audit::Order;
use crate::audit::Page;
use crate::audit::SearchError;
use crate::audit::Wish;
use crate::types::DataSetId;
use crate::types::PurposeId;
use crate::types::RoleId;
use crate::types::RuleId;
use crate::types::doc::closest;

use super::args::{AuditFolder, Rows, SearchArgs};
use super::audit::{no_checkpoint, readable_folder, tell_minimum, tell_unpublished, with_index};
use super::exit::{Exit, Failure, data, tell};

/// Lists entries, the newest last.
pub(super) fn run(wish: &SearchArgs) -> Result<(), Failure> {
    let dir = readable_folder(&wish.folder)?;
    let filter = filter(wish)?;
    let mut look = Look { dir: &dir, filter: &filter, scan: wish.scan, last: Page::default() };
    let found = if wish.all || wish.limit == 0 {
        look.everything(wish.output)?
    } else {
        look.newest(wish)?
    };
    if found == 0 {
        tell("note: no entry matches");
        tell_unknown(&dir, wish)?;
    }
    look.tell()
}

/// A search that goes on from page to page, and what there is to tell about it.
struct Look<'a> {
    dir: &'a Path,
    filter: &'a Filter,
    scan: bool,
    /// The notes of all pages.
    last: Page,
}

impl Look<'_> {
    fn page(&mut self, order: Order, cursor: Option<&str>, limit: usize) -> Result<Page, Failure> {
        let wish = Wish { filter: self.filter, order, cursor, limit, scan: self.scan };
        let mut page = audit::page(self.dir, &wish).map_err(|error| match error {
            SearchError::NoCheckpoint => no_checkpoint(self.dir),
            SearchError::Cursor(error) => Failure::caused(Exit::Usage, &error),
            error => Failure::caused(Exit::Failed, &error),
        })?;
        self.last.unindexed += page.unindexed;
        self.last.unpublished = page.unpublished;
        self.last.minimum = page.minimum;
        self.last.damaged.append(&mut page.damaged);
        Ok(page)
    }

    /// Shows every entry, the oldest first, as they are found.
    fn everything(&mut self, output: Rows) -> Result<usize, Failure> {
        let (mut found, mut cursor) = (0, None::<String>);
        data(opening(output))?;
        loop {
            let page = self.page(Order::OldestFirst, cursor.as_deref(), audit::MOST_ROWS)?;
            data(&text(&page.rows, (output, found == 0))?)?;
            found += page.rows.len();
            cursor = page.next;
            if cursor.is_none() {
                data(closing(output))?;
                return Ok(found);
            }
        }
    }

    /// Shows the newest entries, and says how to see more.
    fn newest(&mut self, wish: &SearchArgs) -> Result<usize, Failure> {
        let order = Order::NewestFirst;
        let mut rows = Vec::new();
        let mut cursor = wish.cursor.clone();
        // One more than is shown tells whether there are more.
        loop {
            let page = self.page(order, cursor.as_deref(), wish.limit + 1 - rows.len())?;
            rows.extend(page.rows);
            cursor = page.next;
            if cursor.is_none() || rows.len() > wish.limit {
                break;
            }
        }
        let is_cut = rows.len() > wish.limit;
        rows.truncate(wish.limit);
        rows.reverse();
        let (output, found) = (wish.output, rows.len());
        let shown = text(&rows, (output, true))?;
        data(&format!("{}{shown}{}", opening(output), closing(output)))?;
        if let Some((oldest, _)) = rows.first().filter(|_| is_cut) {
            let cursor = audit::cursor_behind(*oldest, self.filter, order);
            tell(&format!(
                "note: the newest {found} of more; for those before them add --cursor {cursor}, for all --all"
            ));
        }
        Ok(found)
    }

    /// Tells what the entries that were shown may lack.
    fn tell(&self) -> Result<(), Failure> {
        let Page { unindexed, unpublished, minimum, damaged, .. } = &self.last;
        tell_minimum(*minimum);
        if *unindexed > 0 && !self.scan {
            tell(&format!(
                "note: {unindexed} entries were looked through one by one, for want of an index that fits them; `privet audit reindex` makes it"
            ));
        }
        tell_unpublished(*unpublished);
        let Some(first) = damaged.iter().min() else { return Ok(()) };
        let help = "what was found elsewhere is shown; `privet audit verify` says more";
        Err(Failure::new(
            Exit::Failed,
            format_args!("entries from {first} on cannot be read; {help}"),
        ))
    }
}

/// Tells which words of a search stand in no entry at all.
fn tell_unknown(dir: &Path, wish: &SearchArgs) -> Result<(), Failure> {
    let asked = [("role", &wish.role), ("purpose", &wish.purpose), ("data-set", &wish.data_set)];
    for (name, word) in asked {
        let Some(word) = word else { continue };
        let mut filter = Filter::default();
        filter.set(&name.replace('-', "_"), word).map_err(|e| usage(&e))?;
        let mut look = Look { dir, filter: &filter, scan: wish.scan, last: Page::default() };
        let mut cursor = None::<String>;
        let (is_there, size) = loop {
            let page = look.page(Order::NewestFirst, cursor.as_deref(), 1)?;
            cursor = page.next;
            if !page.rows.is_empty() || cursor.is_none() {
                break (!page.rows.is_empty(), page.size);
            }
        };
        if !is_there {
            let near = closest(word, recent_words(dir, name, size)?.iter().map(String::as_str))
                .map(|near| format!("; did you mean `{near}`?"));
            let help = near.unwrap_or_default();
            tell(&format!("note: no entry at all has --{name} `{word}`{help}"));
        }
    }
    Ok(())
}

/// What entries had lately in the place of a word that none has.
fn recent_words(dir: &Path, name: &str, size: u64) -> Result<BTreeSet<String>, Failure> {
    let found = audit::search(dir, &Filter::default(), size.saturating_sub(LATELY));
    let mut words = BTreeSet::new();
    for (_, entry) in found.map_err(|e| Failure::caused(Exit::Failed, &e))?.flatten() {
        match name {
            "role" => words.extend(entry.roles.iter().map(RoleId::to_string)),
            "purpose" => words.extend(entry.purpose.iter().map(PurposeId::to_string)),
            _ => words.extend(entry.data_set.iter().map(DataSetId::to_string)),
        }
    }
    Ok(words)
}

fn filter(wish: &SearchArgs) -> Result<Filter, Failure> {
    let asked = [
        ("from", &wish.from),
        ("until", &wish.until),
        ("kind", &wish.kind),
        ("actor", &wish.actor),
        ("role", &wish.role),
        ("purpose", &wish.purpose),
        ("store", &wish.store),
        ("data_set", &wish.data_set),
        ("category", &wish.category),
        ("level", &wish.level),
        ("view", &wish.view),
        ("decision", &wish.decision),
        ("request", &wish.request),
        ("subject", &wish.subject),
        ("clearance", &wish.clearance),
    ];
    let mut filter = Filter::default();
    for (name, value) in asked {
        if let Some(value) = value {
            filter.set(name, value).map_err(|e| usage(&e))?;
        }
    }
    Ok(filter)
}

fn usage(error: &FilterError) -> Failure {
    Failure::new(Exit::Usage, error.to_string().replace("data_set", "data-set"))
}

/// Makes the index anew, and tells how far it has come.
pub(super) fn reindex(folder: &AuditFolder) -> Result<(), Failure> {
    let dir = readable_folder(folder)?;
    let mut told = 0;
    let done = audit::reindex(&dir, |done, of| {
        let percent = done.saturating_mul(100).checked_div(of).unwrap_or(100);
        if percent >= told + 5 && of > LATELY * 8 {
            told = percent;
            tell(&format!("{done} of {of} entries are done"));
        }
    });
    let done = done.map_err(|error| match error {
        audit::ReindexError::Log(SearchError::NoCheckpoint) => no_checkpoint(&dir),
        error => Failure::caused(Exit::Failed, &error),
    })?;
    data(&format!("ok: {} of {} entries have an index\n", done.indexed, done.size))?;
    let Some(first) = done.damaged.iter().min() else {
        let rest = done.size % AT_ONCE;
        if rest > 0 {
            tell(&format!(
                "note: entries are indexed {AT_ONCE} at a time; searches read the last {rest} one by one"
            ));
        }
        return Ok(());
    };
    let help = "searches go through those entries one by one; `privet audit verify` says more";
    Err(Failure::new(Exit::Failed, format_args!("entry {first} is damaged or missing; {help}")))
}

fn opening(output: Rows) -> &'static str {
    match output {
        Rows::Json => "[",
        Rows::Jsonl => "",
        Rows::Table => HEAD,
    }
}

fn closing(output: Rows) -> &'static str {
    if matches!(output, Rows::Json) { "]\n" } else { "" }
}

/// The entries as text; `is_first`: none were shown before.
fn text(found: &[(u64, Entry)], (output, is_first): (Rows, bool)) -> Result<String, Failure> {
    let rows = || found.iter().map(|(index, entry)| with_index(*index, entry));
    match output {
        Rows::Json => {
            let rows = rows().collect::<Result<Vec<_>, _>>()?.join(",\n");
            Ok(if is_first || rows.is_empty() { rows } else { format!(",\n{rows}") })
        }
        Rows::Jsonl => rows().map(|row| row.map(|row| format!("{row}\n"))).collect(),
        Rows::Table => Ok(found.iter().map(|(index, entry)| line(*index, entry)).collect()),
    }
}

/// Two lines an entry: who did what, when and why; and under it the decision, what came of it, and
/// the rules that decided.
fn line(index: u64, entry: &Entry) -> String {
    let text = |value: Option<&str>| value.unwrap_or("–").to_owned();
    let who = entry.actor.map(|actor| actor.to_string().chars().take(8).collect::<String>());
    let roles: Vec<&str> = entry.roles.iter().map(RoleId::as_str).collect();
    let mut line = format!(
        "{index:>8}  {:<24}  {:<9}  {:<8}  {:<12}  {:<16}  {:<18}  {:>7}\n",
        entry.time.to_string(),
        entry.kind.as_str(),
        text(who.as_deref()),
        text(Some(roles.join(",").as_str()).filter(|roles| !roles.is_empty())),
        text(entry.purpose.as_ref().map(PurposeId::as_str)),
        text(entry.data_set.as_ref().map(DataSetId::as_str)),
        entry.records.map_or_else(|| "–".to_owned(), |n| n.to_string()),
    );
    let why = why(entry);
    if !why.is_empty() {
        line.push_str(&format!("          {why}\n"));
    }
    line
}

/// The decision's id, what came of it, and the rules that decided.
fn why(entry: &Entry) -> String {
    let what = entry.reason.as_deref().or(entry.outcome.map(audit::Ending::as_str));
    let parts = [entry.decision_id.as_deref(), what, entry.route.as_deref()];
    let mut parts: Vec<String> = parts.into_iter().flatten().map(String::from).collect();
    if !entry.rules.is_empty() {
        let rules: Vec<&str> = entry.rules.iter().map(RuleId::as_str).collect();
        parts.push(format!("by {}", rules.join(", ")));
    }
    parts.join("  ")
}

const HEAD: &str = "   index  time                      kind       who       roles         purpose           data set            records\n          decision, outcome and rules\n";
/// Entries that are looked through for words like one that none has.
const LATELY: u64 = 1 << 14;

/// Entries of a bundle: an index covers whole ones.
const AT_ONCE: u64 = 256;
