//! The matrix as one page to print and sign.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;
use sha2::Sha256;

use crate::policy::PolicyFile;
use crate::types::Timestamp;

use super::Matrix;
use super::matrix::Cell;
use super::table::CLOSED;
use super::table::CLOSED_ZH;
use super::words::day;
use super::words::hex;

impl PolicyFile {
    /// SHA-256 of its text, in hex.
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(self.text.as_bytes()))
    }
}

impl Matrix<'_> {
    /// The matrix as one file without scripts or anything from elsewhere, for an officer to print
    /// and sign. `today` is the date it shows.
    pub fn html(&self, today: Timestamp) -> String {
        let language = self.language;
        let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'sha256-{style}'; form-action 'none'; base-uri 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n",
            language.tag(),
            escaped(&self.title()),
        );
        self.head(&mut page, today);
        for cells in self.cells.chunk_by(|a, b| a.role == b.role) {
            self.role(&mut page, cells);
        }
        let closed = escaped(language.of(CLOSED, CLOSED_ZH)).replace('`', "");
        _ = writeln!(page, "<p>{closed}</p>");
        self.signatures(&mut page);
        page.push_str("</main>\n</body>\n</html>\n");
        page
    }

    fn title(&self) -> String {
        let heads = &self.policy.model().heads;
        let titles = heads.iter().filter_map(|head| {
            let title = head.title.as_ref().map(|it| it.text(self.language.tag()).to_owned());
            title.or_else(|| head.name.as_deref().map(str::to_owned))
        });
        let titles: Vec<String> = titles.collect();
        match titles.is_empty() {
            true => self.language.of("Policy matrix", "策略矩阵").to_owned(),
            false => titles.join(" · "),
        }
    }

    fn head(&self, page: &mut String, today: Timestamp) {
        let language = self.language;
        let kicker = language.of("Policy matrix", "策略矩阵");
        _ = writeln!(page, "<header>\n<p class=\"kicker\">{kicker}</p>");
        _ = writeln!(page, "<h1>{}</h1>\n<dl>", escaped(&self.title()));
        let mut line = |word: &str, value: &str| {
            _ = writeln!(page, "<div><dt>{word}</dt><dd>{value}</dd></div>");
        };
        let today = day(today);
        let today = today.split('T').next().unwrap_or_default();
        line(language.of("Date", "日期"), today);
        for head in &self.policy.model().heads {
            let texts = [
                (language.of("Policy", "策略"), head.name.as_deref().map(escaped)),
                (language.of("Owner", "负责人"), head.owner.as_deref().map(escaped)),
                (language.of("Review by", "复核期限"), head.review_by.map(day)),
            ];
            for (word, value) in texts {
                if let Some(value) = value {
                    line(word, &value);
                }
            }
        }
        let hash = hex(&self.policy.hash());
        line(language.of("Policy hash", "策略哈希"), &format!("<code>{hash}</code>"));
        for file in self.policy.files() {
            let word = format!("SHA-256 {}", escaped(&file.name));
            line(&word, &format!("<code>{}</code>", file.sha256()));
        }
        page.push_str("</dl>\n</header>\n");
    }

    fn role(&self, page: &mut String, cells: &[Cell]) {
        let Some(first) = cells.first() else { return };
        let language = self.language;
        _ = writeln!(
            page,
            "<section>\n<h2>{}: {}</h2>",
            language.of("Role", "角色"),
            escaped(first.role.as_str())
        );
        let same = |a: &Cell, b: &Cell| {
            let (one, other) = (&a.row.key, &b.row.key);
            (&one.purpose, &one.data, one.action) == (&other.purpose, &other.data, other.action)
        };
        for group in cells.chunk_by(same) {
            self.block(page, group);
        }
        page.push_str("</section>\n");
    }

    fn block(&self, page: &mut String, group: &[Cell]) {
        let Some(first) = group.first() else { return };
        let language = self.language;
        let key = &first.row.key;
        let model = self.policy.model();
        let purpose = model.purposes.iter().find(|purpose| purpose.id == key.purpose);
        let title = purpose.and_then(|it| it.title.as_ref()).map(|it| it.text(language.tag()));
        let set = model.sets.iter().find(|set| set.id == key.data);
        let of = set.and_then(|it| it.title.as_ref()).map(|it| it.text(language.tag()));
        let named = |id: &str, title: Option<&str>| match title {
            Some(title) => format!("{} <code>{}</code>", escaped(title), escaped(id)),
            None => format!("<code>{}</code>", escaped(id)),
        };
        let basis = purpose.map_or("", |purpose| language.basis(purpose.basis.default));
        _ = writeln!(
            page,
            "<table>\n<caption>{}: {} <span class=\"basis\">({basis})</span> · {} · {}</caption>",
            language.of("Purpose", "目的"),
            named(key.purpose.as_str(), title),
            named(key.data.as_str(), of),
            language.action(key.action),
        );
        _ = writeln!(
            page,
            "<thead><tr><th scope=\"col\">{}</th><th scope=\"col\">{}</th>\
             <th scope=\"col\">{}</th><th scope=\"col\">{}</th></tr></thead>\n<tbody>",
            language.of("Field", "字段"),
            language.of("View", "显示形式"),
            language.of("Conditions", "条件"),
            language.of("Limits", "限制"),
        );
        for cell in group {
            self.cell(page, cell);
        }
        page.push_str("</tbody>\n</table>\n");
    }

    fn cell(&self, page: &mut String, cell: &Cell) {
        let offers = self.offers(cell);
        let limits: Vec<String> = self
            .limits(cell)
            .into_iter()
            .map(|(id, text)| {
                format!("<b>{}</b>: {}", escaped(id.as_str()), escaped(&text).replace('`', ""))
            })
            .collect();
        let rows = offers.len();
        let kind = if cell.offers.is_empty() { " class=\"none\"" } else { "" };
        for (at, (view, conditions)) in offers.iter().enumerate() {
            let conditions = escaped(&conditions.join("; ")).replace('`', "");
            _ = write!(page, "<tr{kind}>");
            if at == 0 {
                let field = escaped(cell.field());
                _ = write!(page, "<th scope=\"row\" rowspan=\"{rows}\">{field}</th>");
            }
            _ = write!(page, "<td>{}</td><td>{conditions}</td>", escaped(view));
            if at == 0 {
                _ = write!(page, "<td rowspan=\"{rows}\">{}</td>", limits.join("<br>"));
            }
            page.push_str("</tr>\n");
        }
    }

    fn signatures(&self, page: &mut String) {
        let language = self.language;
        let heading = language.of("Approval", "批准");
        let says = language.of(
            "I have read this matrix and approve the policy with the hash above.",
            "本人已阅读本矩阵，并批准上述哈希所示的策略。",
        );
        _ = writeln!(
            page,
            "<section class=\"sign\">\n<h2>{heading}</h2>\n<p>{says}</p>\n<div class=\"boxes\">"
        );
        for word in [
            language.of("Name", "姓名"),
            language.of("Date", "日期"),
            language.of("Signature", "签名"),
        ] {
            _ = writeln!(page, "<div class=\"box\"><span>{word}</span></div>");
        }
        page.push_str("</div>\n</section>\n");
    }
}

/// Text that is text in HTML, in values of attributes too.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

const STYLE: &str = include_str!("matrix.css");
